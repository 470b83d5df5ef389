# SPDX-License-Identifier: Apache-2.0
# The kernel's part beside libnfs: writes the large file that libnfs reads, reads the small one that libnfs wrote.
mount_share
check kernel_writes cp /run/host/large "$M/from-kernel"
sync -f "$M"
mark written
wait_for_host libnfs-done
check kernel_reads_what_libnfs_wrote cmp /run/host/small "$M/from-libnfs"
check remove rm -f "$M/from-kernel" "$M/from-libnfs"

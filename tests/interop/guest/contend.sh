# SPDX-License-Identifier: Apache-2.0
# A second client tries to get the lock that the first one's load holds, until the host says stop.
mount_share
rm -f /run/host/stop
"$BIN/fsync_records" contend "$M/load/held" /run/host/stop || FAILED=$((FAILED + 1))

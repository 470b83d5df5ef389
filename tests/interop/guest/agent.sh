#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Init of a client guest: network and NFS modules, then runs the job scripts the host names on the serial line.
# CLIENT (address), HOSTDIR (a folder of the host, writable here as /run/host), NAME, and PEERS (a folder of programs that are
# unpacked there instead of installed) are words of the command line.
# For each line N it runs /run/host/job-N.sh and answers `JOBEND N status`. `off` powers off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PEERS/usr/sbin:$PEERS/usr/bin:$PEERS/sbin:$PEERS/bin HOME=/run LC_ALL=C.UTF-8
# The guest kernel cannot keep AVX-512 registers apart between threads (see xstate.c).
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /mnt
mount -t devpts devpts /dev/pts 2>/dev/null
mkdir -p /dev/shm /run/host /run/m/lib /run/tmp /mnt/nfs
chmod 1777 /run/tmp
mount -t tmpfs tmpfs /dev/shm
export TMPDIR=/run/tmp
mount -t hostfs none /run/host -o "$HOSTDIR"
hostname "$NAME"
ip link set lo up
ip addr add "$CLIENT/24" dev vec0
ip link set vec0 up
ln -s /usr/lib/uml/modules /run/m/lib/modules
modprobe -d /run/m nfsv4
# Without nfsidmap's answers the client waits on each unknown name; numbers are what these tests use.
echo Y > /sys/module/nfs/parameters/nfs4_disable_idmapping
stty -F /dev/ttyS0 raw -echo
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
echo AGENT-UP
while read -r job; do
  [ "$job" = off ] && break
  sh "/run/host/job-$job.sh" < /dev/null
  echo "JOBEND $job $?"
done
exec /bin/busybox poweroff -f

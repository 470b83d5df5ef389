#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Init of a guest that serves with the kernel's own NFS server: the reference a failing check is compared with.
# ADDR, NFSD_ROOT (the unpacked nfs-kernel-server) LEASE and GRACE (seconds, at least 10) are words of the command line; EXPORTS
# is `name,options;name,options`. The file system is XFS on ubda, so what a killed guest had made durable survives it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$NFSD_ROOT/usr/sbin:$NFSD_ROOT/sbin HOME=/run
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD
mount -t proc proc /proc
mount -t sysfs sys /sys
for d in /run /mnt /var/lib/nfs /srv; do mount -t tmpfs -o mode=755 tmpfs $d; done
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
stty -F /dev/ttyS0 raw -echo
hostname "strata-knfsd"
ip link set lo up
ip addr add "$ADDR/24" dev vec0
ip link set vec0 up
mkdir -p /run/m/lib /run/rpcbind /mnt/disk
ln -s /usr/lib/uml/modules /run/m/lib/modules
modprobe -d /run/m nfsd
mount -t nfsd nfsd /proc/fs/nfsd
mount -t xfs -o discard /dev/ubda /mnt/disk || { echo "KNFSD-FAILED cannot mount its disk"; exec /bin/busybox poweroff -f; }
modprobe -d /run/m md5                                # names the records of clients
mkdir -p /mnt/disk/state /var/lib/nfs/v4recovery
mount --bind /mnt/disk/state /var/lib/nfs/v4recovery  # who may reclaim after a restart
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
chmod 755 /srv
mount --bind /dev/null /etc/nfs.conf                  # Debian's file has manage-gids, which ignores the groups a client sends
rpcbind -w
echo "$GRACE" > /proc/fs/nfsd/nfsv4gracetime        # before any thread starts
echo "$LEASE" > /proc/fs/nfsd/nfsv4leasetime
echo 1048576 > /proc/fs/nfsd/max_block_size           # little memory lowers it, and libnfs does not ask
rpc.mountd -N 3
exportfs -o ro,insecure,no_root_squash,fsid=0,no_subtree_check,sec=sys "*:/srv"
id=1
IFS=';'
for export in $EXPORTS; do                            # name:owner:mode:client:options
  unset IFS
  name=${export%%:*}; rest=${export#*:}
  owner=${rest%%:*}; rest=${rest#*:}
  mode=${rest%%:*}; rest=${rest#*:}
  client=${rest%%:*}; options=${rest#*:}
  if [ ! -d "/mnt/disk/$name" ]; then
    mkdir "/mnt/disk/$name"
    chown "${owner%.*}:${owner#*.}" "/mnt/disk/$name"
    chmod "$mode" "/mnt/disk/$name"
  fi
  mkdir -p "/srv/$name"
  mount --bind "/mnt/disk/$name" "/srv/$name"
  exportfs -o "$options,insecure,fsid=$id,no_subtree_check,sec=sys" "$client:/srv/$name"
  id=$((id + 1))
done
unset IFS
sync
rpc.nfsd -N 3 -V 4.2 4
echo KNFSD-READY
read -r word
exec /bin/busybox poweroff -f

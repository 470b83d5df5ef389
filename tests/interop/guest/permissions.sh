# SPDX-License-Identifier: Apache-2.0
# What uid 1000 and root may do, on the share without root squash (SHARE) and on the one with it (SQUASHED).
mount_share
mkdir -p -m 755 "$M/permissions"
run_program "$BIN/permission_checks" plain "$M/permissions"
cd /
check remove rm -rf "$M/permissions"
if mount_at "/$SQUASHED" /mnt/squashed > /run/out 2>&1; then
  run_program "$BIN/permission_checks" squashed /mnt/squashed
  cd /
  as_owner() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
  check owner_cleans_up as_owner sh -c 'cd "$1" && rm -rf owned drop' - /mnt/squashed
  check umount_squashed umount /mnt/squashed
else
  fail mount_squashed "$(tail -n 3 /run/out | tr '\n' ' ')"
fi

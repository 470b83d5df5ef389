# SPDX-License-Identifier: Apache-2.0
# The pseudo root shows the shares; a read-only one refuses changes; one for other networks refuses this client.
check mount_the_root mount_at / /mnt/root
for name in $SHARE $SQUASHED $READ_ONLY; do
  check "root_lists_$name" sh -c 'ls /mnt/root | grep -qx "$1"' - "$name"
  check "walk_into_$name" ls "/mnt/root/$name"
done
check root_is_not_writable refused mkdir /mnt/root/new
check write_through_the_root sh -c 'echo x > /mnt/root/$SHARE/through && [ "$(cat /mnt/root/$SHARE/through)" = x ]'
check shares_are_different_file_systems sh -c '[ "$(stat -c %d /mnt/root/$SHARE)" != "$(stat -c %d /mnt/root)" ]'
rename_only() { perl -e 'rename($ARGV[0], $ARGV[1]) or exit 1' "$1" "$2"; }
check rename_between_shares_is_refused refused rename_only "/mnt/root/$SHARE/through" "/mnt/root/$READ_ONLY/x"
rm -f "/mnt/root/$SHARE/through"
check umount_the_root umount /mnt/root
check mount_read_only mount_at "/$READ_ONLY" /mnt/readonly
check read_only_lists ls /mnt/readonly
check read_only_has_figures df /mnt/readonly
for what in "touch /mnt/readonly/f" "mkdir /mnt/readonly/d" "ln -s x /mnt/readonly/s" "chmod 700 /mnt/readonly"; do
  if $what > /run/out 2>&1; then fail read_only_refuses "$what succeeded"
  elif grep -q "Read-only file system" /run/out; then ok "read_only_refuses_${what%% *}"
  else fail "read_only_refuses_${what%% *}" "$(cat /run/out)"; fi
done
umount /mnt/readonly
if [ "$HIDDEN" = 1 ]; then
  check another_networks_share_is_refused refused mount_at "/$ELSEWHERE" /mnt/elsewhere
else
  echo "NOTRUN another_networks_share_is_refused this server shows the empty folder below the share"
fi
check a_missing_share_is_refused refused mount_at /no-such-share /mnt/missing

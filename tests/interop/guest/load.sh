# SPDX-License-Identifier: Apache-2.0
# Load that remembers every promise of the server, until the host says stop; then all promises are checked after a remount.
# WHAT names the checks; SEED chooses the load. KEEP=1: the files stay until the host says remove.
mount_share
rm -rf "$M/load"; mkdir "$M/load"
rm -f /run/host/stop
mark mounted
"$BIN/fsync_records" write "$M/load" /run/promises /run/host/stop "$SEED" || FAILED=$((FAILED + 1))
mark load-ended
wait_for_host verify
remount_share
check "nothing_promised_is_missing" "$BIN/fsync_records" verify "$M/load" /run/promises
cat /run/out
mark verified
[ "$KEEP" = 1 ] && wait_for_host remove
check remove rm -rf "$M/load"

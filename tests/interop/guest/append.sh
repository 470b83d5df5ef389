# SPDX-License-Identifier: Apache-2.0
# One of two clients that append to the same file under a lock. MODE is flock or fcntl, COUNT the records of each.
mount_share
wait_for_both
check "append_$MODE" "$BIN/append_records" write "$M/appended-$MODE" "$CLIENT_INDEX" "$COUNT" "$MODE"
cat /run/out

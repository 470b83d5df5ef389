# SPDX-License-Identifier: Apache-2.0
# One of two clients that share a directory of COUNT entries: each makes its half, lists all, and removes the other's half.
mount_share
mkdir -p "$M/many"
half=$((COUNT / 2))
if [ "$CLIENT_INDEX" = 1 ]; then mine=0; theirs=$half; else mine=$half; theirs=0; fi
wait_for_both
check make "$BIN/directory_entries" make "$M/many" "$mine" "$((mine + half))"
wait_for_both
drop_caches
check list_all "$BIN/directory_entries" list "$M/many" 0 "$COUNT"
check find_each_of_some "$BIN/directory_entries" stat "$M/many" "$theirs" "$((theirs + half))"
wait_for_both
check remove_the_others "$BIN/directory_entries" remove "$M/many" "$theirs" "$((theirs + half))"
wait_for_both
drop_caches
check list_nothing "$BIN/directory_entries" list "$M/many" 0 0
[ "$CLIENT_INDEX" = 1 ] && check rmdir rmdir "$M/many"
wait_for_both

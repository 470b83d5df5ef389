# SPDX-License-Identifier: Apache-2.0
# One of two clients that share a very large directory. FROM to TO are its entries that the clients make, half each; the host
# adds others, so that ALL are there; each client lists all, looks some up, and removes the half the other one made.
mount_share
mkdir -p "$M/many"
half=$(((TO - FROM) / 2))
if [ "$CLIENT_INDEX" = 1 ]; then mine=$FROM; theirs=$((FROM + half)); else mine=$((FROM + half)); theirs=$FROM; fi
wait_for_both
check make "$BIN/directory_entries" make "$M/many" "$mine" "$((mine + half))"
wait_for_both
drop_caches
check list_all "$BIN/directory_entries" list "$M/many" 0 "$ALL"
check find_the_others "$BIN/directory_entries" stat "$M/many" "$theirs" "$((theirs + half))"
wait_for_both
check remove_the_others "$BIN/directory_entries" remove "$M/many" "$theirs" "$((theirs + half))"
wait_for_both
drop_caches
check list_nothing "$BIN/directory_entries" list "$M/many" 0 0
wait_for_both
[ "$CLIENT_INDEX" = 1 ] && check rmdir rmdir "$M/many"

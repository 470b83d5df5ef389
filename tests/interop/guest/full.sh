# SPDX-License-Identifier: Apache-2.0
# A store that fills up: an error that says so, nothing that was written is lost, and deleting makes room again.
mount_share
rm -rf "$M/full"; mkdir "$M/full"
echo "kept from before" > "$M/full/kept"; sync
head -c 33554432 /dev/urandom > /run/block
fill() { # copies until one fails for want of space; the number of whole copies in $copies
  copies=0
  while [ "$copies" -lt 400 ]; do
    if ! cp /run/block "$M/full/$1$copies" 2> /run/full-error || ! sync -f "$M/full" 2>> /run/full-error; then
      rm -f "$M/full/$1$copies"
      # The kernel remembers the error for the next one who syncs: that would be the next fill.
      sync -f "$M/full" 2> /dev/null
      grep -q "No space left" /run/full-error && return 0
      cat /run/full-error; return 1
    fi
    copies=$((copies + 1))
  done
  echo "never full"; return 1
}
all_copies_are_whole() { for i in $(seq 0 $((first - 1))); do cmp /run/block "$M/full/a$i" || return 1; done; }
check fills_until_no_space_left fill a
first=$copies
check something_fitted test "$first" -gt 3
check df_says_full sh -c '[ "$(df --output=pcent "$1" | tail -1 | tr -dc 0-9)" -ge 85 ]' - "$M"
drop_caches
check all_copies_are_whole all_copies_are_whole
check the_old_file_is_kept grep -qx "kept from before" "$M/full/kept"
check a_full_store_can_delete sh -c 'rm "$1"/full/a*' - "$M"
check a_name_can_be_made_again mkdir "$M/full/d"
# What was deleted becomes free behind the reply: df tells when.
room_shows() {
  for second in $(seq 30); do
    [ "$(df --output=pcent "$M" | tail -1 | tr -dc 0-9)" -lt 50 ] && return 0
    sleep 1
  done
  df "$M"; return 1
}
check df_shows_the_room_within_30_s room_shows
refill() { fill b && [ "$copies" -ge $((first * 3 / 4)) ] || { echo "only $copies of $first fit again"; return 1; }; }
check deletes_made_room refill
check remove rm -rf "$M/full"

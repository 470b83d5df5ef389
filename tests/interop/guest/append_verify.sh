# SPDX-License-Identifier: Apache-2.0
# Every record of both clients is there, whole and in order.
mount_share
check "verify_$MODE" "$BIN/append_records" verify "$M/appended-$MODE" 2 "$COUNT"
cat /run/out
check "size_$MODE" test -s "$M/appended-$MODE"
rm -f "$M/appended-$MODE"

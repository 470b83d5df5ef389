# SPDX-License-Identifier: Apache-2.0
# POSIX behaviour of the mount. FEATURES: what this version of the protocol and this server offer. CHECKS: names of checks; all when empty.
mount_share
rm -rf "$M/posix"; mkdir -m 755 "$M/posix"
run_program "$BIN/posix_checks" "$M/posix" "$FEATURES" $CHECKS
[ "$FAILED" = 0 ] && check remove rm -rf "$M/posix"

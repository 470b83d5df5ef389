# SPDX-License-Identifier: Apache-2.0
# An SQLite database on the mount, two writing processes, checked by SQLite.
mount_share
rm -rf "$M/sqlite"; mkdir "$M/sqlite"
check transactions_and_integrity "$BIN/sqlite_work" "$M/sqlite" "$TRANSACTIONS"
check no_journal_left test ! -e "$M/sqlite/bank.db-journal"
check remove rm -rf "$M/sqlite"

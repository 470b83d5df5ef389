// SPDX-License-Identifier: Apache-2.0
// Schema: the tables of a volume's database.
//
// Every table of file system rows has `born`, the snapshot epoch in which the row got its present form, and a *_history table with
// `died` for forms that a snapshot still shows. Numbers are signed 64 bits; names, ids and bodies are blobs (row_codec.h).
#pragma once

#include <cstdint>
#include <string>

#include "cluster/chunk/chunk_store.h"
#include "cluster/meta/sqlite_connection.h"

namespace strata::cluster {

constexpr int schema_version = 1;  // PRAGMA user_version

// What one row of table `volume` keeps: it changes with the rows, in the same transactions.
struct VolumeState {
    Uuid uuid{};
    std::uint64_t applied = 0;    // LogIndex
    std::uint64_t inode_max = 1;  // highest number ever put
    std::uint64_t map_max = 0;
    std::uint64_t inode_count = 0;
    std::uint64_t snapshot_epoch = 1;  // `born` of what is written now
    std::uint64_t anomalies = 0;       // changes that made no sense and were passed over
};

// Opens the database `path`, made with all tables if `volume` is new. Errors: corrupt, bad_version, io, no_space.
Result<SqliteConnection> create_database(SqliteVfs& vfs, const std::string& path, const Uuid& volume, std::uint64_t cache_bytes);
Result<SqliteConnection> open_database(SqliteVfs& vfs, const std::string& path, SqliteConnection::Mode mode, std::uint64_t cache_bytes);
Result<VolumeState> read_volume_state(SqliteConnection& connection);

// The database's files for `path` are gone. Errors: io.
Result<> remove_database(Disk& disk, const std::string& path);

}  // namespace strata::cluster

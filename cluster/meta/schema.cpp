// SPDX-License-Identifier: Apache-2.0
// The tables, and opening a database with the settings that the page checksums and the WAL need.
#include "cluster/meta/schema.h"

#include <algorithm>

#include <fmt/format.h>
#include <sqlite3.h>

#include "cluster/meta/sqlite_vfs.h"

namespace strata::cluster {

namespace {

// entry: clustered by cookie, as READDIR and the loading of a directory read it, and appended to; the name index finds one.
//        `folded` is NULL where it equals the name: only names that change by folding need a place in the folded index.
// extent: `chunk` is NULL where nothing was written; chunk ids only grow, so that the index over them is appended to.
// inode:  `body` is the whole row: what is read and written together lies together.
constexpr const char* tables = R"sql(
CREATE TABLE volume(id INTEGER PRIMARY KEY CHECK(id = 1), uuid BLOB NOT NULL, applied INTEGER NOT NULL, inode_max INTEGER NOT NULL,
    map_max INTEGER NOT NULL, inode_count INTEGER NOT NULL, snapshot_epoch INTEGER NOT NULL, anomalies INTEGER NOT NULL);

CREATE TABLE inode(number INTEGER PRIMARY KEY, born INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE inode_history(
    number INTEGER, died INTEGER, born INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(number, died)) WITHOUT ROWID;

CREATE TABLE entry(parent INTEGER, cookie INTEGER, born INTEGER NOT NULL, name BLOB NOT NULL, folded BLOB, child INTEGER NOT NULL,
    child_generation INTEGER NOT NULL, child_type INTEGER NOT NULL, PRIMARY KEY(parent, cookie)) WITHOUT ROWID;
CREATE UNIQUE INDEX entry_name ON entry(parent, name);
CREATE INDEX entry_folded ON entry(parent, folded) WHERE folded IS NOT NULL;
CREATE TABLE entry_history(parent INTEGER, cookie INTEGER, died INTEGER, born INTEGER NOT NULL, name BLOB NOT NULL, folded BLOB,
    child INTEGER NOT NULL, child_generation INTEGER NOT NULL, child_type INTEGER NOT NULL,
    PRIMARY KEY(parent, cookie, died)) WITHOUT ROWID;

CREATE TABLE extent(map INTEGER, start INTEGER, born INTEGER NOT NULL, length INTEGER NOT NULL, chunk BLOB, chunk_offset INTEGER NOT NULL,
    PRIMARY KEY(map, start)) WITHOUT ROWID;
CREATE INDEX extent_chunk ON extent(chunk) WHERE chunk IS NOT NULL;
CREATE TABLE extent_history(map INTEGER, start INTEGER, died INTEGER, born INTEGER NOT NULL, length INTEGER NOT NULL, chunk BLOB,
    chunk_offset INTEGER NOT NULL, PRIMARY KEY(map, start, died)) WITHOUT ROWID;

CREATE TABLE chunk(id BLOB PRIMARY KEY, born INTEGER NOT NULL, refs INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE chunk_dead(snapshot INTEGER, id BLOB, PRIMARY KEY(snapshot, id)) WITHOUT ROWID;

CREATE TABLE xattr(inode INTEGER, name BLOB, born INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY(inode, name)) WITHOUT ROWID;
CREATE TABLE xattr_history(inode INTEGER, name BLOB, died INTEGER, born INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(inode, name, died)) WITHOUT ROWID;

CREATE TABLE record(kind BLOB, key BLOB, value BLOB NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE TABLE reap(map INTEGER PRIMARY KEY, start INTEGER NOT NULL);
)sql";

}  // namespace

Result<SqliteConnection> create_database(SqliteVfs& vfs, const std::string& path, const Uuid& volume, std::uint64_t cache_bytes) {
    TRY(connection, SqliteConnection::open(vfs, path, SqliteConnection::Mode::create, cache_bytes));
    CHECK_OK(connection.run(fmt::format("PRAGMA page_size={};", database_page_size).c_str()));
    int reserve = database_page_reserve;
    if (const int code = sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve); code != SQLITE_OK) {
        return fail(connection.error(code));
    }
    CHECK_OK(connection.run("PRAGMA journal_mode=WAL; BEGIN;"));
    CHECK_OK(connection.run(tables));
    {
        TRY(insert, connection.prepare("INSERT INTO volume VALUES(1, ?1, 0, 1, 0, 0, 1, 0)"));
        const std::string_view uuid(reinterpret_cast<const char*>(volume.data()), volume.size());
        CHECK_OK(insert.bind(1, uuid).execute());
    }
    CHECK_OK(connection.run(fmt::format("PRAGMA user_version={}; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);", schema_version).c_str()));
    return std::move(connection);
}

Result<SqliteConnection> open_database(SqliteVfs& vfs, const std::string& path, SqliteConnection::Mode mode, std::uint64_t cache_bytes) {
    TRY(connection, SqliteConnection::open(vfs, path, mode, cache_bytes));
    {
        TRY(query, connection.prepare("PRAGMA user_version"));
        TRY(found, query.step());
        const auto version = found ? query.number(0) : 0;
        query.reset();
        if (version == 0) return fail(Errc::corrupt, fmt::format("{} on {} has no tables", path, vfs.disk().description()));
        if (version != schema_version) {
            return fail(Errc::bad_version, fmt::format("{} on {} has schema version {}; this release knows {}", path,
                                                       vfs.disk().description(), version, schema_version));
        }
    }
    return std::move(connection);
}

Result<VolumeState> read_volume_state(SqliteConnection& connection) {
    TRY(query, connection.prepare("SELECT uuid, applied, inode_max, map_max, inode_count, snapshot_epoch, anomalies FROM volume"));
    TRY(found, query.step());
    if (!found || query.bytes(0).size() != Uuid{}.size()) return fail(Errc::corrupt, "the database has no volume row");
    VolumeState state;
    std::ranges::copy(query.bytes(0), reinterpret_cast<char*>(state.uuid.data()));
    state.applied = query.number(1);
    state.inode_max = query.number(2);
    state.map_max = query.number(3);
    state.inode_count = query.number(4);
    state.snapshot_epoch = query.number(5);
    state.anomalies = query.number(6);
    query.reset();
    return state;
}

Result<> remove_database(Disk& disk, const std::string& path) {
    for (const char* suffix : {"", "-wal", "-journal", "-mark"}) {
        if (const auto removed = disk.remove(path + suffix); !removed && removed.error() != Errc::not_found) return removed;
    }
    return {};
}

}  // namespace strata::cluster

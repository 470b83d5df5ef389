// SPDX-License-Identifier: Apache-2.0
// RowReader: rows out of one database, over a connection of its own with prepared statements.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/meta/meta_store.h"
#include "cluster/meta/schema.h"
#include "cluster/meta/sqlite_connection.h"

namespace strata::cluster {

// One thread at a time. Each call sees one snapshot: the newest commit at its start. The calls are MetaStore's; see there.
// Errors of all: corrupt, io, busy (try again).
class RowReader {
public:
    static Result<std::unique_ptr<RowReader>> open(SqliteVfs& vfs, const std::string& path, std::uint64_t cache_bytes);

    Result<std::optional<InodeRow>> inode(InodeNumber number);
    Result<std::vector<InodeRow>> inodes(std::span<const InodeNumber> numbers);
    Result<std::optional<EntryRow>> entry(InodeNumber parent, const std::string& name);
    Result<std::vector<EntryRow>> entries(InodeNumber parent, std::uint64_t after, std::size_t limit);
    Result<MetaStore::Extents> extents(MapId map, std::uint64_t from, std::uint64_t to, std::size_t limit);
    Result<std::optional<ChunkRow>> chunk(const ChunkId& id);
    Result<std::vector<ChunkRow>> chunks(const ChunkId& after, std::size_t limit);
    Result<std::vector<ExtentRow>> extents_of_chunk(const ChunkId& id, std::size_t limit);
    Result<std::vector<XattrRow>> xattrs(InodeNumber inode);
    Result<std::vector<RecordRow>> records(const std::string& table);
    Result<std::vector<ReapRow>> reaps(std::size_t limit);

    // All rows in order of key, in pages, for checking: pass the last row's key to go on; {} at first.
    Result<std::vector<InodeRow>> all_inodes(InodeNumber after, std::size_t limit);
    Result<std::vector<EntryRow>> all_entries(InodeNumber parent_after, std::uint64_t cookie_after, std::size_t limit);
    Result<std::vector<ExtentRow>> all_extents(MapId map_after, std::uint64_t offset_after, std::size_t limit);
    Result<std::vector<XattrRow>> all_xattrs(InodeNumber inode_after, const std::string& name_after, std::size_t limit);
    Result<std::vector<RecordRow>> all_records(const std::string& table_after, const std::string& key_after, std::size_t limit);

    Result<VolumeState> volume_state() { return read_volume_state(connection_); }
    SqliteConnection& connection() { return connection_; }

private:
    explicit RowReader(SqliteConnection connection) : connection_(std::move(connection)) {}
    Result<> prepare();

    SqliteConnection connection_;
    SqliteStatement begin_, commit_;
    SqliteStatement inode_, entry_, entries_, extents_, chunk_, chunks_, extents_of_chunk_, xattrs_, records_, reaps_;
    SqliteStatement all_inodes_, all_entries_, all_extents_, all_xattrs_, all_records_;
};

}  // namespace strata::cluster

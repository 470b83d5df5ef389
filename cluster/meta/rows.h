// SPDX-License-Identifier: Apache-2.0
// Rows: the volume's metadata as typed rows. A command is a list of row changes, already computed by the owner: applying one asks no
// clock, no randomness and no other row, so every replica ends equal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/stripe/stripe.h"
#include "server/vfs/types.h"

namespace strata::cluster {

using InodeNumber = std::uint64_t;
using MapId = std::uint64_t;  // a file's extent map; truncate to zero swaps it for a new one

// Key: number. Everything that Attributes show, and what only we need.
struct InodeRow {
    InodeNumber number = 0;
    std::uint32_t generation = 0;
    vfs::DomainId domain = 0;
    vfs::FileType type = vfs::FileType::regular;
    std::uint32_t mode = 0, uid = 0, gid = 0, link_count = 0;
    std::uint64_t size = 0, allocated = 0, change = 0;
    Timestamp access_time, modify_time, change_time, birth_time;
    vfs::Device device;
    std::uint32_t dos_attributes = 0;
    MapId map = 0;                  // regular files
    InodeNumber parent = 0;         // directories: where ".." leads
    std::uint64_t next_cookie = 3;  // directories: the next entry's cookie
    std::uint64_t verifier = 0;     // exclusive create
    std::string symlink;            // symlinks
    std::string acl;                // encoded canonical ACL; empty: none
    std::string inline_data;        // regular files up to inline_size_max; then there are no extents
    bool has_xattrs = false;
    friend bool operator==(const InodeRow&, const InodeRow&) = default;
};
constexpr std::size_t inline_size_max = 2048;

// Key: (parent, name). `cookie` is unique within the parent.
struct EntryRow {
    InodeNumber parent = 0;
    std::string name;
    std::string folded;  // by the volume's frozen fold table: SMB finds by it
    std::uint64_t cookie = 0;
    InodeNumber child = 0;
    std::uint32_t child_generation = 0;
    vfs::FileType child_type = vfs::FileType::regular;
    friend bool operator==(const EntryRow&, const EntryRow&) = default;
};

// Key: (map, offset). Extents of a map never overlap; what none covers is a hole.
struct ExtentRow {
    MapId map = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    ChunkId chunk;                   // all zero: allocated, not written, reads as zeros
    std::uint32_t chunk_offset = 0;  // of the first byte inside the chunk's file data
    friend constexpr bool operator==(const ExtentRow&, const ExtentRow&) = default;
};

// Key: chunk.id. `references`: extents that name it; at zero the row goes and the shards die.
struct ChunkRow {
    Chunk chunk;
    std::uint32_t references = 1;
    friend bool operator==(const ChunkRow&, const ChunkRow&) = default;
};

struct XattrRow {
    InodeNumber inode = 0;
    std::string name, value;
    friend bool operator==(const XattrRow&, const XattrRow&) = default;
};

struct RecordRow {
    std::string table, key, value;
    friend bool operator==(const RecordRow&, const RecordRow&) = default;
};

// Work that outlives its command, done in bounded steps by the reaper: the extents of a map that no inode names any more (from `from`
// bytes on), or an inode without names.
struct ReapRow {
    MapId map = 0;
    std::uint64_t from = 0;
    friend bool operator==(const ReapRow&, const ReapRow&) = default;
};

struct EntryKey {
    InodeNumber parent = 0;
    std::string name;
};
struct ExtentKey {
    MapId map = 0;
    std::uint64_t offset = 0;
};
struct XattrKey {
    InodeNumber inode = 0;
    std::string name;
};
struct RecordKey {
    std::string table, key;
};

struct PutInode {
    InodeRow row;
};
struct DeleteInode {
    InodeNumber number = 0;
};  // with all its xattrs
struct PutEntry {
    EntryRow row;
};
struct DeleteEntry {
    EntryKey key;
};
struct PutExtent {
    ExtentRow row;
};
struct DeleteExtent {
    ExtentKey key;
};
struct PutChunk {
    ChunkRow row;
};
struct DeleteChunk {
    ChunkId id;
};
// Counts one chunk's references up or down; the row goes when none is left. Adding to an absent row is a bug.
struct AdjustChunk {
    ChunkId id;
    std::int32_t delta = 0;
};
// Where one chunk's shards lie, after a repair; its references stay as they are. Of an absent row (removed meanwhile): nothing.
struct MoveChunk {
    Chunk chunk;
};
struct PutXattr {
    XattrRow row;
};
struct DeleteXattr {
    XattrKey key;
};
struct PutRecord {
    RecordRow row;
};
struct DeleteRecord {
    RecordKey key;
};
struct PutReap {
    ReapRow row;
};
struct DeleteReap {
    MapId map = 0;
};

using RowChange = std::variant<PutInode, DeleteInode, PutEntry, DeleteEntry, PutExtent, DeleteExtent, PutChunk, DeleteChunk, AdjustChunk,
                               PutXattr, DeleteXattr, PutRecord, DeleteRecord, PutReap, DeleteReap, MoveChunk>;

// One atomic command: all of it is applied or nothing.
using Command = std::vector<RowChange>;

// The bytes of a command as the log carries them: version, then each change. Errors of decode: bad_message, bad_version.
std::string encode(const Command& command);
Result<Command> decode_command(std::span<const std::byte> bytes);

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// StateMachine: applies commands to a database. It asks nothing but the commands and the rows, so that all replicas end equal; what makes
// no sense (references to an absent chunk, say) is passed over and counted, never an error: a command cannot stop a volume.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "cluster/meta/byte_codec.h"
#include "cluster/meta/rows.h"
#include "cluster/meta/schema.h"
#include "cluster/meta/sqlite_connection.h"

namespace strata::cluster {

// The key of a chunk in the database: big-endian, so that blobs sort as ids do.
std::string chunk_key(const ChunkId& id);
ChunkId chunk_of_key(std::string_view key);

// On the thread of its connection.
class StateMachine {
public:
    // Prepares the statements. `connection` outlives it.
    static Result<std::unique_ptr<StateMachine>> open(SqliteConnection& connection);

    // All commands in one transaction, with the applied index first + commands.size() - 1, where `first` is applied() + 1. An inode that
    // several of them put is written once, as the last put it. An error leaves the database as it was.
    Result<> apply(std::uint64_t first, std::span<const Command* const> commands);

    std::uint64_t applied() const { return state_.applied; }
    const VolumeState& state() const { return state_; }

private:
    explicit StateMachine(SqliteConnection& connection) : connection_(connection) {}
    Result<> prepare();
    Result<> apply_all(std::span<const Command* const> commands);
    Result<> write_inodes();
    Result<> write_state();

    Result<> change(const PutInode& put);
    Result<> change(const DeleteInode& remove);
    Result<> change(const PutEntry& put);
    Result<> change(const DeleteEntry& remove);
    Result<> change(const PutExtent& put);
    Result<> change(const DeleteExtent& remove);
    Result<> change(const PutChunk& put);
    Result<> change(const DeleteChunk& remove);
    Result<> change(const AdjustChunk& adjust);
    Result<> change(const MoveChunk& move);
    Result<> change(const PutXattr& put);
    Result<> change(const DeleteXattr& remove);
    Result<> change(const PutRecord& put);
    Result<> change(const DeleteRecord& remove);
    Result<> change(const PutReap& put);
    Result<> change(const DeleteReap& remove);

    SqliteConnection& connection_;
    VolumeState state_;
    std::unordered_map<InodeNumber, const InodeRow*> inodes_;  // of the batch under way; null: deleted
    InodeNumber inode_max_before_ = 0;                         // higher ones are not in the table
    SqliteStatement begin_, commit_, rollback_, write_state_;
    SqliteStatement insert_inode_, update_inode_, delete_inode_, delete_xattrs_;
    SqliteStatement put_entry_, delete_entry_, put_extent_, delete_extent_;
    SqliteStatement put_chunk_, delete_chunk_, adjust_chunk_, move_chunk_;
    SqliteStatement put_xattr_, delete_xattr_, put_record_, delete_record_, put_reap_, delete_reap_;
};

}  // namespace strata::cluster

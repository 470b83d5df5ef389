// SPDX-License-Identifier: Apache-2.0
// Row changes as prepared statements.
#include "cluster/meta/state_machine.h"

#include <algorithm>
#include <vector>

#include "cluster/meta/row_codec.h"
#include "server/base/assert.h"

namespace strata::cluster {

namespace {

template <class T>
void append_big_endian(std::string& out, T value) {
    for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

template <class T>
T take_big_endian(std::string_view in, std::size_t offset) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<T>((value << 8) | static_cast<std::uint8_t>(in[offset + i]));
    return value;
}

}  // namespace

std::string chunk_key(const ChunkId& id) {
    std::string key;
    key.reserve(16);
    append_big_endian(key, id.volume);
    append_big_endian(key, id.epoch);
    append_big_endian(key, id.counter);
    return key;
}

ChunkId chunk_of_key(std::string_view key) {
    if (key.size() != 16) return {};
    return {take_big_endian<std::uint32_t>(key, 0), take_big_endian<std::uint32_t>(key, 4), take_big_endian<std::uint64_t>(key, 8)};
}

Result<std::unique_ptr<StateMachine>> StateMachine::open(SqliteConnection& connection) {
    std::unique_ptr<StateMachine> machine(new StateMachine(connection));
    TRY(state, read_volume_state(connection));
    machine->state_ = state;
    CHECK_OK(machine->prepare());
    return std::move(machine);
}

Result<> StateMachine::prepare() {
    const std::pair<SqliteStatement*, const char*> all[] = {
        {&begin_, "BEGIN IMMEDIATE"},
        {&commit_, "COMMIT"},
        {&rollback_, "ROLLBACK"},
        {&write_state_, "UPDATE volume SET applied=?1, inode_max=?2, map_max=?3, inode_count=?4, anomalies=?5"},
        {&insert_inode_, "INSERT INTO inode(number, born, body) VALUES(?1, ?2, ?3)"},
        {&update_inode_, "UPDATE inode SET born=?2, body=?3 WHERE number=?1"},
        {&delete_inode_, "DELETE FROM inode WHERE number=?1"},
        {&delete_xattrs_, "DELETE FROM xattr WHERE inode=?1"},
        {&put_entry_,
         "INSERT OR REPLACE INTO entry(parent, cookie, born, name, folded, child, child_generation, child_type) "
         "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
        {&delete_entry_, "DELETE FROM entry WHERE parent=?1 AND name=?2"},
        {&put_extent_, "INSERT OR REPLACE INTO extent(map, start, born, length, chunk, chunk_offset) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
        {&delete_extent_, "DELETE FROM extent WHERE map=?1 AND start=?2"},
        {&put_chunk_, "INSERT OR REPLACE INTO chunk(id, born, refs, body) VALUES(?1, ?2, ?3, ?4)"},
        {&delete_chunk_, "DELETE FROM chunk WHERE id=?1"},
        {&move_chunk_, "UPDATE chunk SET body=?2 WHERE id=?1"},
        {&adjust_chunk_, "UPDATE chunk SET refs=refs+?2 WHERE id=?1 RETURNING refs"},
        {&put_xattr_, "INSERT OR REPLACE INTO xattr(inode, name, born, value) VALUES(?1, ?2, ?3, ?4)"},
        {&delete_xattr_, "DELETE FROM xattr WHERE inode=?1 AND name=?2"},
        {&put_record_, "INSERT OR REPLACE INTO record(kind, key, value) VALUES(?1, ?2, ?3)"},
        {&delete_record_, "DELETE FROM record WHERE kind=?1 AND key=?2"},
        {&put_reap_, "INSERT OR REPLACE INTO reap(map, start) VALUES(?1, ?2)"},
        {&delete_reap_, "DELETE FROM reap WHERE map=?1"},
    };
    for (const auto& [statement, sql] : all) {
        TRY(prepared, connection_.prepare(sql));
        *statement = std::move(prepared);
    }
    return {};
}

Result<> StateMachine::apply(std::uint64_t first, std::span<const Command* const> commands) {
    STRATA_ASSERT(first == state_.applied + 1);
    const auto before = state_;
    inodes_.clear();
    inode_max_before_ = state_.inode_max;
    CHECK_OK(begin_.execute());
    auto done = apply_all(commands);
    if (done) done = commit_.execute();
    if (done) return {};
    state_ = before;
    (void)rollback_.execute();  // SQLite may have done so itself
    return done;
}

Result<> StateMachine::apply_all(std::span<const Command* const> commands) {
    for (const auto* command : commands) {
        for (const auto& one : *command) CHECK_OK(std::visit([this](const auto& c) { return change(c); }, one));
    }
    CHECK_OK(write_inodes());
    state_.applied += commands.size();
    return write_state();
}

// In order of number: neighbours share pages.
Result<> StateMachine::write_inodes() {
    std::vector<std::pair<InodeNumber, const InodeRow*>> sorted(inodes_.begin(), inodes_.end());
    std::ranges::sort(sorted);
    for (const auto& [number, row] : sorted) {
        if (row == nullptr) {
            CHECK_OK(delete_inode_.bind(1, number).execute());
            state_.inode_count -= static_cast<std::uint64_t>(connection_.changes());
            continue;
        }
        ByteWriter body;
        write_inode_body(body, *row);
        std::int64_t updated = 0;
        if (number <= inode_max_before_) {
            CHECK_OK(update_inode_.bind(1, number).bind(2, state_.snapshot_epoch).bind(3, body.bytes()).execute());
            updated = connection_.changes();
        }
        if (updated == 0) {
            CHECK_OK(insert_inode_.bind(1, number).bind(2, state_.snapshot_epoch).bind(3, body.bytes()).execute());
            ++state_.inode_count;
        }
    }
    return {};
}

Result<> StateMachine::write_state() {
    return write_state_.bind(1, state_.applied)
        .bind(2, state_.inode_max)
        .bind(3, state_.map_max)
        .bind(4, state_.inode_count)
        .bind(5, state_.anomalies)
        .execute();
}

Result<> StateMachine::change(const PutInode& put) {
    inodes_[put.row.number] = &put.row;
    state_.inode_max = std::max(state_.inode_max, put.row.number);  // even if the batch deletes it again: batches differ, replicas must not
    state_.map_max = std::max(state_.map_max, put.row.map);
    return {};
}

Result<> StateMachine::change(const DeleteInode& remove) {
    inodes_[remove.number] = nullptr;
    return delete_xattrs_.bind(1, remove.number).execute();
}

Result<> StateMachine::change(const PutEntry& put) {
    const auto& row = put.row;
    put_entry_.bind(1, row.parent).bind(2, row.cookie).bind(3, state_.snapshot_epoch).bind(4, row.name);
    if (row.folded == row.name)
        put_entry_.bind_null(5);
    else
        put_entry_.bind(5, row.folded);
    return put_entry_.bind(6, row.child).bind(7, row.child_generation).bind(8, static_cast<std::uint64_t>(row.child_type)).execute();
}

Result<> StateMachine::change(const DeleteEntry& remove) {
    return delete_entry_.bind(1, remove.key.parent).bind(2, remove.key.name).execute();
}

Result<> StateMachine::change(const PutExtent& put) {
    const auto& row = put.row;
    state_.map_max = std::max(state_.map_max, row.map);
    const auto key = chunk_key(row.chunk);
    put_extent_.bind(1, row.map).bind(2, row.offset).bind(3, state_.snapshot_epoch).bind(4, row.length);
    if (row.chunk == ChunkId{})
        put_extent_.bind_null(5);
    else
        put_extent_.bind(5, key);
    return put_extent_.bind(6, row.chunk_offset).execute();
}

Result<> StateMachine::change(const DeleteExtent& remove) {
    return delete_extent_.bind(1, remove.key.map).bind(2, remove.key.offset).execute();
}

Result<> StateMachine::change(const PutChunk& put) {
    ByteWriter body;
    write_chunk_body(body, put.row.chunk);
    const auto key = chunk_key(put.row.chunk.id);
    return put_chunk_.bind(1, key).bind(2, state_.snapshot_epoch).bind(3, put.row.references).bind(4, body.bytes()).execute();
}

Result<> StateMachine::change(const DeleteChunk& remove) {
    const auto key = chunk_key(remove.id);
    return delete_chunk_.bind(1, key).execute();
}

Result<> StateMachine::change(const MoveChunk& move) {
    const auto key = chunk_key(move.chunk.id);
    ByteWriter body;
    write_chunk_body(body, move.chunk);
    return move_chunk_.bind(1, key).bind(2, body.bytes()).execute();
}

Result<> StateMachine::change(const AdjustChunk& adjust) {
    const auto key = chunk_key(adjust.id);
    adjust_chunk_.bind(1, key).bind(2, static_cast<std::uint64_t>(std::int64_t{adjust.delta}));
    TRY(found, adjust_chunk_.step());
    if (!found) {
        ++state_.anomalies;
        return {};
    }
    const auto references = static_cast<std::int64_t>(adjust_chunk_.number(0));
    CHECK_OK(adjust_chunk_.execute());  // to its end: the change counts only then
    if (references > 0) return {};
    if (references < 0) ++state_.anomalies;
    return delete_chunk_.bind(1, key).execute();
}

Result<> StateMachine::change(const PutXattr& put) {
    return put_xattr_.bind(1, put.row.inode).bind(2, put.row.name).bind(3, state_.snapshot_epoch).bind(4, put.row.value).execute();
}

Result<> StateMachine::change(const DeleteXattr& remove) {
    return delete_xattr_.bind(1, remove.key.inode).bind(2, remove.key.name).execute();
}

Result<> StateMachine::change(const PutRecord& put) {
    return put_record_.bind(1, put.row.table).bind(2, put.row.key).bind(3, put.row.value).execute();
}

Result<> StateMachine::change(const DeleteRecord& remove) {
    return delete_record_.bind(1, remove.key.table).bind(2, remove.key.key).execute();
}

Result<> StateMachine::change(const PutReap& put) {
    state_.map_max = std::max(state_.map_max, put.row.map);
    return put_reap_.bind(1, put.row.map).bind(2, put.row.from).execute();
}

Result<> StateMachine::change(const DeleteReap& remove) { return delete_reap_.bind(1, remove.map).execute(); }

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The bytes of a segment: records, each starting at a multiple of 4 KiB, then zeros.
//
//   segment  = record* zero*
//   record   = head data padding          padded to 4 KiB
//   head     = fixed table                if fixed, table and data together fit into one block, data follows at once;
//   fixed    = 80 bytes, below            else the head is padded to 4 KiB, so that data starts at a block
//   table    = u32 crc32c                 one for each 4 KiB of data (the last may be short)
//
// All numbers are little-endian. The record names its store, segment and position, so that neither a stale block nor user data that
// contains a segment is ever taken for a record. Data are immutable; a head never changes.
//
//   0 u64 magic   8 u16 format   10 u8 kind   11 u8 shard   12 u32 volume   16 u32 epoch   20 u32 length   24 u64 counter
//   32 u32 segment   36 u32 block   40 u32 digest   44 u32 synced_before   48 u8[16] store   64 u64 zero   72 u32 table entries
//   76 u32 crc32c of the head (fixed and table) with this field zero
//
// kind 1: a shard. kind 2: removals; the data are entries of 24 bytes: u32 volume, u32 epoch, u64 counter, u8 shard, u8[3] zero,
// u32 segment that holds the removed record. A removal cancels every earlier record of its key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cluster/chunk/chunk_store.h"
#include "server/base/result.h"

namespace strata::cluster {

constexpr std::uint64_t record_magic = 0x4345524341525453;  // "STRACREC"
constexpr std::uint16_t record_format = 1;
constexpr std::size_t record_block = 4096;
constexpr std::size_t record_fixed_size = 80;
constexpr std::size_t removal_entry_size = 24;
constexpr std::size_t removals_per_record_max = 4096;

enum class RecordKind : std::uint8_t { shard = 1, removals = 2 };

struct RecordHeader {
    RecordKind kind = RecordKind::shard;
    ShardKey key;              // zero for removals
    std::uint32_t length = 0;  // bytes of data
    std::uint32_t segment = 0;
    std::uint32_t block = 0;  // own position in the segment, in blocks
    std::uint32_t digest = 0;
    std::uint32_t synced_before = 0;  // when this was written, all blocks before this one were on stable storage
    Uuid store{};
};

constexpr std::size_t blocks_for(std::size_t bytes) { return (bytes + record_block - 1) / record_block; }
constexpr std::size_t table_entries(std::size_t length) { return (length + checksum_block_size - 1) / checksum_block_size; }
// Bytes of fixed part and table.
constexpr std::size_t head_size(std::size_t length) { return record_fixed_size + 4 * table_entries(length); }
// Where data start, from the start of the record.
constexpr std::size_t data_offset(std::size_t length) {
    const std::size_t head = head_size(length);
    return head + length <= record_block ? head : blocks_for(head) * record_block;
}
constexpr std::uint32_t record_blocks(std::size_t length) { return static_cast<std::uint32_t>(blocks_for(data_offset(length) + length)); }
constexpr std::uint32_t record_blocks_max = record_blocks(shard_size_max);

// The head with its table, padded up to data_offset().
std::vector<std::byte> encode_head(const RecordHeader& header, std::span<const std::uint32_t> table);

// What the first record_fixed_size bytes say if they are plausible: magic, known bounds, this store, segment and block. The CRC is not
// checked yet: that takes the whole head. nullopt: no record starts here.
struct RecordPosition {
    Uuid store{};
    std::uint32_t segment = 0;
    std::uint32_t block = 0;
};
std::optional<RecordHeader> peek_head(std::span<const std::byte> fixed, const RecordPosition& expected);

struct RecordHead {
    RecordHeader header;
    std::vector<std::uint32_t> table;
};
// `bytes`: at least head_size() of what peek_head() told. Errors: corrupt; bad_version: a sound head of a later format.
Result<RecordHead> decode_head(std::span<const std::byte> bytes, const RecordPosition& expected);

struct Removal {
    ShardKey key;
    std::uint32_t segment = 0;  // of the record it removes
};
std::vector<std::byte> encode_removals(std::span<const Removal> removals);
// Errors: corrupt.
Result<std::vector<Removal>> decode_removals(std::span<const std::byte> bytes);

}  // namespace strata::cluster

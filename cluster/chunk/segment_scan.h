// SPDX-License-Identifier: Apache-2.0
// Scanning: what a segment holds, found from its bytes alone.
//
// Every block may start a record. A sound head is trusted for its length; behind anything else the search goes on at the next block.
// `synced_before` of the newest record parts the segment: before it, damage is bit rot (told and counted, the record stays known so
// that its sound blocks can be read); from there on it is a torn tail, whose records were never acknowledged and are dropped. Only what
// could be read is ever taken for torn.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/chunk/segment_format.h"
#include "server/base/disk.h"

namespace strata::cluster {

// A shard that was put, or a removal of one: the log that the index is replayed from, in order.
struct SegmentEntry {
    RecordKind kind = RecordKind::shard;
    ShardKey key;
    std::uint32_t place = 0;   // shard: block where its record starts; removal: segment of the removed record
    std::uint32_t length = 0;  // shards
    std::uint32_t digest = 0;
    friend bool operator==(const SegmentEntry&, const SegmentEntry&) = default;
};

struct SegmentContents {
    std::vector<SegmentEntry> entries;
    std::uint32_t used_blocks = 0;      // up to the end of the last record
    std::uint32_t damaged_records = 0;  // kept, though some of their blocks are bad
    std::uint32_t damaged_blocks = 0;   // neither zero nor part of a record, before the tail; or unreadable
    std::uint32_t torn_records = 0;     // dropped from the tail
};

// Reads the whole file, data included. Errors: bad_version (a later release wrote it), io (the size cannot be told, or the tail
// cannot be read).
Result<SegmentContents> scan_segment(File& file, const Uuid& store, std::uint32_t segment);

}  // namespace strata::cluster

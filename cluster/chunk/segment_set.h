// SPDX-License-Identifier: Apache-2.0
// SegmentSet: the state of a store in memory: which shard lies where, and how much of each segment is alive. Pure bookkeeping without
// I/O; not synchronised.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "cluster/chunk/segment_files.h"
#include "cluster/chunk/shard_index.h"

namespace strata::cluster {

class SegmentSet {
public:
    const ShardIndex& index() const { return index_; }
    SegmentPtr find(std::uint32_t sequence) const;
    const std::map<std::uint32_t, SegmentPtr>& segments() const { return segments_; }
    std::uint64_t live_bytes() const { return live_bytes_; }

    void add(SegmentPtr segment);
    // Forgets a segment without live shards; removals of other segments that named it are not needed any more.
    void drop(std::uint32_t sequence);

    // A record was written (or found when replaying): it is the newest of its key.
    void put(const ShardKey& key, const ShardLocation& location);
    // The shard is gone. Returns where it lay.
    std::optional<ShardLocation> erase(const ShardKey& key);
    // A record moved. False: the shard is not at `from` any more, and nothing changes.
    bool move(const ShardKey& key, const ShardLocation& from, const ShardLocation& to);
    // The segment `holder` now carries a removal of a record in `target`.
    void count_removal(std::uint32_t holder, std::uint32_t target);

    // Its removals were carried on to other segments: it is only waiting to be dropped.
    void forget_removals(std::uint32_t holder);

    // Replays a segment's entries; segments in ascending order.
    void replay(std::uint32_t segment, std::span<const SegmentEntry> entries);

    // Sealed segments without any live shard and without removals that are still needed.
    std::vector<SegmentPtr> dead() const;
    // The sealed segment whose compaction frees most for what it copies: live below `percent` of what it uses. Null: none.
    SegmentPtr victim(unsigned percent) const;
    // Sealed segments shorter than `blocks`, ascending, that starts left behind: worth merging if there are many.
    std::vector<SegmentPtr> shorter_than(std::uint32_t blocks) const;

private:
    void release(const ShardLocation& location);

    ShardIndex index_;
    std::map<std::uint32_t, SegmentPtr> segments_;
    std::map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>> removals_;  // target -> holder -> count
    std::uint64_t live_bytes_ = 0;
};

}  // namespace strata::cluster

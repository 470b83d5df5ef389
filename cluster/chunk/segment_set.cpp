// SPDX-License-Identifier: Apache-2.0
// Bookkeeping of segments and live shards.
#include "cluster/chunk/segment_set.h"

#include "cluster/chunk/segment_format.h"
#include "server/base/assert.h"

namespace strata::cluster {

SegmentPtr SegmentSet::find(std::uint32_t sequence) const {
    const auto it = segments_.find(sequence);
    return it == segments_.end() ? nullptr : it->second;
}

void SegmentSet::add(SegmentPtr segment) { segments_.emplace(segment->sequence, std::move(segment)); }

void SegmentSet::drop(std::uint32_t sequence) {
    const auto it = segments_.find(sequence);
    if (it == segments_.end()) return;
    STRATA_ASSERT(it->second->live_shards == 0);
    segments_.erase(it);
    if (const auto named = removals_.find(sequence); named != removals_.end()) {
        for (const auto& [holder, count] : named->second) {
            if (const auto segment = find(holder)) segment->removals -= count;
        }
        removals_.erase(named);
    }
    for (auto& [target, holders] : removals_) holders.erase(sequence);
}

void SegmentSet::forget_removals(std::uint32_t holder) {
    for (auto& [target, holders] : removals_) holders.erase(holder);
    if (const auto segment = find(holder)) segment->removals = 0;
}

void SegmentSet::release(const ShardLocation& location) {
    live_bytes_ -= location.length;
    if (const auto segment = find(location.segment)) {
        segment->live_blocks -= record_blocks(location.length);
        --segment->live_shards;
    }
}

void SegmentSet::put(const ShardKey& key, const ShardLocation& location) {
    if (const auto old = index_.insert(key, location)) release(*old);
    live_bytes_ += location.length;
    const auto segment = find(location.segment);
    STRATA_ASSERT(segment != nullptr);
    segment->live_blocks += record_blocks(location.length);
    ++segment->live_shards;
}

std::optional<ShardLocation> SegmentSet::erase(const ShardKey& key) {
    auto old = index_.erase(key);
    if (old) release(*old);
    return old;
}

bool SegmentSet::move(const ShardKey& key, const ShardLocation& from, const ShardLocation& to) {
    if (index_.find(key) != from) return false;
    put(key, to);
    return true;
}

void SegmentSet::count_removal(std::uint32_t holder, std::uint32_t target) {
    const auto segment = find(holder);
    if (holder == target || segment == nullptr || find(target) == nullptr) return;
    ++removals_[target][holder];
    ++segment->removals;
}

void SegmentSet::replay(std::uint32_t segment, std::span<const SegmentEntry> entries) {
    for (const SegmentEntry& e : entries) {
        if (e.kind == RecordKind::shard) {
            put(e.key, {segment, e.place, e.length, e.digest});
        } else {
            erase(e.key);
            count_removal(segment, e.place);
        }
    }
}

std::vector<SegmentPtr> SegmentSet::dead() const {
    std::vector<SegmentPtr> out;
    for (const auto& [sequence, segment] : segments_) {
        if (segment->sealed && segment->live_shards == 0 && segment->removals == 0) out.push_back(segment);
    }
    return out;
}

SegmentPtr SegmentSet::victim(unsigned percent) const {
    SegmentPtr best;
    for (const auto& [sequence, segment] : segments_) {
        if (!segment->sealed || segment->stuck) continue;
        const std::uint64_t removal_blocks = segment->removals == 0 ? 0 : record_blocks(segment->removals * removal_entry_size);
        const std::uint64_t kept = segment->live_blocks + removal_blocks;
        if (kept * 100 >= std::uint64_t{segment->size_blocks} * percent) continue;
        const auto freed = [](const Segment& s) { return s.size_blocks - s.live_blocks; };
        if (best == nullptr || freed(*segment) > freed(*best)) best = segment;
    }
    return best;
}

std::vector<SegmentPtr> SegmentSet::shorter_than(std::uint32_t blocks) const {
    std::vector<SegmentPtr> out;
    for (const auto& [sequence, segment] : segments_) {
        if (segment->sealed && !segment->stuck && segment->size_blocks < blocks) out.push_back(segment);
    }
    return out;
}

}  // namespace strata::cluster

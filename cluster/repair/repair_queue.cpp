// SPDX-License-Identifier: Apache-2.0
// The queue of damaged chunks.
#include "cluster/repair/repair_queue.h"

namespace strata::cluster {

bool RepairQueue::report(const ChunkId& id, std::uint32_t shards) {
    std::lock_guard lock(mutex_);
    if (const auto known = entries_.find(id); known != entries_.end()) {
        Entry& entry = known->second;
        (entry.taken ? entry.bad_since : entry.bad) |= shards;
        return true;
    }
    if (entries_.size() >= bound_) return false;
    entries_.emplace(id, Entry{.bad = shards});
    unranked_.insert(id);
    return true;
}

std::optional<std::pair<ChunkId, std::uint32_t>> RepairQueue::next_unranked() {
    std::lock_guard lock(mutex_);
    if (unranked_.empty()) return std::nullopt;
    const ChunkId id = *unranked_.begin();
    unranked_.erase(unranked_.begin());
    Entry& entry = entries_.at(id);
    entry.taken = true;
    return std::pair{id, entry.bad};
}

void RepairQueue::rank(const ChunkId& id, int spare) {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_.at(id);
    entry = {.bad = entry.bad | entry.bad_since};
    ranked_.emplace(spare, id);
}

std::optional<ChunkId> RepairQueue::next() {
    std::lock_guard lock(mutex_);
    if (ranked_.empty()) return std::nullopt;
    const ChunkId id = ranked_.begin()->second;
    ranked_.erase(ranked_.begin());
    entries_.at(id).taken = true;
    return id;
}

void RepairQueue::finish(const ChunkId& id, std::uint32_t mended) {
    std::lock_guard lock(mutex_);
    const auto at = entries_.find(id);
    if (at == entries_.end()) return;
    if (const std::uint32_t left = at->second.bad_since & ~mended; left != 0) {
        at->second = {.bad = left};
        unranked_.insert(id);
    } else {
        entries_.erase(at);
    }
}

std::uint32_t RepairQueue::give_up(const ChunkId& id) {
    std::lock_guard lock(mutex_);
    const auto at = entries_.find(id);
    if (at == entries_.end()) return 0;
    const std::uint32_t bad = at->second.bad | at->second.bad_since;
    entries_.erase(at);
    return bad;
}

std::size_t RepairQueue::size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
}

bool RepairQueue::has_room() const {
    std::lock_guard lock(mutex_);
    return entries_.size() < bound_ / 2;
}

}  // namespace strata::cluster

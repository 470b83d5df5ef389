// SPDX-License-Identifier: Apache-2.0
// The queue of damaged chunks.
#include "cluster/repair/repair_queue.h"

namespace strata::cluster {

bool RepairQueue::report(const ChunkId& id, std::uint32_t shards) {
    std::lock_guard lock(mutex_);
    if (const auto known = bad_shards_.find(id); known != bad_shards_.end()) {
        known->second |= shards;
        return true;
    }
    if (bad_shards_.size() >= bound_) return false;
    bad_shards_.emplace(id, shards);
    unranked_.insert(id);
    return true;
}

std::optional<std::pair<ChunkId, std::uint32_t>> RepairQueue::next_unranked() {
    std::lock_guard lock(mutex_);
    if (unranked_.empty()) return std::nullopt;
    const ChunkId id = *unranked_.begin();
    unranked_.erase(unranked_.begin());
    return std::pair{id, bad_shards_.at(id)};
}

void RepairQueue::rank(const ChunkId& id, int spare) {
    std::lock_guard lock(mutex_);
    ranked_.emplace(spare, id);
}

std::optional<ChunkId> RepairQueue::next() {
    std::lock_guard lock(mutex_);
    if (ranked_.empty()) return std::nullopt;
    const ChunkId id = ranked_.begin()->second;
    ranked_.erase(ranked_.begin());
    return id;
}

void RepairQueue::finish(const ChunkId& id) {
    std::lock_guard lock(mutex_);
    bad_shards_.erase(id);
}

std::size_t RepairQueue::size() const {
    std::lock_guard lock(mutex_);
    return bad_shards_.size();
}

bool RepairQueue::has_room() const {
    std::lock_guard lock(mutex_);
    return bad_shards_.size() < bound_ / 2;
}

}  // namespace strata::cluster

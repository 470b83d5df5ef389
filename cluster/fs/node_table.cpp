// SPDX-License-Identifier: Apache-2.0
// NodeTable: sharded map with a clock hand.
#include "cluster/fs/node_table.h"

namespace strata::cluster {

NodeTable::NodeTable(std::size_t nodes_max, std::function<bool(const Node&)> evictable)
    : shards_(std::make_unique<Shard[]>(shard_count)),
      per_shard_max_(std::max<std::size_t>(nodes_max / shard_count, 16)),
      evictable_(std::move(evictable)) {}

NodePtr NodeTable::find(InodeNumber number) {
    Shard& s = shard(number);
    std::lock_guard lock(s.mutex);
    auto it = s.nodes.find(number);
    if (it == s.nodes.end()) return nullptr;
    it->second.used = true;
    return it->second.node;
}

void NodeTable::begin_load(InodeNumber number) {
    Shard& s = shard(number);
    std::lock_guard lock(s.mutex);
    ++s.loading[number];
}

NodePtr NodeTable::end_load(InodeNumber number, std::optional<InodeRow> row) {
    Shard& s = shard(number);
    std::lock_guard lock(s.mutex);
    if (auto it = s.loading.find(number); it != s.loading.end() && --it->second == 0) s.loading.erase(it);
    if (auto it = s.nodes.find(number); it != s.nodes.end()) return it->second.node;
    if (!row) return nullptr;
    auto node = std::make_shared<Node>(std::move(*row));
    put(s, node);
    return node;
}

void NodeTable::insert(NodePtr node) {
    Shard& s = shard(node->number);
    std::lock_guard lock(s.mutex);
    put(s, std::move(node));
}

void NodeTable::put(Shard& s, NodePtr node) {
    const InodeNumber number = node->number;
    s.nodes.emplace(number, Slot{std::move(node), true});
    s.ring.push_back(number);
    size_.fetch_add(1, std::memory_order_relaxed);
    if (s.nodes.size() > per_shard_max_) evict_some(s);
}

// A few steps of the clock hand for each insertion: never a long stop under the mutex.
void NodeTable::evict_some(Shard& s) {
    for (int step = 0; step < 8 && s.nodes.size() > per_shard_max_; ++step) {
        if (s.hand >= s.ring.size()) s.hand = 0;
        const InodeNumber number = s.ring[s.hand];
        Slot& slot = s.nodes.find(number)->second;
        if (slot.used) {
            slot.used = false;
            ++s.hand;
            continue;
        }
        Node& node = *slot.node;
        // use_count 1: only the table holds it, and only this shard's mutex gives it out.
        bool evict = slot.node.use_count() == 1 && !s.loading.contains(number);
        if (evict) {
            std::unique_lock lock(node.mutex, std::try_to_lock);
            evict = lock.owns_lock() && evictable_(node);
        }
        if (!evict) {
            ++s.hand;
            continue;
        }
        s.nodes.erase(number);
        size_.fetch_sub(1, std::memory_order_relaxed);
        s.ring[s.hand] = s.ring.back();
        s.ring.pop_back();
    }
}

void NodeTable::for_each(const std::function<void(const NodePtr&)>& visit) {
    for (std::size_t i = 0; i < shard_count; ++i) {
        std::vector<NodePtr> nodes;
        {
            std::lock_guard lock(shards_[i].mutex);
            nodes.reserve(shards_[i].nodes.size());
            for (const auto& [number, slot] : shards_[i].nodes) nodes.push_back(slot.node);
        }
        for (const auto& node : nodes) visit(node);
    }
}

}  // namespace strata::cluster

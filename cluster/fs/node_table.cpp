// SPDX-License-Identifier: Apache-2.0
// NodeTable: sharded map with a clock hand.
#include "cluster/fs/node_table.h"

#include <algorithm>

namespace strata::cluster {

namespace {

constexpr std::size_t nodes_min = 1024;
constexpr std::size_t heavy_bytes = 256 << 10;  // freeing so much takes a while
constexpr std::size_t weigh_step = 4096;        // smaller changes are not worth a look

}  // namespace

NodeTable::NodeTable(std::size_t nodes_max, std::function<bool(const Node&)> evictable, std::function<void(NodePtr)> bury)
    : shards_(std::make_unique<Shard[]>(shard_count)),
      bytes_max_(std::max(nodes_max, nodes_min) * node_bytes),
      evictable_(std::move(evictable)),
      bury_(std::move(bury)) {}

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
    Evicted evicted;
    NodePtr node;
    {
        std::lock_guard lock(s.mutex);
        if (auto it = s.loading.find(number); it != s.loading.end() && --it->second == 0) s.loading.erase(it);
        if (auto it = s.nodes.find(number); it != s.nodes.end()) return it->second.node;
        if (!row) return nullptr;
        node = std::make_shared<Node>(std::move(*row));
        put(s, node, evicted);
    }
    bury(evicted);
    return node;
}

void NodeTable::insert(NodePtr node) {
    Shard& s = shard(node->number);
    Evicted evicted;
    {
        std::lock_guard lock(s.mutex);
        put(s, std::move(node), evicted);
    }
    bury(evicted);
}

void NodeTable::weigh(Node& node) {
    const std::size_t weight = node.weight();
    const std::size_t before = node.weighed;
    if (before == 0 || (weight < before + weigh_step && before < weight + weigh_step)) return;  // 0: not in the table (any more)
    node.weighed = weight;
    if (bytes_.fetch_add(weight - before, std::memory_order_relaxed) + (weight - before) <= bytes_max_ || weight < before) return;
    Shard& s = shard(node.number);
    Evicted evicted;
    {
        std::lock_guard lock(s.mutex);
        evict_some(s, evicted);
    }
    bury(evicted);
}

void NodeTable::bury(Evicted& evicted) {
    for (auto& node : evicted) {
        if (bury_ && node->weighed >= heavy_bytes) bury_(std::move(node));
    }
    evicted.clear();
}

void NodeTable::put(Shard& s, NodePtr node, Evicted& evicted) {
    const InodeNumber number = node->number;
    node->weighed = node_bytes;
    s.nodes.emplace(number, Slot{std::move(node), true});
    s.ring.push_back(number);
    size_.fetch_add(1, std::memory_order_relaxed);
    if (bytes_.fetch_add(node_bytes, std::memory_order_relaxed) + node_bytes > bytes_max_) evict_some(s, evicted);
}

// A few steps of the clock hand for each insertion: never a long stop under the mutex.
void NodeTable::evict_some(Shard& s, Evicted& evicted) {
    for (int step = 0; step < 8 && bytes() > bytes_max_ && !s.ring.empty(); ++step) {
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
            if (evict) node.evicted = true;
        }
        if (!evict) {
            ++s.hand;
            continue;
        }
        bytes_.fetch_sub(node.weighed, std::memory_order_relaxed);
        size_.fetch_sub(1, std::memory_order_relaxed);
        evicted.push_back(std::move(slot.node));
        s.nodes.erase(number);
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

// SPDX-License-Identifier: Apache-2.0
// NodeTable: the inodes in memory, by number, in shards under short mutexes; bounded in bytes, evicting what is clean and unused.
//
// Who loads a number registers it first, and a registered number is not evicted. So when a load comes back and finds no node, nobody
// can have changed that inode meanwhile, and its row is the newest.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "cluster/fs/node.h"

namespace strata::cluster {

class NodeTable {
public:
    // The bound is that of `nodes_max` small inodes. `evictable(node)` is asked with the shard's and the node's mutex held. `bury` is given
    // evicted nodes whose end takes long; without it they end where they were evicted.
    NodeTable(std::size_t nodes_max, std::function<bool(const Node&)> evictable, std::function<void(NodePtr)> bury = {});

    // The node, or null if it is not in memory. Lock: one shard, shortly.
    NodePtr find(InodeNumber number);
    // Before and after a load. end_load() inserts `row`'s node unless one is there, and returns the one that counts; without a row it
    // returns what is there or null.
    void begin_load(InodeNumber number);
    NodePtr end_load(InodeNumber number, std::optional<InodeRow> row);
    // A new inode, which nobody can know yet.
    void insert(NodePtr node);
    // The node has grown or shrunk. Its mutex is held, and the caller holds a pointer to it.
    void weigh(Node& node);
    std::size_t size() const { return size_.load(std::memory_order_relaxed); }
    std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
    // Calls `visit` with every node in memory, without any mutex held.
    void for_each(const std::function<void(const NodePtr&)>& visit);

private:
    struct Slot {
        NodePtr node;
        bool used = true;
    };
    struct alignas(64) Shard {
        std::mutex mutex;
        std::unordered_map<InodeNumber, Slot> nodes;
        std::vector<InodeNumber> ring;  // for the clock hand
        std::size_t hand = 0;
        std::unordered_map<InodeNumber, int> loading;
    };
    static constexpr std::size_t shard_count = 64;

    Shard& shard(InodeNumber number) { return shards_[(number * 0x9e3779b97f4a7c15ull) >> 58]; }
    using Evicted = boost::container::small_vector<NodePtr, 8>;
    void put(Shard& s, NodePtr node, Evicted& evicted);
    void evict_some(Shard& s, Evicted& evicted);
    // Lets evicted nodes end; no shard's mutex held.
    void bury(Evicted& evicted);

    std::unique_ptr<Shard[]> shards_;
    std::size_t bytes_max_;
    std::function<bool(const Node&)> evictable_;
    std::function<void(NodePtr)> bury_;
    std::atomic<std::size_t> size_{0};
    std::atomic<std::size_t> bytes_{0};
};

}  // namespace strata::cluster

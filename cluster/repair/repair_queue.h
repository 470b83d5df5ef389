// SPDX-License-Identifier: Apache-2.0
// RepairQueue: damaged chunks, each once, the most endangered first. Bounded. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "cluster/stripe/stripe.h"

namespace strata::cluster {

class RepairQueue {
public:
    explicit RepairQueue(std::size_t bound) : bound_(bound) {}

    // `shards`: bit i for each shard known to be bad. Told again, the bits add up. False: the queue is full; a sweep has to find it later.
    bool report(const ChunkId& id, std::uint32_t shards);

    // A chunk whose danger is not known yet, with its bad shards: the caller looks it up and calls rank(), finish() or give_up().
    std::optional<std::pair<ChunkId, std::uint32_t>> next_unranked();
    // `spare`: losses that the chunk still bears (negative: it is past mending).
    void rank(const ChunkId& id, int spare);
    // The chunk with the fewest spare shards; it counts as being worked on until finish() or give_up().
    std::optional<ChunkId> next();
    // Done with it, and with its shards `mended`. What else was reported since it was taken is new damage: it is in the queue again.
    void finish(const ChunkId& id, std::uint32_t mended = 0);
    // It could not be done: out of the queue. Returns all that is known to be bad.
    std::uint32_t give_up(const ChunkId& id);

    std::size_t size() const;  // waiting or being worked on
    bool has_room() const;     // for a sweep, which leaves half of it to what reads find

private:
    std::size_t bound_;
    mutable std::mutex mutex_;
    struct Entry {
        std::uint32_t bad = 0;
        std::uint32_t bad_since = 0;  // reported while it was being worked on
        bool taken = false;
    };
    std::map<ChunkId, Entry> entries_;  // every chunk in the queue
    std::set<ChunkId> unranked_;
    std::set<std::pair<int, ChunkId>> ranked_;
};

}  // namespace strata::cluster

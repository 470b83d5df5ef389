// SPDX-License-Identifier: Apache-2.0
// Upkeep: the background work of one store: gives back dead segments, compacts mostly dead ones, writes checkpoints, watches space.
#pragma once

#include <memory>

#include "cluster/chunk/append_queue.h"
#include "cluster/chunk/segment_store_state.h"
#include "server/base/pool.h"
#include "server/base/signal.h"
#include "server/base/task_group.h"

namespace strata::cluster {

class Upkeep {
public:
    Upkeep(SegmentStoreState& state, AppendQueue& queue, Pool& pool);

    // Starts the background coroutine; it ends at stop().
    void start();
    // Work may have come up. Any thread.
    void kick() { work_.raise(work_.value() + 1); }
    Task<> stop();

    // One round: until nothing is left to do. Errors: io, no_space (compaction found no room).
    Task<Result<>> run_once();
    // Blocking; on the pool.
    void write_checkpoints();

private:
    Task<> run();
    void drop_dead();
    SegmentPtr choose_victim();
    unsigned live_percent_max() const;
    Task<Result<>> compact(SegmentPtr victim);
    bool is_gone(const Segment& segment);
    // Blocking parts of compaction.
    struct Plan {
        std::vector<AppendQueue::Move> moves;  // without their data
        std::vector<Removal> removals;
    };
    Result<Plan> plan(const Segment& victim);
    Result<std::vector<AppendQueue::Move>> load(const Segment& victim, std::span<AppendQueue::Move> moves);
    void lose(const ShardKey& key, const ShardLocation& location);

    SegmentStoreState& state_;
    AppendQueue& queue_;
    Pool& pool_;
    Signal work_;
    TaskGroup tasks_;
    Counter& compactions_;
    Counter& lost_;
};

}  // namespace strata::cluster

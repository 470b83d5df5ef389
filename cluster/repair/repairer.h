// SPDX-License-Identifier: Apache-2.0
// Repairer: makes damaged chunks whole again, in the background: what reads and scrubs report, and all that a lost store held.
//
// For each chunk: look up its record, rebuild what is bad onto other stores, commit the new record, remove what the old one named. When
// a store is lost, or one comes, a sweep over all records finds what that concerns.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/repair/chunk_catalog.h"
#include "cluster/repair/repair_queue.h"
#include "cluster/repair/token_bucket.h"
#include "cluster/stripe/stripe.h"
#include "server/base/runtime.h"
#include "server/base/signal.h"
#include "server/base/task_group.h"

namespace strata::cluster {

struct RepairConfig {
    std::uint64_t bytes_per_second = 1u << 30;  // of file data; 0: no limit
    std::size_t queue_max = 100'000;
    Duration missing_delay = 10min;  // a missing store may be mounted again; a failed one is replaced at once
    Duration poll_interval = 5s;     // between looks at the stores
    Duration retry_delay = 10min;    // before a chunk that could not be mended is tried again
    int at_once = 8;                 // chunks being mended, each of at most chunk_size_max bytes
};

struct RepairProgress {
    std::uint64_t waiting = 0;       // chunks in the queue or under way
    std::uint64_t mended = 0;        // chunks, since the start
    std::uint64_t mended_bytes = 0;  // of their file data
    std::uint64_t unmendable = 0;    // chunks at last try: past the tolerance, or without a store to put them on
    bool sweeping = false;
    std::uint64_t swept = 0;  // records seen by this sweep, or the last
};

class Repairer final : public DamageSink {
public:
    Repairer(const Runtime& runtime, RepairConfig config);
    ~Repairer() override;

    // DamageSink. Any thread.
    void damaged(const ChunkId& id, int shard) override;

    // Starts the background work; what was reported before is in the queue. The parts outlive stop().
    void start(StripeIo& stripes, StoreSet& stores, ChunkCatalog& catalog);
    Task<> stop();

    RepairProgress progress() const;
    // Looks at every record again, soon.
    void sweep_soon();
    // Until nothing is waiting and no sweep is due. Errors: timed_out.
    Task<Result<>> wait_idle(Instant deadline);

private:
    struct StoreView {
        StoreState state = StoreState::missing;
        Instant since{};     // in this state
        bool acted = false;  // a sweep has begun since it came or was given up
    };
    // A chunk to be tried again, with the shards that were reported.
    struct Retry {
        Instant due;
        std::uint32_t bad = 0;
    };
    // What mending a chunk came to. changed: something was mended; else there was nothing to do any more.
    struct Mended {
        bool changed = false;
        std::uint32_t shards = 0;
    };

    Task<> mend_all();
    Task<> watch();
    // False: it could not be finished.
    Task<bool> sweep();
    bool look_at_stores();
    // Puts back into the queue what could not be mended, and is due.
    void try_again();
    // True: a store has room now for what had nowhere to go.
    bool room_came() const;
    // The shard has to be made anew now (a missing store is given time first).
    bool lost(const ShardPlace& place) const;
    bool spare_store_exists(const Chunk& chunk) const;
    std::uint32_t bad_shards(const Chunk& chunk) const;

    Task<> rank_reported();
    // Looks the chunk up, waits for its turn, and starts mending it beside others.
    Task<> begin_to_mend(ChunkId id);
    Task<> mend(Chunk chunk);
    Task<Result<Mended>> mend_chunk(const Context& ctx, const Chunk& before);
    Task<> remove_difference(const Context& ctx, const Chunk& shards_of, const Chunk& kept);
    bool may_try(const ChunkId& id) const;
    void postpone(const ChunkId& id);
    void note_unplaced(const Chunk& chunk);
    // Out of the queue until `delay` has passed.
    void give_up(const ChunkId& id, Duration delay);
    void forget(const ChunkId& id);
    Context context() const;

    Runtime runtime_;
    RepairConfig config_;
    Log log_;
    RepairQueue queue_;
    TokenBucket bucket_;
    StripeIo* stripes_ = nullptr;
    StoreSet* stores_ = nullptr;
    ChunkCatalog* catalog_ = nullptr;

    mutable std::mutex mutex_;  // guards the rest of the state
    RepairProgress progress_;
    std::map<ChunkId, Retry> tried_;        // what could not be mended
    std::map<ChunkId, Instant> postponed_;  // on a store that may come back soon: not looked up at each read
    std::map<StoreIndex, StoreView> views_;
    bool sweep_due_ = false;
    Instant sweep_at_ = Instant::max();    // when a sweep is due even if nothing happens
    std::set<ChunkId> unplaced_;           // chunks that lack shards, and no store can take them; the next sweep looks anew
    std::optional<Chunk> unplaced_chunk_;  // one of them
    int mending_ = 0;                      // chunks

    std::shared_ptr<Signal> work_;  // something was reported, or the stores changed
    Signal idle_;                   // counts the times that nothing was left
    TaskGroup tasks_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// AppendQueue: all that is to be written to one store, in order. One flusher takes what has queued up, writes it with few gathered
// writes and one fdatasync, and wakes all who wait together.
//
// Order on the disk is order of arrival, removals that are pending at the time first; replaying segments in order therefore gives the
// state that was acknowledged. A shard that compaction moves is written only if it has not been removed since.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "cluster/chunk/segment_store_state.h"
#include "cluster/chunk/segment_writer.h"
#include "server/base/context.h"
#include "server/base/pool.h"
#include "server/base/signal.h"

namespace strata::cluster {

class AppendQueue {
public:
    AppendQueue(SegmentStoreState& state, std::uint32_t next_sequence);

    // As ChunkStore::put.
    Task<Result<>> put(const Context& ctx, ShardKey key, BufferChain data, ShardChecksums checksums);

    // Copies of live shards to the front of the log; on stable storage when it returns. Those that were removed meanwhile are left out.
    struct Move {
        ShardKey key;
        ShardLocation from;
        BufferChain data;
        ShardChecksums checksums;
    };
    Task<Result<>> move(std::vector<Move> moves);

    // Takes the shards out of the index at once; their removals reach the disk with the next puts. True: a segment may have died.
    bool remove(std::span<const ShardKey> keys);
    // Removals of earlier records that compaction has to carry on; on stable storage when it returns. Those of keys that are there again
    // are dropped. Errors: io, closed.
    Task<Result<>> carry(std::vector<Removal> removals);

    // Refuses further puts, waits for those under way, writes pending removals and seals the active segment.
    Task<> close();

    std::uint64_t remaining_bytes() const { return writer_.remaining_bytes(); }

private:
    struct Pending {
        AppendRecord record;
        std::optional<ShardLocation> moved_from;
        std::uint64_t ticket = 0;
    };
    using PendingPtr = std::shared_ptr<Pending>;
    struct Batch {
        std::vector<PendingPtr> items;
        std::vector<std::unique_ptr<AppendRecord>> removals;
        std::uint64_t bytes = 0;
    };

    Task<Result<>> wait_for_room(const Context& ctx);
    // Queues the item. Mutex held. True: the caller has to start the flusher.
    bool enqueue(PendingPtr item);
    void start_flush();
    void flush();
    Batch take_batch();
    void take_removals(Batch& batch);
    void finish_batch(Batch& batch, const Result<>& written);
    void apply(const Pending& item);

    SegmentStoreState& state_;
    SegmentWriter writer_;  // the flusher's alone
    // Guarded by state_.mutex:
    std::deque<PendingPtr> queue_;
    std::vector<Removal> removals_;
    std::set<ShardKey> in_flight_;  // keys of puts that are queued or being written
    std::uint64_t queued_bytes_ = 0;
    std::uint64_t last_ticket_ = 0;
    bool flushing_ = false;
    bool closed_ = false;

    Signal done_;  // tickets up to here are finished
    Counter& puts_;
    Counter& syncs_;
    std::unique_ptr<Pool> pool_;  // last: its thread uses all of the above
};

}  // namespace strata::cluster

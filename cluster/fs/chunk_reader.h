// SPDX-License-Identifier: Apache-2.0
// ChunkReader: bytes of chunks through the block cache; what several want is read once. ReadTickets: which reads are under way, so that
// a chunk's shards are removed only after the last read that may have seen it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "cluster/fs/block_cache.h"
#include "cluster/stripe/stripe.h"
#include "server/base/signal.h"

namespace strata::cluster {

class ReadTickets {
public:
    // While it lives, chunks that the reader found in a map keep their shards. Make it before looking into the map.
    class Ticket {
    public:
        explicit Ticket(ReadTickets& tickets) : tickets_(&tickets), number_(tickets.begin()) {}
        ~Ticket() { tickets_->end(number_); }
        Ticket(const Ticket&) = delete;
        Ticket& operator=(const Ticket&) = delete;

    private:
        ReadTickets* tickets_;
        std::uint64_t number_;
    };
    // Reads that begin from now on have a number of at least this.
    std::uint64_t next() const;
    // True if no read with a number below `number` is under way.
    bool all_ended_before(std::uint64_t number) const;

private:
    std::uint64_t begin();
    void end(std::uint64_t number);

    mutable std::mutex mutex_;
    std::uint64_t next_ = 1;
    std::set<std::uint64_t> active_;
};

class ChunkReader {
public:
    ChunkReader(ChunkIo& chunks, BlockCache& cache, Clock& clock) : chunks_(chunks), cache_(cache), clock_(clock) {}

    // Appends the bytes [offset, offset+length) to `out` if all are in memory; else appends nothing and returns false. Copies nothing.
    bool read_cached(const ChunkId& chunk, std::uint32_t offset, std::uint32_t length, BufferChain& out);
    // The same bytes, wherever they are. Errors: as ChunkIo::read.
    Task<Result<BufferChain>> read(const Context& ctx, ChunkPtr chunk, std::uint32_t offset, std::uint32_t length);

    // A repair gave the chunk new places: reads use them, whatever record of it an extent map still has. Any thread.
    void moved(const Chunk& chunk);
    // The newest record that is known.
    ChunkPtr newest(ChunkPtr chunk) const;
    // The chunk is gone.
    void forget(const ChunkId& id);

private:
    struct Fetch {  // one read of consecutive blocks that are not in the cache
        Signal ended;
    };
    using FetchPtr = std::shared_ptr<Fetch>;
    using Key = std::pair<ChunkId, std::uint32_t>;
    class Claim;
    // Blocks [first, last) that this caller shall read; empty: another reads `first` already, wait for *other.
    struct Turn {
        std::uint32_t last = 0;
        FetchPtr other;
    };
    Turn take_turn(const ChunkId& chunk, std::uint32_t first, std::uint32_t end, const FetchPtr& mine);
    Task<Result<BufferChain>> read_blocks(const Context& ctx, ChunkPtr chunk, std::uint32_t first, std::uint32_t last);

    ChunkIo& chunks_;
    BlockCache& cache_;
    Clock& clock_;
    mutable std::mutex mutex_;
    std::map<Key, FetchPtr> fetches_;
    std::unordered_map<ChunkId, ChunkPtr, ChunkIdHash> moved_;
};

}  // namespace strata::cluster

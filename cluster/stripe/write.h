// SPDX-License-Identifier: Apache-2.0
// StripeWriter: encodes a chunk and puts its shards, all at once, each on a store of its own.
#pragma once

#include "cluster/stripe/stripe_parts.h"

namespace strata::cluster {

class StripeWriter {
public:
    explicit StripeWriter(StripeParts& parts) : parts_(parts) {}

    // As StripeIo::write.
    Task<Result<Chunk>> write(const Context& ctx, ChunkId id, Geometry wanted, BufferChain data);

    // Puts one shard. An I/O error or a store that does not answer is reported to the set. Errors: as ChunkStore::put; io if the store is
    // not usable.
    Task<Result<>> put(const Context& ctx, StoreIndex store, ShardKey key, BufferChain bytes, ShardChecksums checksums);

    // Which geometry can be had now, and where. Fewer stores than shards: the last places stay empty (degraded).
    struct Plan {
        Geometry geometry;
        std::vector<StoreIndex> stores;
    };
    // Errors: no_space (enough stores are there, but they are full), read_only (too few stores).
    Result<Plan> plan(Geometry wanted, std::size_t length, std::span<const StoreIndex> avoid);

private:
    // Puts the shards that have a store, replacing those that fail. True: all of them are placed; `avoid` tells who failed.
    Task<Result<bool>> place(const Context& ctx, CodedStripe& stripe, std::vector<StoreIndex>& avoid);
    std::optional<StoreIndex> replacement(const CodedStripe& stripe, std::span<const StoreIndex> avoid, std::size_t bytes);
    Task<> take_back(const Context& ctx, const Chunk& chunk);
    Error refusal(Geometry wanted, std::size_t reachable) const;

    StripeParts& parts_;
};

}  // namespace strata::cluster

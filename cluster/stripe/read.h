// SPDX-License-Identifier: Apache-2.0
// StripeReader: reads ranges of chunks, past damaged and absent shards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/stripe/stripe_parts.h"

namespace strata::cluster {

class StripeReader {
public:
    explicit StripeReader(StripeParts& parts) : parts_(parts) {}

    // As StripeIo::read.
    Task<Result<BufferChain>> read(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length);

    // The whole of the shards numbered `wanted`, as coding sees them (shard_length bytes), from any k other sound ones; what it makes is
    // checked against the digests in `chunk`. `bad`: shards not to be read. Errors: corrupt, io, not_found.
    Task<Result<std::vector<Slice>>> reconstruct_whole(const Context& ctx, const Chunk& chunk, std::span<const int> wanted,
                                                       std::span<const int> bad);

    // Its store is usable and answers.
    bool on_sound_store(const Chunk& chunk, int shard) const { return standing(chunk, shard) == Standing::good; }

private:
    // [from, to) inside a shard.
    struct Range {
        std::uint32_t from = 0, to = 0;
        std::uint32_t length() const { return to - from; }
    };
    // Whether to ask for a shard: of a store that fails to write, or owes answers, only when the others do not suffice.
    enum class Standing : std::uint8_t { good, last_resort, out_of_reach };
    // Why shards could not be had; decides the error if too few are left.
    struct Failures {
        std::vector<int> shards;
        bool corrupt = false, unreachable = false, other = false;
        bool has(int shard) const;
        void add(int shard, const Error& error);
        // The shards that were not asked for, because their stores are out of reach or never had them.
        void add_untried(const Chunk& chunk, std::span<const int> have);
        Error verdict() const;
    };

    Task<Result<BufferChain>> read_replica(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length);
    Task<Result<BufferChain>> read_coded(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length);
    Task<Result<std::vector<Slice>>> reconstruct(const Context& ctx, const Chunk& chunk, std::span<const int> wanted, Range range,
                                                 Failures failures);
    // The range of one shard, as far as it is stored; zeros beyond. Damage is told to the sink.
    Task<Result<BufferChain>> get(const Context& ctx, const Chunk& chunk, int shard, Range range);
    std::shared_ptr<ChunkStore> store_of(const Chunk& chunk, int shard) const;
    Standing standing(const Chunk& chunk, int shard) const;
    bool matches(const Chunk& chunk, int shard, const Slice& bytes) const;
    // The range that `shard` contributes to file bytes [offset, offset + length).
    static Range part_of(const Chunk& chunk, int shard, std::uint32_t offset, std::uint32_t length);

    StripeParts& parts_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// StripeRebuilder: verifies stripes on their disks and makes lost shards anew.
#pragma once

#include <vector>

#include "cluster/stripe/read.h"
#include "cluster/stripe/stripe_parts.h"
#include "cluster/stripe/write.h"

namespace strata::cluster {

class StripeRebuilder {
public:
    StripeRebuilder(StripeParts& parts, StripeReader& reader, StripeWriter& writer) : parts_(parts), reader_(reader), writer_(writer) {}

    // As StripeIo's.
    Task<Result<Chunk>> rebuild(const Context& ctx, const Chunk& chunk, std::vector<int> bad);
    Task<Result<std::vector<int>>> scrub(const Context& ctx, const Chunk& chunk);
    Task<Result<bool>> cross_check(const Context& ctx, const Chunk& chunk);

private:
    Task<bool> sound(const Context& ctx, const Chunk& chunk, int shard);
    // Puts one rebuilt shard somewhere; the new place, or no_store if there is no room for it anywhere.
    Task<StoreIndex> settle(const Context& ctx, const Chunk& chunk, int shard, BufferChain bytes);

    StripeParts& parts_;
    StripeReader& reader_;
    StripeWriter& writer_;
};

}  // namespace strata::cluster

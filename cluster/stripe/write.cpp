// SPDX-License-Identifier: Apache-2.0
// Writing of stripes, on what stores there are.
//
// The ladder: the wanted geometry; a narrower one at the same m; m+1 replicas; fewer replicas that still bear one loss, flagged by the
// places that stay empty. A store that fails on the way is replaced; with nobody to replace it the whole stripe steps down the ladder.
#include "cluster/stripe/write.h"

#include <algorithm>

#include <fmt/format.h>

#include "cluster/stripe/in_parallel.h"
#include "cluster/stripe/layout.h"

namespace strata::cluster {

namespace {

constexpr Duration put_time_max = 60s;  // a store that takes longer is as good as failed

}  // namespace

Task<Result<Chunk>> StripeWriter::write(const Context& ctx, ChunkId id, Geometry wanted, BufferChain data) {
    if (data.empty() || data.size() > chunk_size_max || wanted.k == 0 || wanted.shards() > shards_max) {
        co_return fail(Errc::invalid_argument);
    }
    std::vector<StoreIndex> avoid;
    for (;;) {
        CO_TRY(planned, plan(wanted, data.size(), avoid));
        CodedStripe stripe = co_await code_on(
            parts_.pool, data.size(), [this, id, g = planned.geometry, &data] { return encode_stripe(parts_.tables, id, g, data); });
        for (std::size_t i = 0; i < planned.stores.size(); ++i) stripe.chunk.places[i].store = planned.stores[i];
        auto placed = co_await place(ctx, stripe, avoid);
        if (placed && *placed) co_return std::move(stripe.chunk);
        co_await take_back(ctx, stripe.chunk);
        if (!placed) co_return fail(std::move(placed.error()));
    }
}

Result<StripeWriter::Plan> StripeWriter::plan(Geometry wanted, std::size_t length, std::span<const StoreIndex> avoid) {
    const auto choose = [&](Geometry g) { return parts_.stores.choose(g.shards(), avoid, shard_length_for(g, length)); };
    std::size_t reachable = 0;
    if (wanted.k > 1) {
        for (Geometry g = wanted; g.k > 1;) {
            auto stores = choose(g);
            reachable = std::max(reachable, stores.size());
            if (std::cmp_equal(stores.size(), g.shards())) return Plan{g, std::move(stores)};
            const int fewer = std::min<int>(g.k - 1, static_cast<int>(stores.size()) - g.m);
            if (fewer < 2) break;
            g.k = static_cast<std::uint8_t>(fewer);
        }
    }
    const Geometry replicas{1, wanted.m};
    auto stores = choose(replicas);
    reachable = std::max(reachable, stores.size());
    if (stores.size() >= std::min<std::size_t>(2, static_cast<std::size_t>(replicas.shards()))) return Plan{replicas, std::move(stores)};
    return fail(refusal(wanted, reachable));
}

Error StripeWriter::refusal(Geometry wanted, std::size_t reachable) const {
    const std::size_t needed = wanted.m == 0 ? 1 : 2;
    std::size_t present = 0;
    for (const auto& member : parts_.stores.members()) {
        if (member.state == StoreState::online || member.state == StoreState::read_only) ++present;
    }
    if (present >= needed)
        return {Errc::no_space, fmt::format("{} stores are there, {} with room; {} are needed", present, reachable, needed)};
    return {Errc::read_only, fmt::format("{} stores are there; new data need {} to bear a loss", present, needed)};
}

Task<Result<bool>> StripeWriter::place(const Context& ctx, CodedStripe& stripe, std::vector<StoreIndex>& avoid) {
    Chunk& chunk = stripe.chunk;
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < chunk.places.size(); ++i) {
        if (chunk.places[i].store != no_store) left.push_back(i);
    }
    bool all = true;
    while (!left.empty()) {
        std::vector<Task<Result<>>> puts;
        for (const std::size_t i : left) {
            puts.push_back(put(ctx, chunk.places[i].store, shard_key(chunk, static_cast<int>(i)), stripe.shards[i], stripe.checksums[i]));
        }
        const auto results = co_await in_parallel(std::move(puts));
        std::vector<std::size_t> again;
        for (std::size_t n = 0; n < left.size(); ++n) {
            if (results[n]) continue;
            const Errc code = results[n].error().code;
            if (ctx.expired() || code == Errc::cancelled || code == Errc::invalid_argument) co_return fail(results[n].error());
            avoid.push_back(chunk.places[left[n]].store);
            chunk.places[left[n]].store = no_store;
            again.push_back(left[n]);
        }
        left.clear();
        for (const std::size_t i : again) {
            if (const auto store = replacement(stripe, avoid, stripe.shards[i].size())) {
                chunk.places[i].store = *store;
                left.push_back(i);
            } else {
                all = false;
            }
        }
    }
    co_return all;
}

std::optional<StoreIndex> StripeWriter::replacement(const CodedStripe& stripe, std::span<const StoreIndex> avoid, std::size_t bytes) {
    std::vector<StoreIndex> taken(avoid.begin(), avoid.end());
    for (const auto& p : stripe.chunk.places) {
        if (p.store != no_store) taken.push_back(p.store);
    }
    const auto chosen = parts_.stores.choose(1, taken, bytes);
    return chosen.empty() ? std::nullopt : std::optional(chosen.front());
}

Task<Result<>> StripeWriter::put(const Context& ctx, StoreIndex index, ShardKey key, BufferChain bytes, ShardChecksums checksums) {
    const auto store = parts_.stores.online(index);
    if (store == nullptr) co_return fail(Errc::io, "the store is not usable");
    const Context bounded = ctx.with_deadline(parts_.runtime.clock->now() + put_time_max);
    auto stored = co_await store->put(bounded, key, std::move(bytes), std::move(checksums));
    if (!stored) {
        const Errc code = stored.error().code;
        if (code == Errc::io || (code == Errc::timed_out && !ctx.expired())) parts_.stores.report_failure(index, stored.error());
    }
    co_return stored;
}

// Shards of an attempt that was given up: the same keys may be written anew, and else they would be orphans.
Task<> StripeWriter::take_back(const Context& ctx, const Chunk& chunk) {
    for (std::size_t i = 0; i < chunk.places.size(); ++i) {
        const auto store = chunk.places[i].store == no_store ? nullptr : parts_.stores.online(chunk.places[i].store);
        const ShardKey key = shard_key(chunk, static_cast<int>(i));
        if (store != nullptr) (void)co_await store->remove(ctx, std::span(&key, 1));
    }
}

}  // namespace strata::cluster

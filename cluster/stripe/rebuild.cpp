// SPDX-License-Identifier: Apache-2.0
// Scrubbing and rebuilding of stripes.
#include "cluster/stripe/rebuild.h"

#include <algorithm>

#include "cluster/stripe/in_parallel.h"
#include "cluster/stripe/layout.h"

namespace strata::cluster {

Task<bool> StripeRebuilder::sound(const Context& ctx, const Chunk& chunk, int shard) {
    const auto& place = chunk.places[static_cast<std::size_t>(shard)];
    const auto store = place.store == no_store ? nullptr : parts_.stores.online(place.store);
    if (store == nullptr) co_return false;
    co_return (co_await parts_.watch.verify(ctx, place.store, store, shard_key(chunk, shard), place.digest)).has_value();
}

Task<Result<std::vector<int>>> StripeRebuilder::scrub(const Context& ctx, const Chunk& chunk) {
    if (std::cmp_not_equal(chunk.places.size(), chunk.geometry.shards())) co_return fail(Errc::invalid_argument);
    std::vector<Task<bool>> checks;
    for (int shard = 0; shard < chunk.geometry.shards(); ++shard) checks.push_back(sound(ctx, chunk, shard));
    const auto results = co_await in_parallel(std::move(checks));
    std::vector<int> bad;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (!results[i]) bad.push_back(static_cast<int>(i));
    }
    co_return bad;
}

Task<Result<Chunk>> StripeRebuilder::rebuild(const Context& ctx, const Chunk& chunk, std::vector<int> bad) {
    if (bad.empty()) co_return chunk;
    // A shard on a store that fails to write, or is silent, may still serve as a source; the reader decides. What a sound store has
    // damaged is not read again.
    std::vector<int> useless;
    for (const int shard : bad) {
        if (reader_.on_sound_store(chunk, shard)) useless.push_back(shard);
    }
    CO_TRY(made, co_await reader_.reconstruct_whole(ctx, chunk, bad, useless));
    Chunk after = chunk;
    for (std::size_t i = 0; i < bad.size(); ++i) {
        BufferChain bytes(made[i].sub(0, stored_length(chunk, bad[i])));
        const StoreIndex store = co_await settle(ctx, after, bad[i], std::move(bytes));
        // Without room the record keeps the old place: its store may come back.
        if (store != no_store) after.places[static_cast<std::size_t>(bad[i])].store = store;
    }
    co_return after;
}

Task<StoreIndex> StripeRebuilder::settle(const Context& ctx, const Chunk& chunk, int shard, BufferChain bytes) {
    const auto number = static_cast<std::size_t>(shard);
    const StoreIndex old = chunk.places[number].store;
    const auto checksums = ShardChecksums::of(bytes);
    std::vector<StoreIndex> avoid;
    for (const auto& p : chunk.places) {
        if (p.store != no_store) avoid.push_back(p.store);  // the store with the bad copy included: another is better
    }
    for (;;) {
        const auto chosen = parts_.stores.choose(1, avoid, bytes.size());
        if (chosen.empty()) break;
        if (co_await writer_.put(ctx, chosen.front(), shard_key(chunk, shard), bytes, checksums)) co_return chosen.front();
        avoid.push_back(chosen.front());
    }
    // No other store has room: in place of the bad copy.
    const auto store = old == no_store ? nullptr : parts_.stores.online(old);
    if (store == nullptr) co_return no_store;
    const ShardKey key = shard_key(chunk, shard);
    (void)co_await store->remove(ctx, std::span(&key, 1));
    const auto stored = co_await writer_.put(ctx, old, key, std::move(bytes), checksums);
    co_return stored ? old : no_store;
}

Task<Result<bool>> StripeRebuilder::cross_check(const Context& ctx, const Chunk& chunk) {
    CO_TRY(data, co_await reader_.read(ctx, chunk, 0, chunk.length));
    auto encode = [&] { return encode_stripe(parts_.tables, chunk.id, chunk.geometry, data); };
    const CodedStripe stripe = co_await code_on(parts_.pool, chunk.length, std::ref(encode));
    for (std::size_t i = 0; i < chunk.places.size(); ++i) {
        if (stripe.chunk.places[i].digest != chunk.places[i].digest) co_return false;
    }
    co_return true;
}

}  // namespace strata::cluster

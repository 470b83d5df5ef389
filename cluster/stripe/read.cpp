// SPDX-License-Identifier: Apache-2.0
// Reading of stripes. The fast path is one shard of one store, whose bytes go on uncopied.
//
// Every source is checked by its store (block checksums, and the digest that metadata keeps), so what is computed from k sound sources
// is sound. When the range is a good part of the shard the whole shard is computed and its digest compared, too.
#include "cluster/stripe/read.h"

#include <algorithm>

#include "cluster/stripe/in_parallel.h"
#include "cluster/stripe/layout.h"

namespace strata::cluster {

namespace {

// The request itself ends: no other shard would help.
bool gives_up(const Context& ctx, const Error& error) { return error == Errc::cancelled || error == Errc::closed || ctx.expired(); }

}  // namespace

bool StripeReader::Failures::has(int shard) const { return std::ranges::find(shards, shard) != shards.end(); }

void StripeReader::Failures::add(int shard, const Error& error) {
    if (!has(shard)) shards.push_back(shard);
    if (error == Errc::corrupt) {
        corrupt = true;
    } else if (error == Errc::store_missing) {
        unreachable = true;
    } else if (!(error == Errc::not_found)) {
        other = true;
    }
}

void StripeReader::Failures::add_untried(const Chunk& chunk, std::span<const int> have) {
    for (int shard = 0; shard < chunk.geometry.shards(); ++shard) {
        if (has(shard) || std::ranges::find(have, shard) != have.end()) continue;
        const bool written = chunk.places[static_cast<std::size_t>(shard)].store != no_store;
        add(shard, written ? Errc::store_missing : Errc::not_found);
    }
}

Error StripeReader::Failures::verdict() const {
    if (corrupt) return {Errc::corrupt, "more shards are damaged than the redundancy can mend"};
    if (unreachable) return {Errc::io, "more stores are lost than the redundancy can mend"};
    if (other) return {Errc::io, "too few shards can be read"};
    return {Errc::not_found, "no store knows the chunk"};
}

Task<Result<BufferChain>> StripeReader::read(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
    if (length == 0 || std::uint64_t{offset} + length > chunk.length || std::cmp_not_equal(chunk.places.size(), chunk.geometry.shards())) {
        co_return fail(Errc::invalid_argument);
    }
    if (chunk.geometry.k == 1) co_return co_await read_replica(ctx, chunk, offset, length);
    co_return co_await read_coded(ctx, chunk, offset, length);
}

std::shared_ptr<ChunkStore> StripeReader::store_of(const Chunk& chunk, int shard) const {
    const StoreIndex index = chunk.places[static_cast<std::size_t>(shard)].store;
    if (index == no_store) return nullptr;
    if (auto store = parts_.stores.online(index)) return store;
    // A store that fails to write may still give what it has, and everything it gives is checked.
    for (const auto& member : parts_.stores.members()) {
        if (member.index == index && member.state == StoreState::failed) return member.store;
    }
    return nullptr;
}

StripeReader::Standing StripeReader::standing(const Chunk& chunk, int shard) const {
    const auto store = store_of(chunk, shard);
    if (store == nullptr) return Standing::out_of_reach;
    const StoreIndex index = chunk.places[static_cast<std::size_t>(shard)].store;
    const bool silent = parts_.watch.silent(index, *store);  // may make it failed
    return !silent && parts_.stores.online(index) != nullptr ? Standing::good : Standing::last_resort;
}

Task<Result<BufferChain>> StripeReader::get(const Context& ctx, const Chunk& chunk, int shard, Range range) {
    const auto& place = chunk.places[static_cast<std::size_t>(shard)];
    if (place.store == no_store) co_return fail(Errc::not_found);
    const auto store = store_of(chunk, shard);
    if (store == nullptr) {
        parts_.damage.damaged(chunk.id, shard);
        co_return fail(Errc::store_missing);
    }
    const std::uint32_t stored_to = std::min(range.to, stored_length(chunk, shard));
    BufferChain bytes;
    if (range.from < stored_to) {
        auto got =
            co_await parts_.watch.get(ctx, place.store, store, shard_key(chunk, shard), range.from, stored_to - range.from, place.digest);
        if (!got) {
            if (!gives_up(ctx, got.error())) parts_.damage.damaged(chunk.id, shard);
            co_return got;
        }
        bytes = std::move(*got);
    }
    if (bytes.size() < range.length()) bytes.append(BufferChain::zeros(range.length() - bytes.size()));
    co_return bytes;
}

Task<Result<BufferChain>> StripeReader::read_replica(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
    const int copies = chunk.geometry.shards();
    const auto first = static_cast<int>(chunk.id.counter % static_cast<std::uint64_t>(copies));  // spreads reads over the copies
    Failures failures;
    for (const Standing wanted : {Standing::good, Standing::last_resort}) {
        for (int n = 0; n < copies; ++n) {
            const int shard = (first + n) % copies;
            if (failures.has(shard) || standing(chunk, shard) != wanted) continue;
            auto bytes = co_await get(ctx, chunk, shard, {offset, offset + length});
            if (bytes) co_return bytes;
            if (gives_up(ctx, bytes.error())) co_return fail(bytes.error());
            failures.add(shard, bytes.error());
        }
    }
    failures.add_untried(chunk, {});
    co_return fail(failures.verdict());
}

StripeReader::Range StripeReader::part_of(const Chunk& chunk, int shard, std::uint32_t offset, std::uint32_t length) {
    const std::uint64_t start = static_cast<std::uint64_t>(shard) * chunk.shard_length;
    const std::uint64_t from = std::max<std::uint64_t>(offset, start);
    const std::uint64_t to = std::min<std::uint64_t>(std::uint64_t{offset} + length, start + chunk.shard_length);
    return {static_cast<std::uint32_t>(from - start), static_cast<std::uint32_t>(to - start)};
}

Task<Result<BufferChain>> StripeReader::read_coded(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
    const int first = static_cast<int>(offset / chunk.shard_length);
    const int last = static_cast<int>((offset + length - 1) / chunk.shard_length);
    std::vector<Result<BufferChain>> parts(static_cast<std::size_t>(last - first + 1));
    std::vector<int> asked, wanted;
    std::vector<Task<Result<BufferChain>>> gets;
    for (int shard = first; shard <= last; ++shard) {
        if (standing(chunk, shard) == Standing::good) {
            asked.push_back(shard);
            gets.push_back(get(ctx, chunk, shard, part_of(chunk, shard, offset, length)));
        } else {
            wanted.push_back(shard);
            if (parts_.stores.online(chunk.places[static_cast<std::size_t>(shard)].store) == nullptr)
                parts_.damage.damaged(chunk.id, shard);
        }
    }
    auto got = co_await in_parallel(std::move(gets));
    Failures failures;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        if (!got[i]) {
            if (gives_up(ctx, got[i].error())) co_return fail(got[i].error());
            wanted.push_back(asked[i]);
            failures.add(asked[i], got[i].error());
        }
        parts[static_cast<std::size_t>(asked[i] - first)] = std::move(got[i]);
    }
    Range range{UINT32_MAX, 0};
    for (const int shard : wanted) {
        const Range part = part_of(chunk, shard, offset, length);
        range = {std::min(range.from, part.from), std::max(range.to, part.to)};
    }
    if (!wanted.empty()) {
        range.from = range.from / checksum_block_size * checksum_block_size;
        range.to = static_cast<std::uint32_t>((range.to + checksum_block_size - 1) / checksum_block_size * checksum_block_size);
        if (range.length() * 2 >= chunk.shard_length) range = {0, chunk.shard_length};
        CO_TRY(made, co_await reconstruct(ctx, chunk, wanted, range, std::move(failures)));
        for (std::size_t w = 0; w < wanted.size(); ++w) {
            const Range part = part_of(chunk, wanted[w], offset, length);
            parts[static_cast<std::size_t>(wanted[w] - first)] = BufferChain(made[w].sub(part.from - range.from, part.length()));
        }
    }
    BufferChain out;
    for (auto& part : parts) out.append(*part);
    co_return out;
}

Task<Result<std::vector<Slice>>> StripeReader::reconstruct_whole(const Context& ctx, const Chunk& chunk, std::span<const int> wanted,
                                                                 std::span<const int> bad) {
    Failures failures;
    for (const int shard : bad) failures.add(shard, Errc::not_found);
    co_return co_await reconstruct(ctx, chunk, wanted, {0, chunk.shard_length}, std::move(failures));
}

Task<Result<std::vector<Slice>>> StripeReader::reconstruct(const Context& ctx, const Chunk& chunk, std::span<const int> wanted, Range range,
                                                           Failures failures) {
    const auto k = static_cast<std::size_t>(chunk.geometry.k);
    std::vector<int> have;
    std::vector<BufferChain> sources;
    for (const Standing source : {Standing::good, Standing::last_resort}) {
        for (int next = 0; have.size() < k;) {
            std::vector<int> asked;
            std::vector<Task<Result<BufferChain>>> gets;
            for (; next < chunk.geometry.shards() && have.size() + asked.size() < k; ++next) {
                if (failures.has(next) || std::ranges::find(have, next) != have.end() || standing(chunk, next) != source) continue;
                asked.push_back(next);
                gets.push_back(get(ctx, chunk, next, range));
            }
            if (asked.empty()) break;
            auto got = co_await in_parallel(std::move(gets));
            for (std::size_t i = 0; i < asked.size(); ++i) {
                if (got[i]) {
                    have.push_back(asked[i]);
                    sources.push_back(std::move(*got[i]));
                } else {
                    if (gives_up(ctx, got[i].error())) co_return fail(got[i].error());
                    failures.add(asked[i], got[i].error());
                }
            }
        }
    }
    if (have.size() < k) {
        failures.add_untried(chunk, have);
        co_return fail(failures.verdict());
    }
    const bool whole = range.length() == chunk.shard_length;
    auto compute = [&]() -> Result<std::vector<Slice>> {
        TRY(made, reconstruct_shards(parts_.tables, chunk.geometry, have, sources, wanted, range.length()));
        for (std::size_t w = 0; whole && w < wanted.size(); ++w) {
            if (!matches(chunk, wanted[w], made[w])) return fail(Errc::corrupt, "a reconstructed shard does not match its digest");
        }
        return std::move(made);
    };
    co_return co_await code_on(parts_.pool, range.length() * k, std::ref(compute));
}

bool StripeReader::matches(const Chunk& chunk, int shard, const Slice& bytes) const {
    const std::uint32_t digest = chunk.places[static_cast<std::size_t>(shard)].digest;
    return ShardChecksums::of(BufferChain(bytes.sub(0, stored_length(chunk, shard)))).digest == digest;
}

}  // namespace strata::cluster

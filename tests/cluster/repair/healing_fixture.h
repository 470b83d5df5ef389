// SPDX-License-Identifier: Apache-2.0
// A catalog in memory, and stripes with all that heals them.
#pragma once

#include <map>
#include <optional>

#include "cluster/repair/chunk_catalog.h"
#include "cluster/repair/repairer.h"
#include "tests/cluster/stripe/stripe_fixture.h"

namespace strata::cluster {

class MemoryCatalog final : public ChunkCatalog {
public:
    explicit MemoryCatalog(sim::World& w) : world(w) {}

    Task<Result<std::optional<Chunk>>> get(const Context&, ChunkId id) override {
        co_await pause();
        if (unreadable) co_return fail(Errc::io);
        const auto it = chunks.find(id);
        co_return it == chunks.end() ? std::nullopt : std::optional(it->second);
    }
    Task<Result<bool>> replace(const Context&, const Chunk& before, const Chunk& after) override {
        co_await pause();
        if (on_replace) on_replace();
        const auto it = chunks.find(before.id);
        if (it == chunks.end() || it->second != before) co_return false;
        it->second = after;
        replaced.push_back(after.id);
        co_return true;
    }
    Task<Result<std::vector<Chunk>>> list(const Context&, ChunkId after, std::size_t limit) override {
        co_await pause();
        std::vector<Chunk> out;
        for (auto it = chunks.upper_bound(after); it != chunks.end() && out.size() < limit; ++it) out.push_back(it->second);
        co_return out;
    }
    std::optional<std::uint32_t> epoch(std::uint32_t volume) const override {
        return volume == 1 ? std::optional(present_epoch) : std::nullopt;
    }

    sim::World& world;
    std::map<ChunkId, Chunk> chunks;
    std::vector<ChunkId> replaced;  // in order
    std::function<void()> on_replace;
    std::uint32_t present_epoch = 1;
    bool unreadable = false;

private:
    Task<> pause() { co_await world.clock().sleep_for(Duration(world.random().below(100'000))); }
};

class HealingWorld : public StripeWorld {
public:
    HealingWorld(sim::World& w, int stores, RepairConfig config = {}) : StripeWorld(w, stores), catalog(w), repairer(w.runtime(), config) {
        mended_stripes = std::make_unique<StripeIo>(w.runtime(), *set, repairer);
        repairer.start(*mended_stripes, *set, catalog);
    }
    ~HealingWorld() { world.run(repairer.stop()); }

    // Writes a chunk and its record.
    Chunk add(std::uint64_t counter, Geometry geometry, std::size_t length) {
        auto chunk = write(counter, geometry, bytes_of(counter, length));
        if (!chunk) throw std::runtime_error(to_string(chunk.error()));
        catalog.chunks[chunk->id] = *chunk;
        return *chunk;
    }
    const Chunk& record(const Chunk& chunk) { return catalog.chunks.at(chunk.id); }
    void heal() {
        if (!world.run(repairer.wait_idle(Instant::max()))) throw std::runtime_error("healing does not end");
    }
    // Shards in all usable stores.
    std::size_t shard_count() {
        std::size_t n = 0;
        for (const auto& m : set->members()) {
            if (m.store != nullptr && m.state == StoreState::online) n += world.run(m.store->list(ctx, {}, 100'000))->size();
        }
        return n;
    }
    bool all_sound() {
        return std::ranges::all_of(catalog.chunks, [this](const auto& c) {
            const auto data = read(c.second);
            return scrub(c.second).empty() && data && text_of(*data) == text_of(bytes_of(c.first.counter, c.second.length));
        });
    }
    void damage_shard(const Chunk& chunk, int shard) {
        const ShardKey key{chunk.id, static_cast<std::uint8_t>(shard)};
        (void)world.run(set->online(chunk.places[static_cast<std::size_t>(shard)].store)->remove(ctx, std::span(&key, 1)));
    }

    MemoryCatalog catalog;
    Repairer repairer;
    std::unique_ptr<StripeIo> mended_stripes;  // whose damage goes to the repairer
};

}  // namespace strata::cluster

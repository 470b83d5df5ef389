// SPDX-License-Identifier: Apache-2.0
// Several simulated disks with a store each, a store set, and stripes over them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "cluster/placement/local_store_set.h"
#include "cluster/stripe/stripe.h"
#include "tests/cluster/chunk/store_fixture.h"
#include "tests/cluster/stripe/hanging_store.h"

namespace strata::cluster {

class RecordedDamage final : public DamageSink {
public:
    void damaged(const ChunkId& id, int shard) override { shards[id].insert(shard); }
    std::map<ChunkId, std::set<int>> shards;
};

class StripeWorld {
public:
    StripeWorld(sim::World& w, int count, std::uint64_t disk_bytes = 64 << 20) : world(w), ctx{.clock = &w.clock()} {
        for (int i = 0; i < count; ++i) {
            disks.push_back(w.make_disk("disk" + std::to_string(i), disk_bytes));
            (void)format_store(*disks.back(), Uuid{7}, w.random());
        }
        set = std::make_unique<LocalStoreSet>(w.random(), std::vector<StoreSet::Member>{});
        for (int i = 0; i < count; ++i) plug_in(i);
        stripes = std::make_unique<StripeIo>(w.runtime(), *set, damage);
    }
    ~StripeWorld() {
        for (const auto& store : hanging) store->release();
        world.run_for(1s);
        world.run(set->close());
        for (const auto& old : retired) world.run(old->close());
    }

    // The store of disk `i` is there (again), as index i.
    void plug_in(int i) {
        std::shared_ptr<Disk> disk = disks[static_cast<std::size_t>(i)]->mount();
        auto store = world.run(SegmentChunkStore::open(world.runtime(), disk, SimStore::small_config()));
        if (!store) throw std::runtime_error(to_string(store.error()));
        put_member(i, *store);
    }
    // The store of disk `i` is gone: its folder is absent.
    void pull_out(int i) {
        if (const auto store = set->online(static_cast<StoreIndex>(i))) world.run(store->close());
        put_member(i, nullptr);
    }
    // The disk of store `i` fails every call from now on.
    void fail_disk(int i) { disks[static_cast<std::size_t>(i)]->set_faults({.failed = true}); }

    // The disk of store `i` answers no read from now on.
    HangingStore& hang_disk(int i) {
        HangingStore& store = wrap(i);
        store.hang();
        return store;
    }
    // Store `i` takes no new shards.
    HangingStore& fill_up(int i) {
        HangingStore& store = wrap(i);
        store.set_full(true);
        return store;
    }

    Result<Chunk> write(std::uint64_t counter, Geometry geometry, const BufferChain& data) {
        return world.run(stripes->write(ctx, {1, 1, counter}, geometry, data));
    }
    Result<BufferChain> read(const Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
        return world.run(stripes->read(ctx, chunk, offset, length));
    }
    Result<BufferChain> read(const Chunk& chunk) { return read(chunk, 0, chunk.length); }
    Result<Chunk> rebuild(const Chunk& chunk) { return world.run(stripes->rebuild(ctx, chunk)); }
    std::vector<int> scrub(const Chunk& chunk) { return *world.run(stripes->scrub(ctx, chunk)); }

    sim::World& world;
    Context ctx;
    std::vector<std::shared_ptr<sim::SimDisk>> disks;
    RecordedDamage damage;
    std::unique_ptr<LocalStoreSet> set;
    std::unique_ptr<StripeIo> stripes;
    std::vector<std::shared_ptr<ChunkStore>> retired;
    std::vector<std::shared_ptr<HangingStore>> hanging;

private:
    HangingStore& wrap(int i) {
        hanging.push_back(std::make_shared<HangingStore>(set->online(static_cast<StoreIndex>(i))));
        put_member(i, hanging.back());
        return *hanging.back();
    }
    void put_member(int i, std::shared_ptr<ChunkStore> store) {
        StoreSet::Member member;
        member.index = static_cast<StoreIndex>(i);
        member.store = store;
        member.state = store == nullptr ? StoreState::missing : StoreState::online;
        if (auto old = set->set(std::move(member))) retired.push_back(std::move(old));
    }
};

// The stores that the chunk's shards lie on.
inline std::set<StoreIndex> stores_of(const Chunk& chunk) {
    std::set<StoreIndex> out;
    for (const auto& p : chunk.places) {
        if (p.store != no_store) out.insert(p.store);
    }
    return out;
}

}  // namespace strata::cluster

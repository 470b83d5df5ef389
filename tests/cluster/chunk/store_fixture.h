// SPDX-License-Identifier: Apache-2.0
// One chunk store on one simulated disk, and shards with recognisable bytes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster/chunk/segment_chunk_store.h"
#include "tests/sim/world.h"

namespace strata::cluster {

inline ShardKey key_of(std::uint64_t counter, std::uint8_t shard = 0, std::uint32_t epoch = 1) { return {{1, epoch, counter}, shard}; }

// `length` bytes that differ for each `seed`.
inline BufferChain bytes_of(std::uint64_t seed, std::size_t length) {
    Slice slice = allocate_heap(length);
    sim::SimRandom numbers(seed);
    numbers.fill(slice.writable());
    return BufferChain(std::move(slice));
}

inline std::string text_of(const BufferChain& chain) {
    std::string text(chain.size(), '\0');
    chain.copy_to(std::as_writable_bytes(std::span(text)));
    return text;
}

// A store on a simulated disk of its own. Declare it after the world.
class SimStore {
public:
    SimStore(sim::World& w, std::uint64_t disk_bytes = 64 << 20, SegmentStoreConfig c = small_config())
        : world(w), config(c), disk(w.make_disk("disk", disk_bytes)), ctx{.clock = &w.clock()} {
        (void)format_store(*disk, Uuid{7}, w.random());
    }
    ~SimStore() { close(); }

    static SegmentStoreConfig small_config() {
        SegmentStoreConfig c;
        c.segment_bytes = 1 << 20;
        c.log_reserve_bytes = 1 << 20;
        c.upkeep_interval = 10min;  // kicks do the work; long virtual times stay cheap
        return c;
    }

    Result<> open() {
        std::shared_ptr<Disk> mounted = disk->mount();
        if (wrap) mounted = wrap(mounted);
        auto opened = world.run(SegmentChunkStore::open(world.runtime(), mounted, config));
        if (!opened) return fail(opened.error());
        store = std::move(*opened);
        return {};
    }
    void close() {
        if (store != nullptr) world.run(store->close());
        store = nullptr;
    }
    // The power fails under the running store; what it was doing ends with errors.
    void power_cut() {
        disk->power_cut();
        close();
    }

    Result<> put(ShardKey key, const BufferChain& bytes) { return world.run(store->put(ctx, key, bytes, ShardChecksums::of(bytes))); }
    Result<BufferChain> get(ShardKey key, std::uint32_t offset, std::uint32_t length, std::uint32_t digest = 0) {
        return world.run(store->get(ctx, key, offset, length, digest));
    }
    Result<> remove(ShardKey key) { return world.run(store->remove(ctx, std::span(&key, 1))); }
    Result<> compact() { return world.run(store->compact_now()); }

    sim::World& world;
    SegmentStoreConfig config;
    std::shared_ptr<sim::SimDisk> disk;
    std::function<std::shared_ptr<Disk>(std::shared_ptr<Disk>)> wrap;  // what the store sees of the disk
    Context ctx;
    std::shared_ptr<SegmentChunkStore> store;
};

}  // namespace strata::cluster

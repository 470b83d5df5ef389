// SPDX-License-Identifier: Apache-2.0
// VolumeUnderTest: metadata on simulated disks, an owner that works, and what the owner knows.
#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/meta/sqlite_meta_store.h"
#include "tests/cluster/meta/read_tables.h"
#include "tests/sim/meta_workload.h"
#include "tests/sim/watched_disk.h"
#include "tests/sim/world.h"

namespace strata::cluster {

using sim::MetaTables;
using sim::MetaWorkload;

inline Uuid store_uuid(int number) { return Uuid{static_cast<std::uint8_t>(number + 1), 0xaa}; }

inline MetaStoreConfig small_config(int copies) {
    MetaStoreConfig config;
    config.copies = copies;
    config.create = true;
    config.cache = {.writer_bytes = 1 << 20, .reader_bytes = 256 << 10};
    config.log.segment_bytes = 64 << 10;
    config.log_bytes_max = 96 << 10;
    config.wal_pages_max = 200;
    config.follower_delay = 50ms;
    config.follower_commands = 200;
    config.copy_pages = 8;
    return config;
}

inline std::string difference(const MetaTables& found, const MetaTables& wanted) {
    std::string text;
    const auto compare = [&text](const char* name, const auto& a, const auto& b) {
        if (a != b) text += std::string(" ") + name + ": " + std::to_string(a.size()) + " found, " + std::to_string(b.size()) + " wanted;";
    };
    compare("inodes", found.inodes, wanted.inodes);
    compare("entries", found.entries, wanted.entries);
    compare("cookies", found.cookies, wanted.cookies);
    compare("extents", found.extents, wanted.extents);
    compare("chunks", found.chunks, wanted.chunks);
    compare("xattrs", found.xattrs, wanted.xattrs);
    compare("records", found.records, wanted.records);
    compare("reaps", found.reaps, wanted.reaps);
    return text + " inode_max " + std::to_string(found.inode_max) + "/" + std::to_string(wanted.inode_max) + " map_max " +
           std::to_string(found.map_max) + "/" + std::to_string(wanted.map_max);
}

// Some disks with a volume, an owner that works, and what the owner knows.
struct VolumeUnderTest {
    VolumeUnderTest(std::uint64_t seed, int stores, int copies) : world(seed), config(small_config(copies)), workload(world.random()) {
        for (int i = 0; i < stores; ++i) disks.push_back(world.make_disk("d" + std::to_string(i), 512 << 20));
    }
    ~VolumeUnderTest() { abandon(); }

    std::vector<StoreDisk> places() {
        std::vector<StoreDisk> all;
        for (std::size_t i = 0; i < disks.size(); ++i) {
            if (absent.contains(static_cast<int>(i))) continue;
            all.push_back(
                {store_uuid(static_cast<int>(i)), std::make_shared<sim::WatchedDisk>(disks[i]->mount(), [this] { count_call(); })});
        }
        return all;
    }
    Result<> open() {
        auto opened = world.run(open_meta_store(world.runtime(), places(), config));
        if (!opened) return fail(opened.error());
        store = std::move(*opened);
        return {};
    }
    void abandon() {
        if (store != nullptr) world.run(store->abandon());
        store.reset();
    }
    Result<> close() {
        auto closed = world.run(store->close(ctx()));
        store.reset();
        return closed;
    }
    Context ctx() { return {.clock = &world.clock()}; }

    void submit(int commands) {
        for (int i = 0; i < commands; ++i) {
            history.push_back(workload.next());
            last = store->submit(history.back());
            ASSERT_EQ(last, history.size());
        }
    }
    Result<> settle() { return world.run(store->durable().wait(last, world.clock(), Instant::max())); }
    void catch_up() {
        while (store->applied() < last) world.run_for(1ms);
    }

    // The power goes at the `calls`th call to a disk from now on.
    void cut_power_after(std::uint64_t calls) { calls_left = calls; }
    void count_call() {
        if (calls_left > 0 && --calls_left == 0) cut_power();
    }
    void cut_power() {
        if (store != nullptr) durable_at_cut = std::max(durable_at_cut, store->durable().value());
        for (auto& disk : disks) disk->power_cut();
        powered = false;
    }
    // After an opening: goes back to what the store says is there.
    void adopt(LogIndex index) {
        ASSERT_LE(index, history.size());
        history.resize(index);
        MetaTables tables;
        for (const auto& command : history) tables.apply(command);
        workload = MetaWorkload(world.random(), std::move(tables));
        last = index;
    }
    // All replicas that live, applied, equal the model at `last`.
    void expect_equal_replicas() {
        ASSERT_TRUE(close());
        for (std::size_t i = 0; i < disks.size(); ++i) {
            if (absent.contains(static_cast<int>(i))) continue;
            const auto manifest = read_manifest(*disks[i]);
            if (!manifest || !manifest->lists(store_uuid(static_cast<int>(i)))) continue;
            auto replica =
                Replica::open({store_uuid(static_cast<int>(i)), disks[i]->mount()}, world.random(), manifest->volume, config.cache);
            ASSERT_TRUE(replica) << to_string(replica.error());
            EXPECT_EQ((*replica)->state().applied, last);
            const auto tables = (*replica)->read([](RowReader& reader) { return read_tables(reader); });
            ASSERT_TRUE(tables) << to_string(tables.error());
            EXPECT_TRUE(*tables == workload.tables()) << "store " << i << difference(*tables, workload.tables());
            ++compared;
        }
    }

    sim::World world;
    MetaStoreConfig config;
    std::vector<std::shared_ptr<sim::SimDisk>> disks;
    std::set<int> absent;
    MetaWorkload workload;
    std::vector<Command> history;  // 1 .. last
    LogIndex last = 0;
    LogIndex durable_at_cut = 0;
    std::uint64_t calls_left = 0;
    bool powered = true;
    int compared = 0;
    std::unique_ptr<SqliteMetaStore> store;
};

}  // namespace strata::cluster

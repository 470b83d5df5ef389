// SPDX-License-Identifier: Apache-2.0
// Power cuts between any two disk calls under concurrent puts, removals and compaction: what was acknowledged is there, what is read is
// right.
#include <map>

#include <gtest/gtest.h>

#include "tests/cluster/chunk/hooked_disk.h"
#include "tests/cluster/chunk/store_fixture.h"

namespace strata::cluster {
namespace {

// What the test knows of each key.
struct Fact {
    std::size_t length = 0;
    bool acknowledged = false;
    bool removed = false;  // asked for: then either answer is right
};

class Workload {
public:
    Workload(sim::World& w, SimStore& s) : world_(w), s_(s) {}

    // What the store sees of the disk: the power fails after so many writes, syncs, renames ... have passed.
    std::shared_ptr<Disk> hooked(std::shared_ptr<Disk> disk, bool ignore_sync) {
        auto hooks = std::make_shared<DiskHooks>();
        hooks->ignore_sync = ignore_sync;
        hooks->after = [this](DiskChange) {
            if (changes_left_ == 0 || --changes_left_ > 0) return;
            s_.disk->power_cut();
            stop_ = true;
        };
        return std::make_shared<HookedDisk>(std::move(disk), std::move(hooks));
    }

    // Several writers and a remover until the power fails.
    void run_until_power_cut() {
        stop_ = false;
        TaskGroup group;
        for (int i = 0; i < 4; ++i) group.spawn(world_.executor(), [this] { return write(); });
        group.spawn(world_.executor(), [this] { return remove(); });
        changes_left_ = world_.random().between(1, 150);
        (void)world_.run(group.wait(world_.clock(), Instant::max()));
        changes_left_ = 0;
        s_.close();
    }

    // The number of facts that the store contradicts.
    int contradictions() {
        int wrong = 0;
        for (const auto& [key, fact] : facts_) {
            const auto got = s_.get(key, 0, static_cast<std::uint32_t>(fact.length));
            if (got ? text_of(*got) != text_of(bytes_of(key.chunk.counter, fact.length)) : fact.acknowledged && !fact.removed) ++wrong;
        }
        return wrong;
    }
    std::size_t acknowledged() const {
        return static_cast<std::size_t>(std::ranges::count_if(facts_, [](const auto& f) { return f.second.acknowledged; }));
    }

private:
    Task<> write() {
        while (!stop_) {
            const std::uint64_t counter = ++counter_;
            const auto key = key_of(counter, static_cast<std::uint8_t>(counter % 3));
            const std::size_t length = 1 + world_.random().below(world_.random().chance(0.1) ? 100'000 : 9000);
            facts_[key].length = length;
            const auto bytes = bytes_of(key.chunk.counter, length);
            const auto stored = co_await s_.store->put(s_.ctx, key, bytes, ShardChecksums::of(bytes));
            if (stored) facts_[key].acknowledged = true;
            if (!stored && !stop_ && stored.error() != Errc::no_space) ADD_FAILURE() << to_string(stored.error());
            co_await world_.clock().sleep_for(Duration(world_.random().below(300'000)));
        }
    }
    Task<> remove() {
        while (!stop_) {
            co_await world_.clock().sleep_for(Duration(world_.random().below(2'000'000)));
            if (facts_.empty()) continue;
            auto it = facts_.lower_bound(key_of(world_.random().below(counter_ + 1)));
            for (int n = 0; n < 12 && it != facts_.end(); ++n, ++it) {
                if (!it->second.acknowledged) continue;
                it->second.removed = true;
                (void)co_await s_.store->remove(s_.ctx, std::span(&it->first, 1));
            }
        }
    }

    sim::World& world_;
    SimStore& s_;
    std::map<ShardKey, Fact> facts_;
    std::uint64_t counter_ = 0;
    std::uint64_t changes_left_ = 0;  // until the power fails; 0: it does not
    bool stop_ = false;
};

struct RunResult {
    int contradictions = 0;
    std::size_t acknowledged = 0, compactions = 0, torn = 0;
    std::uint64_t hash = 0;
};

RunResult run(std::uint64_t seed, bool lying) {
    sim::World world(seed);
    SimStore s(world, 48 << 20);
    Workload workload(world, s);
    RunResult result;
    for (int round = 0; round < 3; ++round) {
        s.wrap = [&](std::shared_ptr<Disk> disk) { return workload.hooked(std::move(disk), lying); };
        const auto opened = s.open();
        if (!opened && lying) return {1, 0, 0, 0, 0};
        if (!opened) throw std::runtime_error(to_string(opened.error()));
        result.torn += s.store->opening().torn_records;
        result.contradictions += workload.contradictions();
        workload.run_until_power_cut();
    }
    if (const auto opened = s.open(); !opened && !lying) throw std::runtime_error(to_string(opened.error()));
    if (s.store != nullptr) result.contradictions += workload.contradictions();
    s.close();
    result.acknowledged = workload.acknowledged();
    result.compactions = world.metrics().counter("chunk_compactions").value();
    result.hash = world.trace_hash();
    return result;
}

TEST(ChunkStorePowerCut, nothing_acknowledged_is_lost) {
    std::size_t acknowledged = 0, compactions = 0, torn = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        const auto result = run(seed, false);
        ASSERT_EQ(result.contradictions, 0) << "seed " << seed;
        acknowledged += result.acknowledged;
        compactions += result.compactions;
        torn += result.torn;
    }
    // The runs did meet what they are about.
    EXPECT_GT(acknowledged, 10'000u);
    EXPECT_GT(compactions, 50u);
    EXPECT_GT(torn, 10u);
}

TEST(ChunkStorePowerCut, the_same_seed_gives_the_same_run) {
    for (const std::uint64_t seed : {7u, 8u, 9u}) EXPECT_EQ(run(seed, false).hash, run(seed, false).hash);
}

TEST(ChunkStorePowerCut, a_disk_that_does_not_sync_is_caught) {
    int caught = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) caught += run(seed, true).contradictions > 0 ? 1 : 0;
    EXPECT_EQ(caught, 5);
}

}  // namespace
}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Full disks, bit rot, unreadable sectors, failing writes: each with its defined result.
#include <map>

#include <gtest/gtest.h>

#include "tests/cluster/chunk/hooked_disk.h"
#include "tests/cluster/chunk/store_fixture.h"

namespace strata::cluster {
namespace {

class StoreFaults : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(s.open()); }

    // Puts shards of `length` until it fails; returns how many there are now.
    std::uint64_t fill(std::size_t length) {
        for (;;) {
            const auto stored = s.put(key_of(next), bytes_of(next, length));
            if (!stored) {
                EXPECT_EQ(stored.error(), Errc::no_space) << to_string(stored.error());
                return next;
            }
            ++next;
        }
    }
    bool right(std::uint64_t i, std::size_t length) {
        const auto got = s.get(key_of(i), 0, static_cast<std::uint32_t>(length));
        return got && text_of(*got) == text_of(bytes_of(i, length));
    }

    sim::World world{1};
    SimStore s{world, 20 << 20};
    std::uint64_t next = 0;
};

TEST_F(StoreFaults, a_full_store_refuses_puts_and_leaves_its_reserve_alone) {
    fill(50'000);
    EXPECT_GE(s.disk->space()->free_bytes, s.config.log_reserve_bytes + s.config.segment_bytes);
    EXPECT_NE(s.store->state(), StoreState::failed);
    EXPECT_LT(s.store->space().free_bytes, 64u << 10);
    for (std::uint64_t i = 0; i < next; ++i) ASSERT_TRUE(right(i, 50'000)) << i;
}

TEST_F(StoreFaults, removing_from_a_full_store_makes_room_again) {
    for (int round = 0; round < 5; ++round) {
        const std::uint64_t end = fill(50'000);
        ASSERT_GT(end, 200u);
        // Scattered, so that no segment dies by itself.
        for (std::uint64_t i = 0; i < end; i += 2) ASSERT_TRUE(s.remove(key_of(i)));
        const auto compacted = s.compact();
        ASSERT_TRUE(compacted) << to_string(compacted.error());
        EXPECT_GT(s.store->space().free_bytes, 2u << 20) << "round " << round;
        for (std::uint64_t i = 1; i < end; i += 2) ASSERT_TRUE(right(i, 50'000)) << i;
        for (std::uint64_t i = 0; i < end; ++i) (void)s.remove(key_of(i));
        ASSERT_TRUE(s.compact());
        next = end;
        s.close();
        ASSERT_TRUE(s.open());
        EXPECT_EQ(s.store->shard_count(), 0u);
        next = 0;
    }
}

TEST_F(StoreFaults, what_a_compaction_leaves_of_the_reserve_segment_is_for_puts) {
    const std::uint64_t end = fill(50'000);
    const std::uint64_t a_segment = s.config.segment_bytes / 54'000;
    for (std::uint64_t i = 0; i < a_segment; i += 2) ASSERT_TRUE(s.remove(key_of(i)));  // of one segment only
    ASSERT_TRUE(s.compact());
    EXPECT_GT(s.store->space().free_bytes, s.config.segment_bytes / 4);
    EXPECT_GE(fill(50'000), end + a_segment / 4);
    EXPECT_GE(s.disk->space()->free_bytes, s.config.log_reserve_bytes + s.config.segment_bytes);
    for (std::uint64_t i = 1; i < next; i += i < a_segment ? 2 : 1) ASSERT_TRUE(right(i, 50'000)) << i;
}

TEST_F(StoreFaults, dead_segments_are_given_back_at_once) {
    const std::uint64_t before = s.disk->used_bytes();
    for (std::uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 50'000)));
    EXPECT_GT(s.disk->used_bytes(), before + (9u << 20));
    for (std::uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(s.remove(key_of(i)));
    world.run_for(1s);
    EXPECT_LT(s.disk->used_bytes(), before + (3u << 20));
}

TEST_F(StoreFaults, a_removal_that_compaction_carried_outlives_a_power_cut) {
    for (std::uint64_t round = 0; round < 8; ++round) {  // whether the cut brings the compacted segment back is chance
        const std::uint64_t base = round * 100;
        const auto put = [&](std::uint64_t from, std::uint64_t to) {
            for (auto i = base + from; i < base + to; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 50'000)));
        };
        put(0, 25);  // 19 fill a segment
        ASSERT_TRUE(s.remove(key_of(base)));
        put(25, 50);                   // the removal lies in another segment than what it removes
        std::vector<ShardKey> second;  // all of the segment that holds it
        for (std::uint64_t i = 19; i < 38; ++i) second.push_back(key_of(base + i));
        ASSERT_TRUE(world.run(s.store->remove(s.ctx, second)));
        ASSERT_TRUE(s.compact());
        s.power_cut();
        ASSERT_TRUE(s.open());
        EXPECT_FALSE(right(base, 50'000)) << "it was removed";
        std::vector<ShardKey> left;
        for (std::uint64_t i = 0; i < 50; ++i) {
            EXPECT_TRUE(i == 0 || (i >= 19 && i < 38) || right(base + i, 50'000)) << i;
            left.push_back(key_of(base + i));
        }
        ASSERT_TRUE(world.run(s.store->remove(s.ctx, left)));
    }
    EXPECT_GT(world.metrics().counter("chunk_compactions").value(), 0u);
}

TEST_F(StoreFaults, a_mostly_dead_segment_is_compacted_without_being_asked) {
    for (std::uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 50'000)));
    for (std::uint64_t i = 0; i < 200; ++i) {
        if (i % 5 != 0) ASSERT_TRUE(s.remove(key_of(i)));
    }
    world.run_for(1s);
    EXPECT_LT(s.disk->used_bytes(), 5u << 20);
    for (std::uint64_t i = 0; i < 200; i += 5) EXPECT_TRUE(right(i, 50'000));
    s.close();
    ASSERT_TRUE(s.open());
    EXPECT_EQ(s.store->shard_count(), 40u);
    for (std::uint64_t i = 0; i < 200; i += 5) EXPECT_TRUE(right(i, 50'000));
}

TEST_F(StoreFaults, what_outlives_many_rounds_of_churn_is_right_and_the_disk_does_not_grow) {
    std::map<std::uint64_t, std::size_t> model;
    auto& random = world.random();
    for (int round = 0; round < 12; ++round) {
        for (int i = 0; i < 150; ++i) {
            const std::size_t length = 1 + random.below(60'000);
            ASSERT_TRUE(s.put(key_of(next), bytes_of(next, length)));
            model[next++] = length;
            while (model.size() > 80) {
                auto victim = model.lower_bound(random.below(next));
                if (victim == model.end()) victim = model.begin();
                ASSERT_TRUE(s.remove(key_of(victim->first)));
                model.erase(victim);
            }
        }
        if (round % 3 == 2) {
            s.close();
            ASSERT_TRUE(s.open());
        }
        ASSERT_EQ(s.store->shard_count(), model.size());
        for (const auto& [counter, length] : model) ASSERT_TRUE(right(counter, length)) << counter;
    }
    EXPECT_LT(s.disk->used_bytes(), 14u << 20);
}

TEST_F(StoreFaults, bit_rot_is_corrupt_and_never_wrong_bytes) {
    for (std::uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 30'000)));
    s.disk->flip_bits("segments/", 20);
    int corrupt = 0;
    for (std::uint64_t i = 0; i < 100; ++i) {
        const auto got = s.get(key_of(i), 0, 30'000);
        const auto verified = world.run(s.store->verify(s.ctx, key_of(i), 0));
        EXPECT_EQ(got.has_value(), verified.has_value());
        if (got) {
            EXPECT_EQ(text_of(*got), text_of(bytes_of(i, 30'000)));
        } else {
            EXPECT_EQ(got.error(), Errc::corrupt);
            ++corrupt;
        }
    }
    EXPECT_GT(corrupt, 5);
    EXPECT_LE(corrupt, 20);
    EXPECT_EQ(s.store->state(), StoreState::online);
}

TEST_F(StoreFaults, sound_blocks_of_a_damaged_shard_are_still_read) {
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 400'000)));
    s.disk->flip_bits("segments/", 1);
    int sound = 0, corrupt = 0;
    for (std::uint32_t at = 0; at + 4096 <= 400'000; at += 4096) {
        const auto got = s.get(key_of(1), at, 4096);
        if (got) EXPECT_EQ(text_of(*got), text_of(bytes_of(1, 400'000).sub(at, 4096)));
        ++(got ? sound : corrupt);
    }
    EXPECT_LE(corrupt, 1);
    EXPECT_GE(sound, 96);
}

TEST_F(StoreFaults, opening_survives_bit_rot_everywhere) {
    std::size_t found = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        sim::World w(seed);
        SimStore t(w, 40 << 20);
        ASSERT_TRUE(t.open());
        for (std::uint64_t i = 0; i < 60; ++i) ASSERT_TRUE(t.put(key_of(i), bytes_of(i, 20'000)));
        if (seed % 2 == 0) t.close();  // with checkpoints
        if (seed % 2 != 0) t.power_cut();
        t.disk->flip_bits("segments/", 30);
        ASSERT_TRUE(t.open()) << seed;
        for (std::uint64_t i = 0; i < 60; ++i) {
            const auto got = t.get(key_of(i), 0, 20'000);
            if (!got) continue;
            ++found;
            ASSERT_EQ(text_of(*got), text_of(bytes_of(i, 20'000)));
        }
    }
    EXPECT_GT(found, 40u * 30u);
}

TEST_F(StoreFaults, a_damaged_checkpoint_costs_a_scan_and_nothing_else) {
    for (std::uint64_t i = 0; i < 60; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 30'000)));
    s.close();
    for (const auto& name : *s.disk->list("segments")) {
        if (name.ends_with(".index")) s.disk->flip_bits("segments/" + name, 1);
    }
    ASSERT_TRUE(s.open());
    EXPECT_GT(s.store->opening().scanned_segments, 0u);
    for (std::uint64_t i = 0; i < 60; ++i) EXPECT_TRUE(right(i, 30'000));
}

TEST_F(StoreFaults, an_unreadable_sector_is_that_read_only) {
    for (std::uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 20'000)));
    s.disk->set_bad_range("segments/00000000.seg", 8192, 4096);
    int errors = 0;
    for (std::uint64_t i = 0; i < 20; ++i) {
        const auto got = s.get(key_of(i), 0, 20'000);
        if (!got) EXPECT_EQ(got.error(), Errc::io);
        errors += got ? 0 : 1;
    }
    EXPECT_EQ(errors, 1);
    EXPECT_EQ(s.store->state(), StoreState::online);
}

TEST_F(StoreFaults, an_opening_that_cannot_read_the_tail_fails_and_cuts_nothing_off) {
    for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 20'000)));
    s.power_cut();
    s.disk->set_bad_range("segments/00000000.seg", 4 * 24'576, 4096);  // of the last shard
    const auto opened = s.open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error(), Errc::io);
    s.disk->clear_bad_ranges();
    ASSERT_TRUE(s.open());
    for (std::uint64_t i = 0; i < 5; ++i) EXPECT_TRUE(right(i, 20'000)) << i;
}

TEST_F(StoreFaults, without_descriptors_puts_are_refused_and_the_store_goes_on) {
    auto hooks = std::make_shared<DiskHooks>();
    s.close();
    s.wrap = [&hooks](std::shared_ptr<Disk> disk) { return std::make_shared<HookedDisk>(std::move(disk), hooks); };
    ASSERT_TRUE(s.open());
    hooks->out_of_descriptors = true;
    const auto refused = s.put(key_of(1), bytes_of(1, 20'000));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::too_many);
    EXPECT_EQ(s.store->state(), StoreState::online);
    hooks->out_of_descriptors = false;
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 20'000)));
    EXPECT_TRUE(right(1, 20'000));
}

TEST_F(StoreFaults, a_store_of_many_segments_keeps_few_of_them_open) {
    auto hooks = std::make_shared<DiskHooks>();
    s.close();
    s.config.open_segments_max = 3;
    s.wrap = [&hooks](std::shared_ptr<Disk> disk) { return std::make_shared<HookedDisk>(std::move(disk), hooks); };
    ASSERT_TRUE(s.open());
    for (std::uint64_t i = 0; i < 250; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 50'000)));  // a dozen segments
    for (int round = 0; round < 2; ++round) {
        for (std::uint64_t i = 0; i < 250; ++i) ASSERT_TRUE(right(i, 50'000)) << i;
        EXPECT_LE(*hooks->open_files, 4);
        s.close();
        ASSERT_TRUE(s.open());
    }
    for (std::uint64_t i = 0; i < 250; ++i) {
        if (i % 5 != 0) ASSERT_TRUE(s.remove(key_of(i)));
    }
    ASSERT_TRUE(s.compact());
    for (std::uint64_t i = 0; i < 250; i += 5) ASSERT_TRUE(right(i, 50'000)) << i;
    EXPECT_LE(*hooks->open_files, 4);
}

TEST_F(StoreFaults, a_disk_that_cannot_be_read_fails_the_store) {
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 100)));
    s.disk->set_faults({.failed = true});
    for (int i = 0; i < 20; ++i) EXPECT_EQ(s.get(key_of(1), 0, 100).error(), Errc::io);
    EXPECT_EQ(s.store->state(), StoreState::failed);
}

TEST_F(StoreFaults, a_failed_write_or_sync_fails_the_store_and_reopening_finds_what_was_acknowledged) {
    for (const bool sync : {false, true}) {
        const std::uint64_t base = sync ? 1000 : 0;
        for (std::uint64_t i = 0; i < 30; ++i) ASSERT_TRUE(s.put(key_of(base + i), bytes_of(base + i, 9000)));
        s.disk->set_faults(sync ? sim::DiskFaults{.sync_error = 1} : sim::DiskFaults{.write_error = 1});
        EXPECT_EQ(s.put(key_of(base + 500), bytes_of(1, 9000)).error(), Errc::io);
        EXPECT_EQ(s.store->state(), StoreState::failed);
        s.disk->set_faults({});
        EXPECT_EQ(s.put(key_of(base + 501), bytes_of(1, 9000)).error(), Errc::io) << "it stays failed until it is opened anew";
        s.close();
        ASSERT_TRUE(s.open());
        EXPECT_EQ(s.store->state(), StoreState::online);
        for (std::uint64_t i = 0; i < 30; ++i) EXPECT_TRUE(right(base + i, 9000)) << base + i;
    }
}

TEST_F(StoreFaults, many_starts_do_not_leave_many_segments) {
    for (std::uint64_t i = 0; i < 40; ++i) {
        ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 5000)));
        s.power_cut();
        ASSERT_TRUE(s.open());
    }
    ASSERT_TRUE(s.compact());
    EXPECT_LT(s.disk->list("segments")->size(), 24u);
    for (std::uint64_t i = 0; i < 40; ++i) EXPECT_TRUE(right(i, 5000));
}

}  // namespace
}  // namespace strata::cluster

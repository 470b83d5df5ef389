// SPDX-License-Identifier: Apache-2.0
// Orphans go; nothing else does.
#include "cluster/repair/orphan_collector.h"

#include <gtest/gtest.h>

#include "tests/cluster/repair/healing_fixture.h"

namespace strata::cluster {
namespace {

class OrphanCollectorTest : public testing::Test {
protected:
    OrphanReport pass() { return *world.run(collector.run_pass()); }

    sim::World world{1};
    HealingWorld s{world, 4, {.poll_interval = 5min}};
    OrphanCollector collector{world.runtime(), {}, *s.set, s.catalog};
};

TEST_F(OrphanCollectorTest, shards_that_a_record_names_stay) {
    for (std::uint64_t i = 1; i <= 10; ++i) s.add(i, {2, 1}, 130'000);
    s.catalog.present_epoch = 5;
    for (int i = 0; i < 3; ++i) {
        const auto report = pass();
        EXPECT_EQ(report.examined, 30u);
        EXPECT_EQ(report.candidates + report.removed, 0u);
        world.run_for(48h);
    }
    EXPECT_TRUE(s.all_sound());
}

TEST_F(OrphanCollectorTest, orphans_of_a_closed_epoch_go_in_the_second_pass) {
    const auto kept = s.add(1, {2, 1}, 130'000);
    ASSERT_TRUE(s.write(2, {2, 1}, bytes_of(2, 130'000)));  // its record was never committed
    s.catalog.present_epoch = 2;
    EXPECT_EQ(pass().candidates, 3u);
    EXPECT_EQ(s.shard_count(), 6u);
    const auto second = pass();
    EXPECT_EQ(second.removed, 3u);
    EXPECT_EQ(s.shard_count(), 3u);
    EXPECT_TRUE(s.all_sound());
}

TEST_F(OrphanCollectorTest, what_may_be_on_its_way_into_a_record_is_spared_until_it_is_old) {
    ASSERT_TRUE(s.write(2, {2, 1}, bytes_of(2, 130'000)));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(pass().candidates, 3u);
    EXPECT_EQ(s.shard_count(), 3u);
    world.run_for(25h);
    EXPECT_EQ(pass().removed, 3u);
}

TEST_F(OrphanCollectorTest, a_chunk_that_is_committed_between_two_passes_stays) {
    const auto chunk = s.write(2, {2, 1}, bytes_of(2, 130'000));
    s.catalog.present_epoch = 2;
    EXPECT_EQ(pass().candidates, 3u);
    s.catalog.chunks[chunk->id] = *chunk;
    EXPECT_EQ(pass().removed, 0u);
    EXPECT_TRUE(s.all_sound());
}

TEST_F(OrphanCollectorTest, copies_that_repair_replaced_go_when_they_are_old) {
    const auto chunk = s.add(1, {2, 1}, 130'000);
    s.heal();
    const int lost = chunk.places[0].store;
    s.pull_out(lost);
    world.run_for(1h);
    EXPECT_NE(s.record(chunk), chunk);
    s.plug_in(lost);
    EXPECT_EQ(s.shard_count(), 4u);
    EXPECT_EQ(pass().candidates, 1u);
    world.run_for(25h);
    EXPECT_EQ(pass().removed, 1u);
    EXPECT_EQ(s.shard_count(), 3u);
    EXPECT_TRUE(s.all_sound());
}

TEST_F(OrphanCollectorTest, chunks_of_volumes_that_are_not_open_here_are_not_judged) {
    const auto bytes = bytes_of(1, 5000);
    ASSERT_TRUE(world.run(s.set->online(0)->put(s.ctx, {{99, 1, 1}, 0}, bytes, ShardChecksums::of(bytes))));
    ASSERT_TRUE(world.run(s.set->online(0)->put(s.ctx, {{1, 7, 1}, 0}, bytes, ShardChecksums::of(bytes))));  // a later epoch than ours
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(pass().candidates, 0u);
        world.run_for(48h);
    }
    EXPECT_EQ(s.shard_count(), 2u);
}

}  // namespace
}  // namespace strata::cluster

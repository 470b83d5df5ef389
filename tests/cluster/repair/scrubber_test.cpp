// SPDX-License-Identifier: Apache-2.0
// Scrubbing finds what nobody has read.
#include "cluster/repair/scrubber.h"

#include <gtest/gtest.h>

#include "cluster/stripe/in_parallel.h"
#include "tests/cluster/repair/healing_fixture.h"

namespace strata::cluster {
namespace {

class ScrubberTest : public testing::Test {
protected:
    void begin(ScrubConfig config = {}) {
        scrubber = std::make_unique<Scrubber>(world.runtime(), config, *s.mended_stripes, *s.set, s.catalog, s.repairer);
        scrubber->start();
    }
    Task<Result<>> refuse_waits_after(Duration time) {
        co_await world.clock().sleep_for(time);
        scrubber->refuse_waits();
        co_return Result<>{};
    }
    void TearDown() override {
        if (scrubber != nullptr) world.run(scrubber->stop());
    }

    sim::World world{1};
    HealingWorld s{world, 5, {.poll_interval = 5min}};
    std::unique_ptr<Scrubber> scrubber;
};

TEST_F(ScrubberTest, on_demand_it_checks_everything_at_once_and_what_is_bad_gets_repaired) {
    std::vector<Chunk> chunks;
    for (std::uint64_t i = 1; i <= 100; ++i) chunks.push_back(s.add(i, {2, 1}, 130'000));
    for (const std::size_t i : {3u, 50u, 99u}) s.damage_shard(chunks[i], static_cast<int>(i % 3));
    begin();
    const Instant begun = world.clock().now();
    scrubber->run_now();
    ASSERT_TRUE(world.run(scrubber->wait_full_speed(Instant::max())));
    EXPECT_LT(world.clock().now() - begun, 10s);
    s.heal();
    const auto progress = scrubber->progress();
    EXPECT_EQ(progress.checked, 100u);
    EXPECT_EQ(progress.bad_shards, 3u);
    EXPECT_EQ(progress.repaired, 3u);
    EXPECT_EQ(progress.inconsistent, 0u);
    EXPECT_TRUE(s.all_sound());
}

TEST_F(ScrubberTest, who_waits_for_a_pass_is_let_go_before_the_end) {
    for (std::uint64_t i = 1; i <= 100; ++i) s.add(i, {2, 1}, 130'000);
    begin();
    scrubber->run_now();
    std::vector<Task<Result<>>> both;
    both.push_back(scrubber->wait_full_speed(Instant::max()));
    both.push_back(refuse_waits_after(1ms));
    const auto waited = world.run(in_parallel(std::move(both)));
    ASSERT_FALSE(waited[0]);
    EXPECT_EQ(waited[0].error(), Errc::cancelled);
    EXPECT_LT(scrubber->progress().checked, 100u);
}

TEST_F(ScrubberTest, by_itself_it_goes_round_once_a_cycle) {
    for (std::uint64_t i = 1; i <= 50; ++i) s.add(i, {2, 1}, 130'000);
    begin({.cycle = 24h, .bytes_per_second_min = 1000});
    world.run_for(30min);
    EXPECT_GT(scrubber->progress().checked, 2u);
    EXPECT_LT(scrubber->progress().checked, 30u) << "at leisure";
    world.run_for(12h);
    EXPECT_EQ(scrubber->progress().passes, 1u);
    world.run_for(24h);
    EXPECT_EQ(scrubber->progress().passes, 2u);
}

TEST_F(ScrubberTest, data_and_parity_that_disagree_are_told) {
    auto chunk = s.add(1, {2, 1}, 130'000);
    // A record that names parity of other data, whole and durable as it is.
    const auto other = s.add(2, {2, 1}, 130'001);
    const auto bytes = world.run(s.set->online(other.places[2].store)->get(s.ctx, {other.id, 2}, 0, other.shard_length, 0));
    s.damage_shard(chunk, 2);
    const auto sums = ShardChecksums::of(*bytes);
    ASSERT_TRUE(world.run(s.set->online(chunk.places[2].store)->put(s.ctx, {chunk.id, 2}, *bytes, sums)));
    s.catalog.chunks[chunk.id].places[2].digest = sums.digest;
    begin({.cross_check_every = 1});
    scrubber->run_now();
    ASSERT_TRUE(world.run(scrubber->wait_full_speed(Instant::max())));
    EXPECT_EQ(scrubber->progress().inconsistent, 1u);
}

TEST_F(ScrubberTest, shards_on_a_lost_store_are_not_its_finds) {
    for (std::uint64_t i = 1; i <= 10; ++i) s.add(i, {2, 1}, 130'000);
    s.pull_out(0);
    begin();
    scrubber->run_now();
    ASSERT_TRUE(world.run(scrubber->wait_full_speed(Instant::max())));
    EXPECT_EQ(scrubber->progress().checked, 10u);
    EXPECT_EQ(scrubber->progress().bad_shards, 0u);
}

}  // namespace
}  // namespace strata::cluster

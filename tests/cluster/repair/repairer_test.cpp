// SPDX-License-Identifier: Apache-2.0
// Healing: what is damaged becomes whole again without anybody asking.
#include "cluster/repair/repairer.h"

#include <gtest/gtest.h>

#include "tests/cluster/repair/healing_fixture.h"

namespace strata::cluster {
namespace {

TEST(Repairer, what_a_read_finds_damaged_is_mended) {
    sim::World world(1);
    HealingWorld s(world, 4);
    const auto chunk = s.add(1, {2, 1}, 300'000);
    s.damage_shard(chunk, 0);
    EXPECT_TRUE(world.run(s.mended_stripes->read(s.ctx, chunk, 0, 1000)));
    s.heal();
    EXPECT_TRUE(s.all_sound());
    EXPECT_EQ(s.repairer.progress().mended, 1u);
    EXPECT_EQ(s.shard_count(), 3u) << "nothing is left over";
}

TEST(Repairer, a_failed_store_is_emptied_onto_the_others) {
    sim::World world(2);
    HealingWorld s(world, 5);
    for (std::uint64_t i = 1; i <= 40; ++i) s.add(i, i % 2 == 0 ? Geometry{2, 1} : Geometry{1, 1}, 150'000);
    s.fail_disk(3);
    s.set->report_failure(3, Errc::io);
    s.heal();
    for (const auto& [id, chunk] : s.catalog.chunks) EXPECT_FALSE(stores_of(chunk).contains(3));
    EXPECT_TRUE(s.all_sound());
    EXPECT_FALSE(s.repairer.progress().sweeping);
}

TEST(Repairer, a_missing_store_is_given_time_to_come_back) {
    sim::World world(3);
    HealingWorld s(world, 4);
    for (std::uint64_t i = 1; i <= 10; ++i) s.add(i, {2, 1}, 150'000);
    const auto before = s.catalog.chunks;
    s.heal();
    s.pull_out(2);
    world.run_for(5min);
    EXPECT_EQ(s.catalog.chunks, before);
    s.plug_in(2);
    world.run_for(1h);
    EXPECT_EQ(s.catalog.chunks, before) << "it came back in time";
    s.pull_out(2);
    world.run_for(1h);
    for (const auto& [id, chunk] : s.catalog.chunks) EXPECT_FALSE(stores_of(chunk).contains(2));
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, degraded_chunks_are_filled_up_when_a_store_comes) {
    sim::World world(4);
    HealingWorld s(world, 3);
    s.pull_out(1);
    const auto chunk = s.add(1, {1, 2}, 20'000);
    ASSERT_TRUE(chunk.degraded());
    s.heal();
    EXPECT_TRUE(s.record(chunk).degraded());
    s.plug_in(1);
    world.run_for(1min);
    s.heal();
    EXPECT_FALSE(s.record(chunk).degraded());
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, the_most_endangered_chunk_comes_first) {
    sim::World world(5);
    HealingWorld s(world, 8, {.bytes_per_second = 300'000});
    std::vector<Chunk> chunks;
    for (std::uint64_t i = 1; i <= 6; ++i) chunks.push_back(s.add(i, {4, 2}, 300'000));
    s.heal();
    for (const auto& c : chunks) s.damage_shard(c, 0);
    s.damage_shard(chunks[4], 1);
    for (const auto& c : chunks) s.repairer.damaged(c.id, 0);
    s.repairer.damaged(chunks[4].id, 1);
    // Places change only if a spare store takes the shard, which it does with eight stores.
    s.heal();
    ASSERT_EQ(s.catalog.replaced.size(), 6u);
    EXPECT_EQ(s.catalog.replaced.front(), chunks[4].id);
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, its_speed_is_limited) {
    sim::World world(6);
    HealingWorld s(world, 4, {.bytes_per_second = 100'000});
    std::vector<Chunk> chunks;
    for (std::uint64_t i = 1; i <= 20; ++i) chunks.push_back(s.add(i, {2, 1}, 200'000));
    s.heal();
    for (const auto& c : chunks) {
        s.damage_shard(c, 1);
        s.repairer.damaged(c.id, 1);
    }
    const Instant begun = world.clock().now();
    s.heal();
    EXPECT_GT(world.clock().now() - begun, 38s);
    EXPECT_LT(world.clock().now() - begun, 60s);
}

TEST(Repairer, past_the_tolerance_it_says_so_and_tries_again_when_a_store_comes) {
    sim::World world(7);
    HealingWorld s(world, 3);
    const auto chunk = s.add(1, {2, 1}, 300'000);
    s.heal();
    s.pull_out(chunk.places[0].store);
    s.damage_shard(chunk, 1);
    EXPECT_EQ(s.read(chunk).error(), Errc::io);
    s.repairer.damaged(chunk.id, 1);
    s.heal();
    EXPECT_EQ(s.repairer.progress().unmendable, 1u);
    s.plug_in(chunk.places[0].store);
    s.repairer.damaged(chunk.id, 1);
    world.run_for(30min);
    s.repairer.damaged(chunk.id, 1);
    s.heal();
    EXPECT_EQ(s.repairer.progress().unmendable, 0u);
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, a_chunk_removed_meanwhile_leaves_nothing_behind) {
    sim::World world(8);
    HealingWorld s(world, 4);
    const auto chunk = s.add(1, {2, 1}, 300'000);
    s.damage_shard(chunk, 2);
    s.catalog.on_replace = [&] { s.catalog.chunks.erase(chunk.id); };
    s.repairer.damaged(chunk.id, 2);
    s.heal();
    world.run(s.stripes->remove(s.ctx, chunk));  // as the owner does with the record it removed
    EXPECT_EQ(s.shard_count(), 0u);
}

TEST(Repairer, more_damage_than_the_queue_holds_is_found_by_a_sweep) {
    sim::World world(9);
    HealingWorld s(world, 5, {.queue_max = 4});
    for (std::uint64_t i = 1; i <= 60; ++i) s.add(i, {2, 1}, 140'000);
    s.set->report_failure(0, Errc::io);
    s.heal();
    for (const auto& [id, chunk] : s.catalog.chunks) EXPECT_FALSE(stores_of(chunk).contains(0));
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, a_chunk_whose_record_comes_after_the_sweep_is_mended_by_itself) {
    sim::World world(10);
    HealingWorld s(world, 5);
    for (std::uint64_t i = 1; i <= 10; ++i) s.add(i, {2, 1}, 150'000);
    // Written before the store fails, committed after the sweep.
    const auto chunk = world.run(s.mended_stripes->write(s.ctx, {1, 1, 99}, {2, 1}, bytes_of(99, 200'000)));
    ASSERT_TRUE(chunk);
    const StoreIndex failed = chunk->places[1].store;
    s.fail_disk(failed);
    s.set->report_failure(failed, Errc::io);
    s.heal();
    s.catalog.chunks[chunk->id] = *chunk;
    s.mended_stripes->committed(*chunk);
    s.heal();
    EXPECT_FALSE(stores_of(s.record(*chunk)).contains(failed));
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, what_could_not_be_mended_is_tried_again_by_itself) {
    sim::World world(11);
    HealingWorld s(world, 4, {.retry_delay = 10min});
    const auto chunk = s.add(1, {2, 1}, 300'000);
    const auto store = s.set->online(chunk.places[0].store);
    const auto bytes = world.run(store->get(s.ctx, {chunk.id, 0}, 0, chunk.shard_length, 0));
    ASSERT_TRUE(bytes);
    s.damage_shard(chunk, 0);
    s.damage_shard(chunk, 1);
    s.repairer.damaged(chunk.id, 0);
    s.repairer.damaged(chunk.id, 1);
    s.heal();
    EXPECT_EQ(s.repairer.progress().unmendable, 1u);
    ASSERT_TRUE(world.run(store->put(s.ctx, {chunk.id, 0}, *bytes, ShardChecksums::of(*bytes))));
    world.run_for(15min);
    EXPECT_EQ(s.repairer.progress().unmendable, 0u);
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, a_catalog_that_fails_for_a_while_loses_no_report) {
    sim::World world(12);
    HealingWorld s(world, 4);
    const auto chunk = s.add(1, {2, 1}, 300'000);
    s.heal();
    s.damage_shard(chunk, 2);
    s.catalog.unreadable = true;
    s.repairer.damaged(chunk.id, 2);
    world.run_for(1min);
    s.catalog.unreadable = false;
    world.run_for(1min);
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, degraded_chunks_are_filled_up_when_a_full_store_has_room_again) {
    sim::World world(13);
    HealingWorld s(world, 3);
    HangingStore& full = s.fill_up(1);
    const auto chunk = s.add(1, {1, 2}, 20'000);
    ASSERT_TRUE(chunk.degraded());
    s.mended_stripes->committed(chunk);
    s.heal();
    EXPECT_TRUE(s.record(chunk).degraded());
    EXPECT_EQ(s.repairer.progress().unmendable, 1u) << "redundancy is not whole, and that shows";
    full.set_full(false);
    world.run_for(1min);
    EXPECT_FALSE(s.record(chunk).degraded());
    EXPECT_EQ(s.repairer.progress().unmendable, 0u);
    EXPECT_TRUE(s.all_sound());
}

TEST(Repairer, a_store_that_hangs_is_emptied_onto_the_others) {
    sim::World world(14);
    HealingWorld s(world, 5);
    for (std::uint64_t i = 1; i <= 10; ++i) s.add(i, {2, 1}, 150'000);
    s.heal();
    s.hang_disk(2);
    for (int i = 0; i < 3; ++i) {
        for (const auto& [id, chunk] : s.catalog.chunks) EXPECT_TRUE(world.run(s.mended_stripes->read(s.ctx, chunk, 0, chunk.length)));
        world.run_for(1min);
    }
    s.heal();
    for (const auto& [id, chunk] : s.catalog.chunks) EXPECT_FALSE(stores_of(chunk).contains(2));
    EXPECT_TRUE(s.all_sound());
}

TEST(RepairQueue, damage_reported_while_a_chunk_is_mended_is_not_forgotten) {
    RepairQueue queue(10);
    const ChunkId id{1, 1, 1};
    ASSERT_TRUE(queue.report(id, 1u << 0));
    ASSERT_TRUE(queue.next_unranked());
    queue.rank(id, 1);
    ASSERT_EQ(queue.next(), id);
    ASSERT_TRUE(queue.report(id, 1u << 0 | 1u << 3));
    queue.finish(id, 1u << 0);
    const auto again = queue.next_unranked();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->second, 1u << 3);
    queue.finish(id);
    EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Stripes over simulated stores: round trips, losses, narrower and degraded writes, rebuilding.
#include "cluster/stripe/stripe.h"

#include <bit>

#include <gtest/gtest.h>

#include "cluster/stripe/layout.h"
#include "tests/cluster/stripe/stripe_fixture.h"

namespace strata::cluster {
namespace {

TEST(StripePolicy, text_and_geometry_agree) {
    EXPECT_EQ(Policy::parse("single")->full, (Geometry{1, 0}));
    EXPECT_EQ(Policy::parse("mirror-3")->full, (Geometry{1, 2}));
    EXPECT_EQ(Policy::parse("ec-4+2")->full, (Geometry{4, 2}));
    for (const char* text : {"single", "mirror-2", "mirror-8", "ec-2+1", "ec-16+6"}) EXPECT_EQ(Policy::parse(text)->to_string(), text);
    for (const char* text :
         {"", "mirror-1", "mirror-9", "mirror-", "mirror-x", "ec-1+1", "ec-2", "ec-2+0", "ec-17+1", "ec-2+7", "ec--2+1", "ec-2+1 "}) {
        EXPECT_EQ(Policy::parse(text).error(), Errc::config) << text;
    }
}

TEST(StripePolicy, the_default_follows_the_number_of_stores) {
    EXPECT_EQ(Policy::default_for(1).to_string(), "single");
    EXPECT_EQ(Policy::default_for(2).to_string(), "mirror-2");
    EXPECT_EQ(Policy::default_for(3).to_string(), "ec-2+1");
    EXPECT_EQ(Policy::default_for(6).to_string(), "ec-4+2");
}

// A chain of uneven slices, as a network would deliver it.
BufferChain ragged(std::uint64_t seed, std::size_t length) {
    const BufferChain whole = bytes_of(seed, length);
    sim::SimRandom numbers(seed);
    BufferChain out;
    for (std::size_t at = 0; at < length;) {
        const std::size_t n = std::min<std::size_t>(length - at, 1 + numbers.below(70'000));
        out.append(BufferChain(whole.sub(at, n).flatten()));
        at += n;
    }
    return out;
}

class StripeGeometry : public testing::TestWithParam<Geometry> {};

TEST_P(StripeGeometry, every_loss_within_the_tolerance_is_read_past) {
    const Geometry g = GetParam();
    sim::World world(3);
    StripeWorld s(world, g.shards());
    const auto data = ragged(1, 300'001);
    const auto chunk = s.write(1, g, data);
    ASSERT_TRUE(chunk) << to_string(chunk.error());
    EXPECT_EQ(chunk->geometry, g);
    EXPECT_EQ(std::ssize(stores_of(*chunk)), g.shards()) << "each shard on a store of its own";
    const std::string text = text_of(data);
    for (std::uint32_t lost = 0; lost < 1u << g.shards(); ++lost) {
        if (std::popcount(lost) > g.m) continue;
        for (int i = 0; i < g.shards(); ++i) {
            if ((lost >> i & 1u) != 0) s.pull_out(chunk->places[static_cast<std::size_t>(i)].store);
        }
        const auto all = s.read(*chunk);
        ASSERT_TRUE(all) << lost << " " << to_string(all.error());
        ASSERT_EQ(text_of(*all), text) << lost;
        for (int n = 0; n < 10; ++n) {
            const auto offset = static_cast<std::uint32_t>(world.random().below(300'000));
            const auto length = static_cast<std::uint32_t>(1 + world.random().below(n < 5 ? 5000 : 300'001 - offset));
            const auto fit = std::min<std::uint32_t>(length, 300'001 - offset);
            const auto part = s.read(*chunk, offset, fit);
            ASSERT_TRUE(part) << lost;
            ASSERT_EQ(text_of(*part), text.substr(offset, fit)) << lost << " " << offset << "+" << fit;
        }
        for (int i = 0; i < g.shards(); ++i) {
            if ((lost >> i & 1u) != 0) s.plug_in(chunk->places[static_cast<std::size_t>(i)].store);
        }
    }
}

TEST_P(StripeGeometry, beyond_the_tolerance_there_is_an_error_and_never_wrong_bytes) {
    const Geometry g = GetParam();
    sim::World world(4);
    StripeWorld s(world, g.shards());
    const auto chunk = s.write(1, g, bytes_of(1, 300'000));
    ASSERT_TRUE(chunk);
    for (int i = 0; i <= g.m; ++i) s.pull_out(chunk->places[static_cast<std::size_t>(i)].store);
    EXPECT_EQ(s.read(*chunk).error(), Errc::io);
}

INSTANTIATE_TEST_SUITE_P(All, StripeGeometry,
                         testing::Values(Geometry{1, 1}, Geometry{1, 2}, Geometry{2, 1}, Geometry{4, 2}, Geometry{3, 3}));

TEST(Stripe, all_sizes_survive_a_round_trip) {
    sim::World world(5);
    StripeWorld s(world, 6);
    std::uint64_t counter = 0;
    for (const std::size_t length : {1u, 4095u, 4096u, 16384u, 16385u, 131072u, 131073u, 1u << 20, 4u << 20}) {
        for (const Geometry g : {Geometry{1, 0}, Geometry{1, 2}, Geometry{2, 1}, Geometry{4, 2}}) {
            const auto data = ragged(length, length);
            const auto chunk = s.write(++counter, g, data);
            ASSERT_TRUE(chunk) << length;
            const auto back = s.read(*chunk);
            ASSERT_TRUE(back) << length << " " << to_string(back.error());
            ASSERT_EQ(text_of(*back), text_of(data)) << length;
            EXPECT_TRUE(s.scrub(*chunk).empty());
        }
    }
    EXPECT_TRUE(s.damage.shards.empty());
}

TEST(Stripe, ranges_outside_the_chunk_are_refused) {
    sim::World world(6);
    StripeWorld s(world, 3);
    const auto chunk = s.write(1, {2, 1}, bytes_of(1, 200'000));
    EXPECT_EQ(s.read(*chunk, 200'000, 1).error(), Errc::invalid_argument);
    EXPECT_EQ(s.read(*chunk, 0, 0).error(), Errc::invalid_argument);
    EXPECT_EQ(s.write(2, {2, 1}, BufferChain()).error(), Errc::invalid_argument);
}

TEST(Stripe, a_store_that_fails_during_a_write_is_replaced_within_it) {
    sim::World world(7);
    StripeWorld s(world, 4);
    s.fail_disk(2);
    const auto data = bytes_of(1, 500'000);
    for (std::uint64_t i = 1; i <= 8; ++i) {
        const auto chunk = s.write(i, {2, 1}, data);
        ASSERT_TRUE(chunk) << to_string(chunk.error());
        EXPECT_EQ(chunk->geometry, (Geometry{2, 1}));
        EXPECT_FALSE(chunk->degraded());
        EXPECT_FALSE(stores_of(*chunk).contains(2));
        EXPECT_EQ(text_of(*s.read(*chunk)), text_of(data));
    }
    EXPECT_EQ(s.set->members()[2].state, StoreState::failed);
}

TEST(Stripe, with_fewer_stores_it_gets_narrower_then_replicated_then_degraded_then_refused) {
    sim::World world(8);
    StripeWorld s(world, 6);
    const auto data = bytes_of(1, 400'000);
    const auto written = [&](std::uint64_t counter) {
        auto chunk = s.write(counter, {4, 2}, data);
        if (chunk) EXPECT_EQ(text_of(*s.read(*chunk)), text_of(data));
        return chunk;
    };
    EXPECT_EQ(written(1)->geometry, (Geometry{4, 2}));
    s.pull_out(0);
    EXPECT_EQ(written(2)->geometry, (Geometry{3, 2}));
    s.pull_out(1);
    EXPECT_EQ(written(3)->geometry, (Geometry{2, 2}));
    s.pull_out(2);
    const auto replicas = written(4);
    EXPECT_EQ(replicas->geometry, (Geometry{1, 2}));
    EXPECT_FALSE(replicas->degraded());
    s.pull_out(3);
    const auto degraded = written(5);
    EXPECT_EQ(degraded->geometry, (Geometry{1, 2}));
    EXPECT_TRUE(degraded->degraded());
    EXPECT_EQ(stores_of(*degraded).size(), 2u);
    s.pull_out(4);
    EXPECT_EQ(written(6).error(), Errc::read_only);
}

TEST(Stripe, a_store_failing_with_nobody_to_replace_it_makes_the_stripe_narrower) {
    sim::World world(9);
    StripeWorld s(world, 6);
    s.fail_disk(1);
    const auto data = bytes_of(1, 400'000);
    const auto chunk = s.write(1, {4, 2}, data);
    ASSERT_TRUE(chunk);
    EXPECT_EQ(chunk->geometry, (Geometry{3, 2}));
    EXPECT_FALSE(chunk->degraded());
    EXPECT_EQ(text_of(*s.read(*chunk)), text_of(data));
    std::size_t shards = 0;
    for (const auto& m : s.set->members()) {
        if (m.state == StoreState::online) shards += world.run(m.store->list(s.ctx, {}, 100))->size();
    }
    EXPECT_EQ(shards, 5u) << "nothing is left of the first attempt";
}

TEST(Stripe, full_stores_refuse_with_no_space) {
    sim::World world(10);
    StripeWorld s(world, 3, 12 << 20);
    const auto data = bytes_of(1, 1 << 20);
    Result<Chunk> chunk;
    for (std::uint64_t i = 1; i < 100 && (i == 1 || chunk); ++i) chunk = s.write(i, {2, 1}, data);
    EXPECT_EQ(chunk.error(), Errc::no_space) << to_string(chunk.error());
    for (const auto& m : s.set->members()) EXPECT_NE(m.state, StoreState::failed);
}

TEST(Stripe, damage_met_by_a_read_is_told_and_answered_past) {
    sim::World world(11);
    StripeWorld s(world, 3);
    const auto data = bytes_of(1, 300'000);
    const auto chunk = s.write(1, {2, 1}, data);
    const ShardKey key = shard_key(*chunk, 0);
    ASSERT_TRUE(world.run(s.set->online(chunk->places[0].store)->remove(s.ctx, std::span(&key, 1))));
    EXPECT_EQ(text_of(*s.read(*chunk)), text_of(data));
    EXPECT_EQ(s.damage.shards[chunk->id], std::set<int>{0});
    EXPECT_EQ(s.scrub(*chunk), std::vector<int>{0});
}

TEST(Stripe, a_store_that_hangs_is_read_past_in_bounded_time) {
    for (const Geometry g : {Geometry{2, 1}, Geometry{1, 1}}) {
        sim::World world(4);
        StripeWorld s(world, 3);
        const auto data = bytes_of(1, 300'000);
        const auto chunk = s.write(2, g, data);
        ASSERT_TRUE(chunk);
        const StoreIndex hung = chunk->places[0].store;
        HangingStore& store = s.hang_disk(hung);
        const Instant begun = world.clock().now();
        const auto first = world.run(s.stripes->read(s.ctx, *chunk, 0, 300'000), 1min);
        ASSERT_TRUE(first) << to_string(first.error());
        EXPECT_EQ(text_of(*first), text_of(data));
        EXPECT_LE(world.clock().now() - begun, 6s);
        // The next ones do not wait for it at all.
        const std::size_t asked = store.reads();
        const Instant later = world.clock().now();
        EXPECT_EQ(text_of(*s.read(*chunk)), text_of(data));
        EXPECT_LE(world.clock().now() - later, 1s);
        EXPECT_EQ(store.reads(), asked);
        EXPECT_NE(s.set->online(hung), nullptr) << "it may be slow only";
        world.run_for(1min);
        EXPECT_EQ(text_of(*s.read(*chunk)), text_of(data));
        EXPECT_EQ(s.set->online(hung), nullptr) << "silent for so long, it has failed";
    }
}

TEST(Stripe, a_store_that_answers_late_is_used_again) {
    sim::World world(4);
    StripeWorld s(world, 3);
    const auto chunk = s.write(1, {2, 1}, bytes_of(1, 300'000));
    const StoreIndex slow = chunk->places[0].store;
    HangingStore& store = s.hang_disk(slow);
    ASSERT_TRUE(s.read(*chunk));
    store.release();
    world.run_for(1min);
    const std::size_t asked = store.reads();
    ASSERT_TRUE(s.read(*chunk));
    EXPECT_GT(store.reads(), asked);
    EXPECT_NE(s.set->online(slow), nullptr);
}

TEST(Stripe, with_too_few_stores_that_answer_a_read_ends_with_an_error) {
    sim::World world(4);
    StripeWorld s(world, 3);
    const auto chunk = s.write(1, {2, 1}, bytes_of(1, 300'000));
    s.hang_disk(0);
    s.hang_disk(1);
    const Instant begun = world.clock().now();
    EXPECT_EQ(s.read(*chunk).error(), Errc::io);
    EXPECT_LE(world.clock().now() - begun, 30s);
}

TEST(Stripe, a_chunk_that_no_store_knows_is_not_found) {
    sim::World world(12);
    StripeWorld s(world, 3);
    const auto chunk = s.write(1, {2, 1}, bytes_of(1, 300'000));
    world.run(s.stripes->remove(s.ctx, *chunk));
    EXPECT_EQ(s.read(*chunk).error(), Errc::not_found);
}

TEST(Stripe, rebuilding_moves_lost_shards_to_other_stores) {
    sim::World world(13);
    StripeWorld s(world, 8);
    const auto data = bytes_of(1, 700'000);
    const auto chunk = s.write(1, {4, 2}, data);
    s.pull_out(chunk->places[1].store);
    s.pull_out(chunk->places[5].store);
    const auto after = s.rebuild(*chunk);
    ASSERT_TRUE(after) << to_string(after.error());
    EXPECT_NE(*after, *chunk);
    EXPECT_EQ(stores_of(*after).size(), 6u);
    EXPECT_TRUE(s.scrub(*after).empty());
    EXPECT_EQ(text_of(*s.read(*after)), text_of(data));
    EXPECT_EQ(*s.rebuild(*after), *after) << "a sound chunk stays as it is";
}

TEST(Stripe, rebuilding_without_a_spare_store_mends_in_place) {
    sim::World world(14);
    StripeWorld s(world, 3);
    const auto data = bytes_of(1, 700'000);
    const auto chunk = s.write(1, {2, 1}, data);
    const ShardKey key = shard_key(*chunk, 2);
    ASSERT_TRUE(world.run(s.set->online(chunk->places[2].store)->remove(s.ctx, std::span(&key, 1))));
    const auto after = s.rebuild(*chunk);
    ASSERT_TRUE(after);
    EXPECT_EQ(*after, *chunk);
    EXPECT_TRUE(s.scrub(*after).empty());
}

TEST(Stripe, a_degraded_chunk_is_filled_up_when_a_store_comes) {
    sim::World world(15);
    StripeWorld s(world, 3);
    s.pull_out(0);
    const auto data = bytes_of(1, 50'000);
    const auto chunk = s.write(1, {1, 2}, data);
    ASSERT_TRUE(chunk->degraded());
    s.plug_in(0);
    const auto after = s.rebuild(*chunk);
    ASSERT_TRUE(after);
    EXPECT_FALSE(after->degraded());
    EXPECT_EQ(stores_of(*after).size(), 3u);
    EXPECT_TRUE(s.scrub(*after).empty());
}

TEST(Stripe, flipped_bits_never_show) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        sim::World world(seed);
        StripeWorld s(world, 6);
        std::vector<std::pair<Chunk, BufferChain>> chunks;
        for (std::uint64_t i = 1; i <= 6; ++i) {
            const auto data = bytes_of(i, 1 + world.random().below(600'000));
            chunks.emplace_back(*s.write(i, i % 2 == 0 ? Geometry{4, 2} : Geometry{1, 2}, data), data);
        }
        for (const int disk : {0, 1}) s.disks[static_cast<std::size_t>(disk)]->flip_bits("segments/", 40);
        for (const auto& [chunk, data] : chunks) {
            const auto back = s.read(chunk);
            ASSERT_TRUE(back) << "seed " << seed << " " << to_string(back.error());
            ASSERT_EQ(text_of(*back), text_of(data)) << "seed " << seed;
            const auto after = s.rebuild(chunk);
            ASSERT_TRUE(after);
            EXPECT_TRUE(s.scrub(*after).empty()) << "seed " << seed;
            EXPECT_TRUE(*world.run(s.stripes->cross_check(s.ctx, *after)));
        }
    }
}

}  // namespace
}  // namespace strata::cluster

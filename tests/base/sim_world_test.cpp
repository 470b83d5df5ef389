// SPDX-License-Identifier: Apache-2.0
// The simulated world: virtual time, idleness, determinism.
#include <gtest/gtest.h>

#include "server/base/signal.h"
#include "server/base/task_group.h"
#include "tests/sim/world.h"

namespace strata::sim {

namespace {

Task<Duration> sleep_an_hour(Clock& clock) {
    auto start = clock.now();
    co_await clock.sleep_for(1h);
    co_return clock.now() - start;
}

Task<> note_after_jobs(Pool& pool, Log log, int id) {
    for (int i = 0; i < 5; ++i) {
        int got = co_await pool.run([&] { return id * 100 + i; });
        log.info("job", {{"got", got}});
    }
}

// Several coroutines over a pool, a disk and a stream: enough for any accidental disorder to show.
std::uint64_t trace_of(std::uint64_t seed) {
    World world(seed);
    auto pool = world.runtime().make_pool("work", 3);
    auto disk = world.make_disk("d", 1 << 20);
    TaskGroup group;
    for (int id = 0; id < 4; ++id) {
        group.spawn(world.executor(), [&, id] { return note_after_jobs(*pool, world.runtime().log("task"), id); });
    }
    auto [a, b] = world.network().pair();
    std::string text(10000, 'x');
    auto talk = [&]() -> Task<> {
        auto bytes = std::as_bytes(std::span(text));
        EXPECT_TRUE(co_await a->write_all(std::span(&bytes, 1), Instant::max()));
        a->close();
        std::byte buffer[777];
        for (;;) {
            auto got = co_await b->read_some(buffer, Instant::max());
            EXPECT_TRUE(got);
            if (!got || *got == 0) break;
            (void)co_await pool->run([&] {
                auto file = disk->open("f", OpenMode::create);
                return file.has_value() && (*file)->write_at(0, std::span<const std::byte>(buffer, *got)).has_value();
            });
        }
    };
    world.run(talk());
    EXPECT_TRUE(world.run(group.wait(world.clock(), Instant::max())));
    world.run_until_idle();
    return world.trace_hash();
}

}  // namespace

TEST(SimWorld, an_hour_of_sleep_takes_no_time) {
    World world(1);
    EXPECT_EQ(world.run(sleep_an_hour(world.clock())), 1h);
}

TEST(SimWorld, a_task_that_waits_for_nothing_fails_the_run) {
    World world(1);
    Signal never;
    auto wait = [&]() -> Task<> { (void)co_await never.wait(1, world.clock(), Instant::max()); };
    EXPECT_THROW(world.run(wait()), WorldIdle);
}

TEST(SimWorld, the_same_seed_gives_the_same_trace_and_another_seed_another) {
    auto first = trace_of(7);
    EXPECT_EQ(first, trace_of(7));
    EXPECT_NE(first, trace_of(8));
}

TEST(SimWorld, jobs_of_one_thread_end_in_order_and_those_of_several_overtake) {
    for (int threads : {1, 4}) {
        World world(3);
        auto pool = world.runtime().make_pool("p", threads);
        std::vector<int> order;
        for (int i = 0; i < 40; ++i) pool->post([&order, i] { order.push_back(i); });
        world.run_until_idle();
        ASSERT_EQ(order.size(), 40u);
        EXPECT_EQ(std::ranges::is_sorted(order), threads == 1);
    }
}

TEST(SimWorld, a_pool_that_ends_finishes_its_jobs) {
    World world(3);
    int done = 0;
    {
        auto pool = world.runtime().make_pool("p", 2);
        for (int i = 0; i < 5; ++i) pool->post([&] { ++done; });
    }
    EXPECT_EQ(done, 5);
    world.run_until_idle();
    EXPECT_EQ(done, 5);
}

TEST(SimWorld, a_slow_disk_keeps_the_pools_thread_busy) {
    World world(3);
    auto disk = world.make_disk("slow", 1 << 20);
    disk->set_latency(10ms, 10ms);
    auto pool = world.runtime().make_pool("p", 1);
    for (int i = 0; i < 3; ++i) pool->post([&] { (void)disk->exists("x"); });
    world.run_until_idle();
    EXPECT_GE(world.clock().now().ns, Duration(20ms).count());
}

TEST(SimWorld, the_wall_clock_jumps_without_the_monotonic_one) {
    World world(1);
    auto before = world.clock().wall_time();
    world.jump_wall_clock(-10s);
    EXPECT_EQ(world.clock().wall_time().seconds, before.seconds - 10);
    EXPECT_EQ(world.clock().now().ns, 0);
    world.run_for(5s);
    EXPECT_EQ(world.clock().wall_time().seconds, before.seconds - 5);
}

TEST(SimWorld, a_stopped_sleeper_wakes_at_once) {
    World world(1);
    TaskGroup group;
    Instant woke{};
    group.spawn(world.executor(), [&]() -> Task<> {
        co_await world.clock().sleep_for(100h);
        woke = world.clock().now();
    });
    world.run_for(1s);
    group.stop();
    EXPECT_TRUE(world.run(group.wait(world.clock(), Instant::max())));
    EXPECT_EQ(woke, Instant{} + 1s);
}

TEST(SimWorld, suspended_coroutines_are_destroyed_with_it) {
    auto witness = std::make_shared<int>(1);
    {
        auto world = std::make_unique<World>(1);
        auto body = [](Clock& clock, std::shared_ptr<int> held) -> Task<> {
            co_await clock.sleep_until(Instant::max());
            *held = 2;
        };
        EXPECT_THROW(world->run(body(world->clock(), witness)), WorldIdle);
        EXPECT_EQ(witness.use_count(), 2);
    }
    EXPECT_EQ(witness.use_count(), 1);
    EXPECT_EQ(*witness, 1);
}

}  // namespace strata::sim

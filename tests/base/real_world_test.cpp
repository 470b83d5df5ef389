// SPDX-License-Identifier: Apache-2.0
// The system's runtime as a whole, and RealWorld's slow includes.
#include "tests/base/real_world.h"

#include <future>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

namespace strata {

namespace {

Task<> not_throwing(Task<> task) {
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    co_await std::move(task);
}

Task<std::thread::id> thread_after_pool(Pool& pool) {
    auto before = std::this_thread::get_id();
    auto there = co_await pool.run([] { return std::this_thread::get_id(); });
    EXPECT_NE(there, before);
    EXPECT_EQ(std::this_thread::get_id(), before);
    co_return there;
}

}  // namespace

void RealWorld::run(Task<> task, int thread) {
    auto done = boost::asio::co_spawn(io().executor(thread), not_throwing(std::move(task)), boost::asio::use_future);
    if (done.wait_for(20s) != std::future_status::ready) throw std::runtime_error("the task takes too long");
    done.get();
}

TEST(SystemRuntime, a_pools_answer_comes_back_to_the_callers_thread) {
    RealWorld world;
    auto pool = world.runtime().make_pool("work", 1);
    EXPECT_EQ(world.run(thread_after_pool(*pool), 0), world.run(thread_after_pool(*pool), 1));
}

TEST(SystemRuntime, a_coroutine_suspended_at_the_end_is_destroyed_with_the_threads) {
    auto witness = std::make_shared<int>(1);
    {
        RealWorld world(2);
        std::atomic<bool> begun{false};
        auto body = [](Clock& clock, std::shared_ptr<int> held, std::atomic<bool>& started) -> Task<> {
            started = true;
            co_await clock.sleep_for(1h);
            *held = 2;
        };
        boost::asio::co_spawn(world.io().any(), body(world.clock(), witness, begun), [](std::exception_ptr) {});
        while (!begun) std::this_thread::yield();
        EXPECT_EQ(witness.use_count(), 2);
    }
    EXPECT_EQ(witness.use_count(), 1);
    EXPECT_EQ(*witness, 1);
}

TEST(SystemRuntime, sleep_lasts_as_long_as_asked) {
    RealWorld world(1);
    auto start = world.clock().now();
    world.run(world.clock().sleep_for(30ms));
    EXPECT_GE(world.clock().now() - start, 30ms);
    EXPECT_GT(world.clock().wall_time().seconds, 1'700'000'000);
}

TEST(SystemRuntime, a_blocked_io_thread_is_counted_as_a_stall) {
    RealWorld world(1);
    auto& stalls = world.metrics().counter("io.stalls");
    for (int i = 0; i < 100 && stalls.value() == 0; ++i) {
        auto block = []() -> Task<> {
            std::this_thread::sleep_for(60ms);
            co_return;
        };
        world.run(block());
        world.run(world.clock().sleep_for(5ms));
    }
    EXPECT_GT(stalls.value(), 0u);
}

TEST(SystemRuntime, executors_take_turns) {
    RealWorld world(2);
    auto a = world.runtime().executor();
    auto b = world.runtime().executor();
    EXPECT_FALSE(a == b);
    EXPECT_TRUE(world.runtime().executor() == a);
}

TEST(Pool, jobs_of_one_thread_run_in_order_and_the_destructor_finishes_them) {
    std::vector<int> order;
    {
        auto pool = make_thread_pool("one", 1);
        for (int i = 0; i < 1000; ++i) pool->post([&order, i] { order.push_back(i); });
    }
    ASSERT_EQ(order.size(), 1000u);
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(Pool, many_coroutines_share_few_threads) {
    RealWorld world(2);
    auto pool = world.runtime().make_pool("few", 3);
    std::atomic<int> sum{0};
    auto ask = [&]() -> Task<> {
        for (int i = 0; i < 100; ++i) sum += co_await pool->run([i] { return i; });
    };
    std::vector<std::future<void>> all;
    for (int i = 0; i < 20; ++i) all.push_back(boost::asio::co_spawn(world.io().any(), ask(), boost::asio::use_future));
    for (auto& one : all) one.get();
    EXPECT_EQ(sum, 20 * 4950);
}

TEST(Pool, move_only_results_and_none_at_all_come_back) {
    RealWorld world(1);
    auto pool = world.runtime().make_pool("p", 1);
    auto ask = [&]() -> Task<> {
        auto made = co_await pool->run([] { return std::make_unique<int>(7); });
        EXPECT_EQ(*made, 7);
        bool ran = false;
        co_await pool->run([&] { ran = true; });
        EXPECT_TRUE(ran);
    };
    world.run(ask());
}

}  // namespace strata

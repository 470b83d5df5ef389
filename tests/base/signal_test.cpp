// SPDX-License-Identifier: Apache-2.0
// Signals and task groups, simulated and with real threads.
#include "server/base/signal.h"

#include <thread>

#include <gtest/gtest.h>

#include "server/base/task_group.h"
#include "tests/base/real_world.h"
#include "tests/sim/world.h"

namespace strata {

namespace {

// Spawned tasks that wait on a signal, with what each got.
struct Waits {
    explicit Waits(Executor e, Clock& c) : home(std::move(e)), clock(c) {}

    void add(std::uint64_t wanted, Instant deadline = Instant::max()) {
        auto index = outcomes.size();
        outcomes.push_back("waiting");
        group.spawn(home, [this, index, wanted, deadline]() -> Task<> {
            auto result = co_await signal.wait(wanted, clock, deadline);
            outcomes[index] = result ? "reached" : std::string(to_string(result.error().code));
            order.push_back(index);
        });
    }

    Executor home;
    Clock& clock;
    Signal signal;
    TaskGroup group;
    std::vector<std::string> outcomes;
    std::vector<std::size_t> order;
};

using Strings = std::vector<std::string>;

}  // namespace

TEST(Signal, raising_wakes_those_it_satisfies_and_no_others) {
    sim::World world(1);
    Waits waits(world.executor(), world.clock());
    for (int wanted : {5, 3, 9, 5, 1}) waits.add(static_cast<std::uint64_t>(wanted));
    world.run_for(1ms);
    waits.signal.raise(5);
    waits.signal.raise(4);  // it only grows
    EXPECT_EQ(waits.signal.value(), 5u);
    world.run_for(1ms);
    EXPECT_EQ(waits.outcomes, (Strings{"reached", "reached", "waiting", "reached", "reached"}));
    EXPECT_EQ(waits.order, (std::vector<std::size_t>{4, 1, 0, 3}));
    waits.signal.raise(9);
    world.run_for(1ms);
    EXPECT_EQ(waits.outcomes[2], "reached");
}

TEST(Signal, a_satisfied_wait_does_not_suspend) {
    sim::World world(1);
    Signal signal;
    signal.raise(3);
    bool interleaved = false;
    auto body = [&]() -> Task<> {
        world.after(0ns, Job([&] { interleaved = true; }));
        for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await signal.wait(3, world.clock(), Instant::max()));
        EXPECT_FALSE(interleaved);
    };
    world.run(body());
}

TEST(Signal, deadlines_pass_one_by_one_and_the_late_raise_finds_the_rest) {
    sim::World world(1);
    Waits waits(world.executor(), world.clock());
    waits.add(7, Instant{} + 5s);
    waits.add(7, Instant{} + 2s);  // earlier than what is watched already
    waits.add(7);
    waits.add(7, Instant{} + 9s);
    world.run_for(3s);
    EXPECT_EQ(waits.outcomes, (Strings{"waiting", "timed_out", "waiting", "waiting"}));
    world.run_for(3s);
    EXPECT_EQ(waits.outcomes, (Strings{"timed_out", "timed_out", "waiting", "waiting"}));
    waits.signal.raise(7);
    world.run_for(1ms);
    EXPECT_EQ(waits.outcomes, (Strings{"timed_out", "timed_out", "reached", "reached"}));
    waits.add(8, Instant{});                 // long past
    waits.add(8, world.clock().now() + 1s);  // the watch starts anew
    EXPECT_TRUE(world.run_until_idle());
    EXPECT_EQ(waits.outcomes[4], "timed_out");
    EXPECT_EQ(waits.outcomes[5], "timed_out");
}

TEST(Signal, failing_reaches_present_and_later_waits) {
    sim::World world(1);
    Waits waits(world.executor(), world.clock());
    waits.add(1);
    waits.add(2, Instant{} + 1h);
    world.run_for(1ms);
    waits.signal.fail_all(Error(Errc::fenced, "epoch 4"));
    world.run_for(1ms);
    waits.add(3);
    world.run_for(1ms);
    EXPECT_EQ(waits.outcomes, (Strings{"fenced", "fenced", "fenced"}));
}

TEST(Signal, a_cancelled_waiter_leaves_the_others_alone) {
    sim::World world(1);
    Waits waits(world.executor(), world.clock());
    TaskGroup other;
    std::string outcome;
    waits.add(2);
    other.spawn(world.executor(), [&]() -> Task<> {
        auto result = co_await waits.signal.wait(1, world.clock(), Instant::max());
        outcome = result ? "reached" : std::string(to_string(result.error().code));
        // Cancelled is cancelled: a later wait does not hang either.
        EXPECT_EQ((co_await waits.signal.wait(5, world.clock(), Instant::max())).error(), Errc::cancelled);
    });
    world.run_for(1ms);
    other.stop();
    world.run_for(1ms);
    EXPECT_EQ(outcome, "cancelled");
    EXPECT_EQ(other.size(), 0u);
    waits.signal.raise(2);
    world.run_for(1ms);
    EXPECT_EQ(waits.outcomes, Strings{"reached"});
}

TEST(Signal, raise_and_cancel_in_one_moment_end_the_wait_once) {
    for (bool raise_first : {true, false}) {
        sim::World world(1);
        Waits waits(world.executor(), world.clock());
        waits.add(1);
        world.run_for(1ms);
        if (raise_first) waits.signal.raise(1);
        waits.group.stop();
        if (!raise_first) waits.signal.raise(1);
        world.run_for(1ms);
        EXPECT_EQ(waits.order.size(), 1u);
        EXPECT_EQ(waits.group.size(), 0u);
    }
}

TEST(Signal, destroying_it_ends_its_waits) {
    sim::World world(1);
    TaskGroup group;
    auto signal = std::make_unique<Signal>();
    Errc got{};
    group.spawn(world.executor(), [&]() -> Task<> { got = (co_await signal->wait(1, world.clock(), Instant{} + 1h)).error().code; });
    world.run_for(1ms);
    signal.reset();
    world.run_for(1ms);
    EXPECT_EQ(got, Errc::closed);
    EXPECT_EQ(group.size(), 0u);
    EXPECT_TRUE(world.run_until_idle());
    EXPECT_LT(world.clock().now(), Instant{} + 1h);  // the watch on the deadline is gone
}

TEST(Signal, threads_raise_while_coroutines_on_all_executors_wait) {
    RealWorld world(3);
    Signal signal;
    TaskGroup group;
    std::atomic<int> reached{0}, other{0};
    constexpr std::uint64_t last = 3000;
    for (int i = 0; i < 60; ++i) {
        group.spawn(world.io().any(), [&, i]() -> Task<> {
            for (auto wanted = static_cast<std::uint64_t>(i % 7); wanted <= last; wanted += 1 + static_cast<std::uint64_t>(i) % 11 * 10) {
                auto deadline = i % 3 == 0 ? Instant::max() : world.clock().now() + (i % 3 == 1 ? Duration(10s) : Duration(200us));
                auto result = co_await signal.wait(wanted, world.clock(), deadline);
                if (result) {
                    EXPECT_GE(signal.value(), wanted);
                    ++reached;
                } else {
                    EXPECT_EQ(result.error(), Errc::timed_out);
                    EXPECT_EQ(i % 3, 2);
                    ++other;
                }
            }
        });
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
            for (auto v = static_cast<std::uint64_t>(t); v <= last; v += 2) {
                signal.raise(v);
                if (v % 64 == 0) std::this_thread::sleep_for(100us);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    signal.raise(last);
    EXPECT_TRUE(world.run(group.wait(world.clock(), world.clock().now() + 15s)));
    EXPECT_GT(reached, 1000);
}

TEST(TaskGroup, refuses_after_stop_and_waits_for_what_runs) {
    sim::World world(1);
    TaskGroup group;
    bool ended = false;
    EXPECT_TRUE(group.spawn(world.executor(), [&]() -> Task<> {
        while (!group.stopping()) co_await world.clock().sleep_for(1h);
        co_await world.clock().sleep_for(1s);  // returns at once: the task is cancelled
        ended = true;
    }));
    EXPECT_EQ(world.run(group.wait(world.clock(), world.clock().now() + 1min)).error(), Errc::timed_out);
    EXPECT_EQ(group.size(), 1u);
    group.stop();
    EXPECT_FALSE(group.spawn(world.executor(), []() -> Task<> { co_return; }));
    EXPECT_TRUE(world.run(group.wait(world.clock(), Instant::max())));
    EXPECT_TRUE(ended);
    EXPECT_EQ(world.clock().now(), Instant{} + 1min);
}

TEST(TaskGroup, what_the_callable_captured_is_gone_when_the_task_has_ended) {
    sim::World world(1);
    TaskGroup group;
    auto witness = std::make_shared<int>(1);
    group.spawn(world.executor(), [witness, &world]() -> Task<> { co_await world.clock().sleep_for(1ms); });
    EXPECT_EQ(witness.use_count(), 2);
    EXPECT_TRUE(world.run(group.wait(world.clock(), Instant::max())));
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(TaskGroup, a_task_stopped_before_its_first_step_still_runs_to_its_end) {
    sim::World world(1);
    TaskGroup group;
    bool ran = false;
    group.spawn(world.executor(), [&]() -> Task<> {
        co_await world.clock().sleep_for(1h);
        ran = true;
    });
    group.stop();
    EXPECT_TRUE(world.run(group.wait(world.clock(), Instant::max())));
    EXPECT_TRUE(ran);
    EXPECT_EQ(world.clock().now(), Instant{});
}

TEST(TaskGroup, tasks_spawn_tasks_on_other_threads_and_all_end) {
    RealWorld world(3);
    for (int round = 0; round < 20; ++round) {
        TaskGroup group;
        std::atomic<int> ran{0};
        for (int i = 0; i < 20; ++i) {
            group.spawn(world.io().any(), [&]() -> Task<> {
                for (int j = 0; j < 5; ++j) {
                    group.spawn(world.io().any(), [&]() -> Task<> {
                        ++ran;
                        co_await world.clock().sleep_for(1h);
                        ++ran;
                    });
                }
                co_return;
            });
        }
        while (ran < 50) std::this_thread::yield();
        group.stop();
        EXPECT_TRUE(world.run(group.wait(world.clock(), world.clock().now() + 10s)));
        EXPECT_EQ(ran % 2, 0);
        EXPECT_LE(ran, 200);
    }
}

}  // namespace strata

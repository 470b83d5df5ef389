// SPDX-License-Identifier: Apache-2.0
// The world itself: what never comes to an end is reported, with what happened last, and soon.
#include "tests/sim/world.h"

#include <string>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/signal.h"
#include "server/base/task_group.h"

namespace strata::sim {
namespace {

using testing::HasSubstr;

std::string report_of(World& world, Task<> task) {
    try {
        world.run(std::move(task));
    } catch (const WorldIdle& idle) {
        return idle.what();
    }
    return {};
}

Task<> go_round() {
    for (;;) co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable_t<Executor>());
}

Task<> poll(World& world, Duration interval, const bool& enough) {
    while (!enough) co_await world.clock().sleep_for(interval);
}

Task<> stop_poller(World& world, const bool& enough) {
    TaskGroup group;
    group.spawn(world.executor(), [&world, &enough] { return poll(world, 2ms, enough); });
    co_await world.clock().sleep_for(1s);
    group.stop();
    (void)co_await group.wait(world.clock(), Instant::max());
}

TEST(World, a_loop_in_one_instant_is_reported) {
    World world(1);
    world.runtime().log("test").warning("the last thing that was said", {});
    const auto report = report_of(world, go_round());
    EXPECT_THAT(report, HasSubstr("time stood still"));
    EXPECT_THAT(report, HasSubstr("the last thing that was said"));
}

TEST(World, a_poller_that_does_not_notice_its_cancellation_is_reported) {
    World world(1);
    bool enough = false;
    EXPECT_THAT(report_of(world, stop_poller(world, enough)), HasSubstr("time stood still"));
    enough = true;
    EXPECT_TRUE(world.run_until_idle());
}

TEST(World, waiting_for_what_never_comes_is_reported) {
    World world(1);
    Signal never;
    EXPECT_THAT(report_of(world, [](World& w, Signal& s) -> Task<> { (void)co_await s.wait(1, w.clock(), Instant::max()); }(world, never)),
                HasSubstr("never comes"));
}

TEST(World, work_that_goes_on_for_days_is_reported) {
    World world(1);
    const bool enough = false;
    EXPECT_THAT(report_of(world, poll(world, 1s, enough)), HasSubstr("beyond the limit"));
}

}  // namespace
}  // namespace strata::sim

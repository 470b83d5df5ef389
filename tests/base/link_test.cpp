// SPDX-License-Identifier: Apache-2.0
// The program links, and the real runtime starts and stops.
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "server/base/crc32c.h"
#include "server/base/system_runtime.h"

namespace strata {

namespace {
Task<int> ask_pool(Runtime& runtime, Pool& pool) {
    co_await runtime.clock->sleep_for(1ms);
    co_return co_await pool.run([] { return 42; });
}
}  // namespace

TEST(SystemRuntime, runs_a_coroutine_that_sleeps_and_asks_a_pool) {
    StreamLogSink sink(2, false);
    SystemRuntime world(2, sink);
    auto pool = world.runtime().make_pool("work", 1);
    auto answer = boost::asio::co_spawn(world.runtime().executor(), ask_pool(world.runtime(), *pool), boost::asio::use_future);
    EXPECT_EQ(answer.get(), 42);
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// Time from the kernel, sleep by a timer on the sleeper's own executor.
#include "server/base/system_clock.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <time.h>

namespace strata {

namespace asio = boost::asio;

Instant SystemClock::now() const {
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

Timestamp SystemClock::wall_time() const {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return {.seconds = now.tv_sec, .nanoseconds = static_cast<std::uint32_t>(now.tv_nsec)};
}

Task<> SystemClock::sleep_until(Instant when) {
    // A cancellation that came while the caller was busy wakes no later wait by itself.
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return;
    if (when <= now()) co_return;
    asio::steady_timer timer(co_await asio::this_coro::executor, to_time_point(when));
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
}

}  // namespace strata

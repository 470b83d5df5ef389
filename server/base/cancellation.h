// SPDX-License-Identifier: Apache-2.0
// Whether the running coroutine is cancelled.
#pragma once

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include "server/base/task.h"

namespace strata {

// A cancelled coroutine's sleeps return at once, so a loop that polls has to ask this or it spins, and its io thread with it.
inline Task<bool> is_cancelled() {
    co_return (co_await boost::asio::this_coro::cancellation_state).cancelled() != boost::asio::cancellation_type::none;
}

}  // namespace strata

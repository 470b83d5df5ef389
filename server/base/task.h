// SPDX-License-Identifier: Apache-2.0
// Task<T>: a coroutine of the runtime. It starts when awaited and resumes on its caller's executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace strata {

using Executor = boost::asio::any_io_executor;

template <class T = void>
using Task = boost::asio::awaitable<T, Executor>;

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// in_parallel: runs tasks at the same time on the caller's executor and returns all results, in order.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/base/task.h"

namespace strata::cluster {

// It returns when the last task has ended, cancelled or not: the tasks may refer to what the caller owns. The executor runs one handler
// at a time.
template <class T>
Task<std::vector<T>> in_parallel(std::vector<Task<T>> tasks) {
    namespace asio = boost::asio;
    using Token = asio::use_awaitable_t<Executor>;
    struct Progress {
        std::vector<std::optional<T>> results;
        std::size_t running = 0;
        std::optional<typename asio::async_result<Token, void()>::handler_type> resume;
    };
    std::vector<T> out;
    out.reserve(tasks.size());
    if (tasks.size() == 1) {
        out.push_back(co_await std::move(tasks.front()));
        co_return out;
    }
    const Executor home = co_await asio::this_coro::executor;
    auto progress = std::make_shared<Progress>();
    progress->results.resize(tasks.size());
    progress->running = tasks.size();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        asio::co_spawn(home, std::move(tasks[i]), [progress, i](std::exception_ptr error, T result) {
            if (error) std::rethrow_exception(error);  // a bug: tasks return their errors
            progress->results[i].emplace(std::move(result));
            if (--progress->running == 0 && progress->resume) {
                auto resume = std::move(*progress->resume);
                progress->resume.reset();
                resume();
            }
        });
    }
    if (progress->running > 0) {
        co_await asio::async_initiate<const Token, void()>([&progress](auto handler) { progress->resume.emplace(std::move(handler)); },
                                                           Token());
    }
    for (auto& result : progress->results) out.push_back(std::move(*result));
    co_return out;
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Pool: named threads for calls that block (disks, SQLite, coding of large stripes). The simulator runs its jobs by seed.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/base/task.h"

namespace strata {

// A move-only job: std::move_only_function is not in libstdc++ 12's clang build everywhere, and jobs carry unique_ptrs.
class Job {
public:
    Job() = default;
    template <class F>
        requires(!std::is_same_v<std::decay_t<F>, Job>)
    Job(F&& f) : body_(std::make_unique<Body<std::decay_t<F>>>(std::forward<F>(f))) {}
    void operator()() { body_->run(); }
    explicit operator bool() const { return body_ != nullptr; }

private:
    struct Base {
        virtual ~Base() = default;
        virtual void run() = 0;
    };
    template <class F>
    struct Body final : Base {
        explicit Body(F f) : function(std::move(f)) {}
        void run() override { function(); }
        F function;
    };
    std::unique_ptr<Base> body_;
};

class Pool {
public:
    virtual ~Pool() = default;

    // Queues `job`; it runs on one of the pool's threads. Any thread may call. Jobs must not wait for other jobs of the same pool.
    virtual void post(Job job) = 0;

    // Runs `function` on the pool and resumes the caller, with its result, on the caller's own executor.
    template <class F>
    auto run(F function) -> Task<std::invoke_result_t<F&>>;
};

template <class F>
auto Pool::run(F function) -> Task<std::invoke_result_t<F&>> {
    using R = std::invoke_result_t<F&>;
    namespace asio = boost::asio;
    auto start = [this](auto handler, F f) {
        auto home = asio::get_associated_executor(handler);
        auto work = asio::prefer(home, asio::execution::outstanding_work.tracked);
        post(Job([handler = std::move(handler), f = std::move(f), work = std::move(work)]() mutable {
            if constexpr (std::is_void_v<R>) {
                f();
                asio::post(work, [handler = std::move(handler)]() mutable { handler(); });
            } else {
                auto result = std::make_unique<R>(f());
                asio::post(work, [handler = std::move(handler), result = std::move(result)]() mutable { handler(std::move(*result)); });
            }
        }));
    };
    if constexpr (std::is_void_v<R>) {
        co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(start, asio::use_awaitable_t<Executor>{},
                                                                                     std::move(function));
    } else {
        // A default-constructible carrier keeps R free of requirements.
        std::optional<R> out;
        auto into = [&out, &function] { out.emplace(function()); };
        co_await run(std::ref(into));
        co_return std::move(*out);
    }
}

// `threads` threads named `name`-0 ...; the destructor finishes queued jobs and joins.
std::unique_ptr<Pool> make_thread_pool(std::string name, int threads);

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// The threads, their contexts and the watch on stalls.
#include "server/base/io_threads.h"

#include <atomic>
#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <pthread.h>

#include "server/base/assert.h"
#include "server/base/system_clock.h"
#include "server/base/tcp_listener.h"
#include "server/base/tcp_stream.h"

namespace strata {

namespace asio = boost::asio;

namespace {

constexpr auto heartbeat = std::chrono::milliseconds(20);
constexpr auto stall_limit = std::chrono::milliseconds(10);

struct LoopContext : asio::io_context {
    LoopContext() : asio::io_context(1) {}
    using asio::io_context::shutdown;  // destroys what is queued
};

// One thread and its context. A timer that is due every 20 ms and comes 10 ms late has met a handler that blocked.
struct Loop {
    explicit Loop(Counter& s) : stalls(s), guard(context.get_executor()), timer(context) {}

    void beat() {
        timer.expires_after(heartbeat);
        timer.async_wait([this](boost::system::error_code error) {
            if (error) return;
            if (std::chrono::steady_clock::now() - timer.expiry() > stall_limit) stalls.add();
            beat();
        });
    }

    Counter& stalls;
    LoopContext context;
    asio::executor_work_guard<asio::io_context::executor_type> guard;
    asio::steady_timer timer;
    std::shared_ptr<std::atomic<int>> live = std::make_shared<std::atomic<int>>(0);
    std::thread thread;
};

}  // namespace

struct IoThreads::Impl {
    SystemClock clock;
    std::vector<std::unique_ptr<Loop>> loops;
    std::atomic<unsigned> turn{0};
};

IoThreads::IoThreads(int threads, Metrics& metrics) : impl_(std::make_unique<Impl>()) {
    STRATA_ASSERT(threads > 0);
    auto& stalls = metrics.counter("io.stalls");
    for (int i = 0; i < threads; ++i) impl_->loops.push_back(std::make_unique<Loop>(stalls));
    for (int i = 0; i < threads; ++i) {
        auto& loop = *impl_->loops[static_cast<std::size_t>(i)];
        loop.beat();
        loop.thread = std::thread([&loop] { loop.context.run(); });
        ::pthread_setname_np(loop.thread.native_handle(), ("io-" + std::to_string(i)).c_str());
    }
}

IoThreads::~IoThreads() {
    stop();
    // What is queued on one context may hold sockets and timers of another: all queues go before the first context does.
    for (auto& loop : impl_->loops) loop->context.shutdown();
}

int IoThreads::size() const { return static_cast<int>(impl_->loops.size()); }

Executor IoThreads::executor(int index) const { return impl_->loops[static_cast<std::size_t>(index)]->context.get_executor(); }

Executor IoThreads::any() const {
    auto turn = impl_->turn.fetch_add(1, std::memory_order_relaxed);
    return executor(static_cast<int>(turn % impl_->loops.size()));
}

Clock& IoThreads::clock() { return impl_->clock; }

void IoThreads::stop() {
    for (auto& loop : impl_->loops) loop->context.stop();
    for (auto& loop : impl_->loops) {
        if (loop->thread.joinable()) loop->thread.join();
    }
}

Result<std::unique_ptr<Listener>> IoThreads::listen(const Endpoint& endpoint, OnStream on_stream) {
    std::vector<StreamHome> homes;
    for (auto& loop : impl_->loops) homes.push_back({loop->context.get_executor(), loop->live});
    return listen_tcp(homes, endpoint, std::move(on_stream));
}

Task<Result<std::unique_ptr<ByteStream>>> IoThreads::connect(const Endpoint& endpoint, Instant deadline) {
    return connect_tcp(endpoint, deadline);
}

}  // namespace strata

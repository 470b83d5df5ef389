// SPDX-License-Identifier: Apache-2.0
// Threads and phases of a row.
#include "tests/bench/engine.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"
#include "tests/bench/process.h"

namespace strata::bench {

namespace {

constexpr std::uint64_t silence_max_ns = 30'000'000'000;
constexpr int events_max = 64;

std::uint64_t now_ns() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

enum class Phase { warm_up, measure, stop };

// What the threads of a row share.
struct Shared {
    std::atomic<Phase> phase{Phase::warm_up};
    std::mutex mutex;
    std::condition_variable changed;
    std::uint32_t running = 0;
    std::exception_ptr failure;
};

class Worker {
public:
    Worker(Shared& shared, std::uint64_t operations_max, std::uint64_t spin_ns)
        : shared_(shared), operations_max_(operations_max), spin_ns_(spin_ns) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() {
        if (epoll_ >= 0) ::close(epoll_);
    }

    void add(std::unique_ptr<Lane> lane) { lanes_.push_back({std::move(lane), false, false}); }

    // The body of the thread.
    void run() {
        std::exception_ptr failure;
        try {
            loop();
        } catch (...) {
            failure = std::current_exception();
        }
        ended_ns_ = now_ns();
        const std::lock_guard lock(shared_.mutex);
        --shared_.running;
        if (failure && !shared_.failure) shared_.failure = failure;
        shared_.changed.notify_all();
    }

    [[nodiscard]] const Tally& tally() const { return tally_; }
    [[nodiscard]] std::uint64_t ended_ns() const { return ended_ns_; }

private:
    struct Entry {
        std::unique_ptr<Lane> lane;
        bool blocked;  // waits for room to send
        bool finished;
    };

    void start() {
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ < 0) fail(std::string("epoll_create1: ") + std::strerror(errno));
        for (Entry& entry : lanes_) {
            epoll_event event{.events = EPOLLIN, .data = {.ptr = &entry}};
            if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, entry.lane->fd(), &event) != 0) fail("epoll_ctl");
        }
        for (Entry& entry : lanes_) {
            entry.lane->start(now_ns());
            flush(entry);
        }
    }

    void flush(Entry& entry) {
        const bool blocked = !entry.lane->flush();
        if (blocked == entry.blocked) return;
        entry.blocked = blocked;
        epoll_event event{.events = EPOLLIN | (blocked ? EPOLLOUT : 0U), .data = {.ptr = &entry}};
        if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, entry.lane->fd(), &event) != 0) fail("epoll_ctl");
    }

    void observe_phase() {
        const Phase phase = shared_.phase.load(std::memory_order_relaxed);
        if (phase != Phase::warm_up && !measuring_) {
            measuring_ = true;
            tally_ = Tally();
        }
        stopping_ = phase == Phase::stop || (measuring_ && tally_.operations >= operations_max_);
    }

    // Repeats delayed requests; ends the lanes that have nothing more to do.
    void attend(std::uint64_t now) {
        any_delayed_ = false;
        for (Entry& entry : lanes_) {
            if (entry.lane->has_delayed()) {
                entry.lane->repeat_delayed(now);
                any_delayed_ = any_delayed_ || entry.lane->has_delayed();
                flush(entry);
            }
            if (!stopping_ || entry.finished) continue;
            entry.finished = entry.lane->finish(now);
            flush(entry);
            if (entry.finished) {
                ::epoll_ctl(epoll_, EPOLL_CTL_DEL, entry.lane->fd(), nullptr);
                ++finished_;
            }
        }
    }

    // Looks for events for a while before it sleeps: a wake-up costs more than the calls that it would wait for. Whoever else wants
    // this core gets it in between.
    int wait(epoll_event* events) {
        if (spin_ns_ != 0) {
            const std::uint64_t until = now_ns() + spin_ns_;
            do {
                const int count = ::epoll_wait(epoll_, events, events_max, 0);
                if (count != 0) return count;
                ::sched_yield();
            } while (now_ns() < until);
        }
        return ::epoll_wait(epoll_, events, events_max, any_delayed_ ? 1 : 100);
    }

    void loop() {
        start();
        std::uint64_t last_event = now_ns();
        while (finished_ < lanes_.size()) {
            epoll_event events[events_max];
            const int count = wait(events);
            if (count < 0 && errno != EINTR) fail(std::string("epoll_wait: ") + std::strerror(errno));
            observe_phase();
            for (int i = 0; i < count; ++i) {
                Entry& entry = *static_cast<Entry*>(events[i].data.ptr);
                last_event = now_ns();
                entry.lane->receive(last_event, stopping_, tally_);
                flush(entry);
                any_delayed_ = any_delayed_ || entry.lane->has_delayed();
            }
            if (any_delayed_ || stopping_) attend(now_ns());
            if (count <= 0 && now_ns() - last_event > silence_max_ns) fail("no reply for 30 seconds");
        }
    }

    Shared& shared_;
    std::uint64_t operations_max_;
    std::uint64_t spin_ns_;
    std::vector<Entry> lanes_;
    Tally tally_;
    int epoll_ = -1;
    std::size_t finished_ = 0;
    bool measuring_ = false;
    bool stopping_ = false;
    bool any_delayed_ = false;
    std::uint64_t ended_ns_ = 0;
};

// Waits until all threads have ended or `seconds` have passed; false if they have ended.
bool wait_running(Shared& shared, double seconds) {
    std::unique_lock lock(shared.mutex);
    const auto over = [&] { return shared.running == 0 || shared.failure; };
    return !shared.changed.wait_for(lock, std::chrono::duration<double>(seconds), over);
}

// Everything of a row but its threads.
class RowRun {
public:
    RowRun(const Options& options, const std::string& name) : options_(options), row_(make_row(name, options)) {
        const std::string owner = "nfs_load " + std::to_string(::getpid()) + " " + name + " ";
        for (std::uint32_t i = 0; i < options.connections; ++i) {
            if (i == 0 || !options.one_session) {
                const std::uint32_t slots = options.one_session ? options.depth * options.connections : options.depth;
                sessions_.push_back(std::make_unique<Session>(options.target, owner + std::to_string(i), options.depth, slots));
            } else {
                sessions_.push_back(std::make_unique<Session>(options.target, *sessions_[0], i * options.depth, options.depth));
            }
        }
        Session& first = *sessions_[0];
        const Bytes share = look_up_path(first, options.target.path);
        const std::string directory = "nfs_load-" + std::to_string(::getpid()) + "-" + name;
        row_->prepare(first, make_directory(first, share, directory));
        for (std::uint32_t i = 0; i < options.connections; ++i) drivers_.push_back(row_->driver(*sessions_[i], i));
    }

    RowResult measure() {
        Shared shared;
        std::vector<std::unique_ptr<Worker>> workers;
        const std::uint64_t bound = options_.operations_max != 0 ? options_.operations_max : row_->operations_max();
        for (std::uint32_t i = 0; i < options_.threads; ++i) {
            const std::uint64_t share = (bound + options_.threads - 1) / options_.threads;
            workers.push_back(std::make_unique<Worker>(shared, share, std::uint64_t{options_.spin_us} * 1000));
        }
        for (std::uint32_t i = 0; i < options_.connections; ++i) {
            workers[i % workers.size()]->add(std::make_unique<Lane>(*sessions_[i], *drivers_[i], row_->is_null()));
        }
        shared.running = static_cast<std::uint32_t>(workers.size());
        std::vector<std::jthread> threads;
        for (const auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });

        RowResult result;
        wait_running(shared, options_.warm_up_seconds);
        const std::uint64_t server_before = server_cpu();
        const std::uint64_t client_before = own_cpu_us();
        const std::uint64_t begin = now_ns();
        shared.phase = Phase::measure;
        wait_running(shared, options_.seconds);
        shared.phase = Phase::stop;
        for (std::jthread& thread : threads) thread.join();
        result.server_cpu_us = server_cpu() - server_before;
        result.client_cpu_us = own_cpu_us() - client_before;
        if (shared.failure) std::rethrow_exception(shared.failure);
        std::uint64_t end = begin;
        for (const auto& worker : workers) {
            end = std::max(end, worker->ended_ns());
            result.tally.merge(worker->tally());
        }
        result.seconds = static_cast<double>(end - begin) / 1e9;
        if (options_.server_pid != 0) result.server_resident_bytes = resident_bytes(options_.server_pid);
        return result;
    }

    void verify_and_close() {
        for (std::size_t i = 0; i < drivers_.size(); ++i) drivers_[i]->verify(*sessions_[i]);
        for (std::size_t i = 0; i < sessions_.size(); ++i) {
            if (i == 0 || !options_.one_session) sessions_[i]->destroy();
        }
    }

private:
    [[nodiscard]] std::uint64_t server_cpu() const { return options_.server_pid != 0 ? cpu_us(options_.server_pid) : 0; }

    const Options& options_;
    std::unique_ptr<Row> row_;
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<std::unique_ptr<Driver>> drivers_;
};

}  // namespace

RowResult run_row(const Options& options, const std::string& name) {
    RowRun run(options, name);
    RowResult result = run.measure();
    result.row = name;
    run.verify_and_close();
    require(result.tally.operations != 0, "no operation was answered in the measured time");
    return result;
}

}  // namespace strata::bench

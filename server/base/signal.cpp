// SPDX-License-Identifier: Apache-2.0
// Waiters in a list sorted by what they want, so that raising takes them from the front; one watching coroutine for all deadlines.
#include "server/base/signal.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/container/small_vector.hpp>

namespace strata {

namespace asio = boost::asio;

namespace {

using Token = asio::use_awaitable_t<Executor>;
using Resume = asio::async_result<Token, void()>::handler_type;

enum class Outcome : std::uint8_t { reached, failed, timed_out, cancelled };

// Lives in the frame of wait(), which stays until `resume` is called or destroyed.
struct Waiter {
    std::uint64_t wanted = 0;
    Instant deadline = Instant::max();
    Executor home;
    std::optional<Resume> resume;
    Outcome outcome = Outcome::reached;
    bool queued = false;
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
};

// A run of waiters, taken out of the list, that one post resumes. If the executor drops the post, the coroutines end with it.
struct Wake {
    explicit Wake(Waiter* first) : head(first) {}
    Wake(Wake&& other) noexcept : head(std::exchange(other.head, nullptr)) {}
    Wake& operator=(Wake&&) = delete;
    ~Wake() {
        while (head != nullptr) {
            auto resume = take();
        }
    }
    void operator()() {
        while (head != nullptr) {
            auto resume = take();
            resume();
        }
    }
    Resume take() {
        auto* waiter = std::exchange(head, head->next);
        Resume resume = std::move(*waiter->resume);
        waiter->resume.reset();
        return resume;
    }

    Waiter* head;
};

// Waiters of one list -> one post for each executor, in list order.
void post_all(Waiter* list) {
    struct Group {
        Waiter* first;
        Waiter* last;
    };
    boost::container::small_vector<Group, 8> groups;
    while (list != nullptr) {
        auto* waiter = std::exchange(list, list->next);
        waiter->next = nullptr;
        bool found = false;
        for (auto& group : groups) {
            if (group.first->home != waiter->home) continue;
            group.last->next = waiter;
            group.last = waiter;
            found = true;
            break;
        }
        if (!found) groups.push_back({waiter, waiter});
    }
    for (auto& group : groups) {
        Executor home = group.first->home;  // the waiter may be gone before post() returns
        asio::post(home, Wake(group.first));
    }
}

struct Watch {
    explicit Watch(Executor e) : home(std::move(e)) {}
    Executor home;
    asio::cancellation_signal cancel;
};

void cancel_watch(std::shared_ptr<Watch> watch) {
    if (watch == nullptr) return;
    auto home = watch->home;
    asio::post(home, [watch = std::move(watch)] { watch->cancel.emit(asio::cancellation_type::terminal); });
}

}  // namespace

struct Signal::State {
    std::atomic<std::uint64_t> value{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::optional<Error> error;
    Waiter* first = nullptr;  // ascending by `wanted`
    Waiter* last = nullptr;
    Instant watch_until = Instant::max();  // when the current watch wakes
    std::uint64_t watch_generation = 0;
    std::shared_ptr<Watch> watch;

    void insert(Waiter& waiter) {
        auto* before = last;  // most wait for something newer than all others
        while (before != nullptr && before->wanted > waiter.wanted) before = before->previous;
        waiter.previous = before;
        waiter.next = before == nullptr ? first : before->next;
        (waiter.previous == nullptr ? first : waiter.previous->next) = &waiter;
        (waiter.next == nullptr ? last : waiter.next->previous) = &waiter;
        waiter.queued = true;
    }
    void unlink(Waiter& waiter) {
        (waiter.previous == nullptr ? first : waiter.previous->next) = waiter.next;
        (waiter.next == nullptr ? last : waiter.next->previous) = waiter.previous;
        waiter.previous = waiter.next = nullptr;
        waiter.queued = false;
    }
    // Takes all waiters that want at most `reached`, as a list by `next`.
    Waiter* take_until(std::uint64_t reached, Outcome outcome) {
        Waiter* head = first;
        Waiter* tail = nullptr;
        for (auto* w = first; w != nullptr && w->wanted <= reached; w = w->next) {
            w->queued = false;
            w->outcome = outcome;
            tail = w;
        }
        if (tail == nullptr) return nullptr;
        first = std::exchange(tail->next, nullptr);
        (first == nullptr ? last : first->previous) = nullptr;
        return head;
    }
    // Takes the waiters whose deadline has come; `next_deadline` is that of the rest.
    Waiter* take_due(Instant now, Instant& next_deadline) {
        Waiter* head = nullptr;
        Waiter** end = &head;
        next_deadline = Instant::max();
        for (auto* w = first; w != nullptr;) {
            auto* following = w->next;
            if (w->deadline <= now) {
                unlink(*w);
                w->outcome = Outcome::timed_out;
                *end = w;
                end = &w->next;
            } else if (w->deadline < next_deadline) {
                next_deadline = w->deadline;
            }
            w = following;
        }
        return head;
    }

    static void suspend(const std::shared_ptr<State>& state, Waiter& waiter, Resume handler);
    static void watch_deadline(const std::shared_ptr<State>& state, Clock& clock, const Executor& home, Instant deadline);
    static Task<> run_watch(std::shared_ptr<State> state, Clock& clock, std::uint64_t generation);
};

void Signal::State::suspend(const std::shared_ptr<State>& state, Waiter& waiter, Resume handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
        // Runs on the waiter's own executor, and only while it is suspended here.
        slot.assign([state, &waiter](asio::cancellation_type) {
            {
                std::lock_guard lock(state->mutex);
                if (!waiter.queued) return;  // being woken already
                state->unlink(waiter);
                waiter.outcome = Outcome::cancelled;
            }
            post_all(&waiter);
        });
    }
    waiter.resume.emplace(std::move(handler));
    {
        std::lock_guard lock(state->mutex);
        if (state->error.has_value()) {
            waiter.outcome = Outcome::failed;
        } else if (state->value.load(std::memory_order_acquire) < waiter.wanted) {
            state->insert(waiter);
            return;  // `waiter` may be gone from here on
        }
    }
    post_all(&waiter);
}

void Signal::State::watch_deadline(const std::shared_ptr<State>& state, Clock& clock, const Executor& home, Instant deadline) {
    std::shared_ptr<Watch> superseded;
    std::shared_ptr<Watch> watch;
    std::uint64_t generation = 0;
    {
        std::lock_guard lock(state->mutex);
        if (deadline >= state->watch_until) return;  // the usual case: an earlier deadline is being watched
        watch = std::make_shared<Watch>(home);
        state->watch_until = deadline;
        generation = ++state->watch_generation;
        superseded = std::exchange(state->watch, watch);
    }
    cancel_watch(std::move(superseded));
    auto slot = watch->cancel.slot();
    asio::co_spawn(home, run_watch(state, clock, generation), asio::bind_cancellation_slot(slot, [watch](std::exception_ptr) {}));
}

Task<> Signal::State::run_watch(std::shared_ptr<State> state, Clock& clock, std::uint64_t generation) {
    co_await asio::this_coro::throw_if_cancelled(false);
    for (;;) {
        Instant until;
        {
            std::lock_guard lock(state->mutex);
            if (generation != state->watch_generation) co_return;
            until = state->watch_until;
        }
        co_await clock.sleep_until(until);
        Waiter* due = nullptr;
        {
            std::lock_guard lock(state->mutex);
            if (generation != state->watch_generation) co_return;
            due = state->take_due(clock.now(), state->watch_until);
            if (state->watch_until == Instant::max()) {
                ++state->watch_generation;  // nobody left to watch for: the next turn ends this coroutine
                state->watch.reset();
            }
        }
        post_all(due);
    }
}

Signal::Signal() : state_(std::make_shared<State>()) {}

Signal::~Signal() {
    fail_all(Error(Errc::closed));
    std::shared_ptr<Watch> watch;
    {
        std::lock_guard lock(state_->mutex);
        ++state_->watch_generation;
        watch = std::move(state_->watch);
    }
    cancel_watch(std::move(watch));
}

std::uint64_t Signal::value() const { return state_->value.load(std::memory_order_acquire); }

void Signal::raise(std::uint64_t value) {
    auto state = state_;  // a woken waiter may destroy the signal
    Waiter* woken = nullptr;
    {
        std::lock_guard lock(state->mutex);
        if (value <= state->value.load(std::memory_order_relaxed)) return;
        state->value.store(value, std::memory_order_release);
        woken = state->take_until(value, Outcome::reached);
    }
    post_all(woken);
}

void Signal::fail_all(Error error) {
    auto state = state_;
    Waiter* woken = nullptr;
    {
        std::lock_guard lock(state->mutex);
        if (!state->error.has_value()) state->error.emplace(std::move(error));
        state->failed.store(true, std::memory_order_release);
        woken = state->take_until(UINT64_MAX, Outcome::failed);
    }
    post_all(woken);
}

Task<Result<>> Signal::wait(std::uint64_t wanted, Clock& clock, Instant deadline) {
    if (state_->failed.load(std::memory_order_acquire)) {
        std::lock_guard lock(state_->mutex);
        co_return fail(*state_->error);
    }
    if (state_->value.load(std::memory_order_acquire) >= wanted) co_return Result<>();
    auto state = state_;
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return fail(Errc::cancelled);
    Waiter waiter;
    waiter.wanted = wanted;
    waiter.deadline = deadline;
    waiter.home = co_await asio::this_coro::executor;
    if (deadline != Instant::max()) {
        if (deadline <= clock.now()) co_return fail(Errc::timed_out);
        State::watch_deadline(state, clock, waiter.home, deadline);
    }
    co_await asio::async_initiate<const Token, void()>(
        [&state, &waiter](auto handler) { State::suspend(state, waiter, std::move(handler)); }, Token());
    switch (waiter.outcome) {
        case Outcome::reached: break;
        case Outcome::timed_out: co_return fail(Errc::timed_out);
        case Outcome::cancelled: co_return fail(Errc::cancelled);
        case Outcome::failed: {
            std::lock_guard lock(state->mutex);
            co_return fail(*state->error);
        }
    }
    co_return Result<>();
}

}  // namespace strata

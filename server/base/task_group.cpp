// SPDX-License-Identifier: Apache-2.0
// Each task is started, and asked to end, on its own executor, so that its cancellation slot is touched by one thread only.
#include "server/base/task_group.h"

#include <exception>
#include <list>
#include <mutex>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "server/base/assert.h"
#include "server/base/signal.h"

namespace strata {

namespace asio = boost::asio;

namespace {

struct Entry {
    Entry(Executor e, std::function<Task<>()> b) : home(std::move(e)), body(std::move(b)) {}
    Executor home;
    std::function<Task<>()> body;
    asio::cancellation_signal cancel;
    bool asked_to_end = false;  // before it began: an executor keeps no order between posts of its own thread and of others
    std::list<std::shared_ptr<Entry>>::iterator position;
};

void ask_to_end(std::shared_ptr<Entry> entry) {
    auto home = entry->home;
    asio::post(home, [entry = std::move(entry)] {
        entry->asked_to_end = true;
        entry->cancel.emit(asio::cancellation_type::terminal);
    });
}

// The callable lives in this frame: what it captured is gone before the group learns of the end.
Task<> run_body(std::function<Task<>()> body) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await body();
}

}  // namespace

struct TaskGroup::State {
    mutable std::mutex mutex;
    std::list<std::shared_ptr<Entry>> tasks;
    bool stopping = false;
    std::uint64_t started = 0;
    std::uint64_t ended = 0;
    Signal ended_signal;  // raised to `ended`

    void end(const std::shared_ptr<Entry>& entry) {
        std::uint64_t count = 0;
        {
            std::lock_guard lock(mutex);
            tasks.erase(entry->position);
            count = ++ended;
        }
        ended_signal.raise(count);
    }
};

namespace {

// Ends the entry's membership when the coroutine completes, or when its executor drops it.
template <class State>
struct Membership {
    Membership(std::shared_ptr<State> s, std::shared_ptr<Entry> e) : state(std::move(s)), entry(std::move(e)) {}
    Membership(Membership&&) noexcept = default;
    Membership& operator=(Membership&&) = delete;
    ~Membership() {
        if (state != nullptr) state->end(entry);
    }
    std::shared_ptr<State> state;
    std::shared_ptr<Entry> entry;
};

}  // namespace

TaskGroup::TaskGroup() : state_(std::make_shared<State>()) {}

TaskGroup::~TaskGroup() { STRATA_ASSERT(size() == 0); }

bool TaskGroup::spawn(Executor home, std::function<Task<>()> body) {
    auto entry = std::make_shared<Entry>(home, std::move(body));
    {
        std::lock_guard lock(state_->mutex);
        if (state_->stopping) return false;
        entry->position = state_->tasks.insert(state_->tasks.end(), entry);
        ++state_->started;
    }
    Membership<State> membership(state_, entry);
    asio::post(home, [membership = std::move(membership)]() mutable {
        auto entry = membership.entry;
        auto slot = entry->cancel.slot();
        auto ended = [membership = std::move(membership)](std::exception_ptr error) {
            if (error) std::rethrow_exception(error);  // a bug: nobody awaits a task's exception
        };
        asio::co_spawn(entry->home, run_body(std::move(entry->body)), asio::bind_cancellation_slot(slot, std::move(ended)));
        if (entry->asked_to_end) entry->cancel.emit(asio::cancellation_type::terminal);
    });
    return true;
}

void TaskGroup::stop() {
    std::list<std::shared_ptr<Entry>> running;
    {
        std::lock_guard lock(state_->mutex);
        if (state_->stopping) return;
        state_->stopping = true;
        running = state_->tasks;
    }
    for (auto& entry : running) ask_to_end(std::move(entry));
}

bool TaskGroup::stopping() const {
    std::lock_guard lock(state_->mutex);
    return state_->stopping;
}

Task<Result<>> TaskGroup::wait(Clock& clock, Instant deadline) {
    auto state = state_;
    for (;;) {
        std::uint64_t started = 0;
        {
            std::lock_guard lock(state->mutex);
            if (state->tasks.empty()) co_return Result<>();
            started = state->started;
        }
        CO_CHECK_OK(co_await state->ended_signal.wait(started, clock, deadline));
    }
}

std::size_t TaskGroup::size() const {
    std::lock_guard lock(state_->mutex);
    return state_->tasks.size();
}

}  // namespace strata

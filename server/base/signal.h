// SPDX-License-Identifier: Apache-2.0
// Signal: coroutines on any executor wait until a number reaches what they need ("durable up to index 42").
#pragma once

#include <cstdint>
#include <memory>

#include "server/base/clock.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

// A number that only grows, and those who wait for it. Any thread; waking posts once to each waiting executor, not once a waiter.
class Signal {
public:
    Signal();
    ~Signal();  // present waits fail with `closed`

    std::uint64_t value() const;  // lock-free
    // Raises the value and wakes those it satisfies.
    void raise(std::uint64_t value);
    // Every present and later wait fails with `error`, whatever the value is. The first error stays.
    void fail_all(Error error);
    // Resumes once value() >= wanted, at once (without suspending) if it is. Errors: what fail_all gave, timed_out, cancelled.
    Task<Result<>> wait(std::uint64_t wanted, Clock& clock, Instant deadline);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace strata

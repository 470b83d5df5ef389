// SPDX-License-Identifier: Apache-2.0
// TaskGroup: owns every coroutine that outlives its caller, so that stopping means: cancel, then wait for all.
#pragma once

#include <functional>
#include <memory>

#include "server/base/clock.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

// Any thread may spawn, stop or wait. The group must outlive its tasks: call wait() before destroying it.
class TaskGroup {
public:
    TaskGroup();
    ~TaskGroup();  // asserts that no task is left

    // Starts `body()` on `home`. The callable itself is kept alive until the coroutine ends, so it may capture (by value).
    // Refused (false, nothing started) after stop().
    bool spawn(Executor home, std::function<Task<>()> body);

    // No further spawns; asks every task to end: their waits on clocks and signals return early.
    void stop();
    bool stopping() const;
    // Resumes when the last task has ended. Errors: timed_out at `deadline`.
    Task<Result<>> wait(Clock& clock, Instant deadline);
    std::size_t size() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace strata

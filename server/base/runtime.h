// SPDX-License-Identifier: Apache-2.0
// Runtime: the world as parts see it. The real one and the simulated one fill the same struct.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metrics.h"
#include "server/base/pool.h"
#include "server/base/random.h"
#include "server/base/task.h"

namespace strata {

// All members outlive every part that is given the struct.
struct Runtime {
    Clock* clock = nullptr;
    Random* random = nullptr;
    LogSink* log_sink = nullptr;
    Metrics* metrics = nullptr;
    // Background coroutines (flushers, repair, timers) are homed here; round robin over the io threads.
    std::function<Executor()> executor;
    // Threads for blocking calls: a part makes the pools it needs, by name.
    std::function<std::unique_ptr<Pool>(std::string name, int threads)> make_pool;

    Log log(std::string scope) const { return Log(*log_sink, std::move(scope)); }
};

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// SystemRuntime: the real world behind a Runtime: threads, clock, random source.
#pragma once

#include "server/base/io_threads.h"
#include "server/base/metrics.h"
#include "server/base/runtime.h"

namespace strata {

// Owns the io threads. Whatever uses the runtime ends before it.
class SystemRuntime {
public:
    // `log_sink` outlives this.
    SystemRuntime(int io_threads, LogSink& log_sink);

    Runtime& runtime() { return runtime_; }
    IoThreads& io() { return io_; }
    Metrics& metrics() { return metrics_; }

private:
    Metrics metrics_;
    IoThreads io_;
    Runtime runtime_;
};

}  // namespace strata

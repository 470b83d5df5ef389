// SPDX-License-Identifier: Apache-2.0
// Fills a Runtime with the system's own.
#include "server/base/system_runtime.h"

namespace strata {

SystemRuntime::SystemRuntime(int io_threads, LogSink& log_sink) : io_(io_threads, metrics_) {
    runtime_.clock = &io_.clock();
    runtime_.random = &system_random();
    runtime_.log_sink = &log_sink;
    runtime_.metrics = &metrics_;
    runtime_.executor = [this] { return io_.any(); };
    runtime_.make_pool = [](std::string name, int threads) { return make_thread_pool(std::move(name), threads); };
}

}  // namespace strata

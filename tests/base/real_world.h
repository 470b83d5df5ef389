// SPDX-License-Identifier: Apache-2.0
// RealWorld: the system's runtime for a test, and a way to wait for a coroutine from the test's own thread.
#pragma once

#include <memory>

#include "server/base/system_runtime.h"

namespace strata {

class RealWorld {
public:
    explicit RealWorld(int threads = 2) : sink_(2, false), system_(threads, sink_) {}

    IoThreads& io() { return system_.io(); }
    Clock& clock() { return io().clock(); }
    Runtime& runtime() { return system_.runtime(); }
    Metrics& metrics() { return system_.metrics(); }

    // Runs the task on an io thread and blocks until it ends; fails the test after 20 s.
    void run(Task<> task, int thread = 0);
    template <class T>
    T run(Task<T> task, int thread = 0) {
        auto out = std::make_shared<std::optional<T>>();
        run(collect(std::move(task), out), thread);
        return std::move(**out);
    }

private:
    template <class T>
    static Task<> collect(Task<T> task, std::shared_ptr<std::optional<T>> out) {
        out->emplace(co_await std::move(task));
    }
    StreamLogSink sink_;
    SystemRuntime system_;
};

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// IoThreads: one io_context a core; a connection is accepted on one of them and stays there.
#pragma once

#include <memory>
#include <vector>

#include "server/base/byte_stream.h"
#include "server/base/clock.h"
#include "server/base/metrics.h"
#include "server/base/random.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

class IoThreads {
public:
    // Starts `threads` named threads. Loop stalls over 10 ms are counted in `metrics` ("io.stalls").
    IoThreads(int threads, Metrics& metrics);
    ~IoThreads();  // stop() and join

    int size() const;
    Executor executor(int index) const;
    Executor any() const;  // round robin
    Clock& clock();        // the system's; sleeps resume on the sleeper's executor
    void stop();

    // Listens on `endpoint` (port 0: any free one). Each thread accepts for itself (SO_REUSEPORT) and gives the connection, before its
    // first byte is read, to the thread with the fewest streams, where it stays. The listener ends before this object.
    // TCP_NODELAY is set on every stream. Errors: busy (names the address), access, invalid_argument.
    Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, OnStream on_stream);
    // The stream's home is the caller's executor. Errors: closed (refused, with the address), timed_out, cancelled.
    Task<Result<std::unique_ptr<ByteStream>>> connect(const Endpoint& endpoint, Instant deadline);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The operating system's random source.
Random& system_random();

}  // namespace strata

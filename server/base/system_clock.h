// SPDX-License-Identifier: Apache-2.0
// The system's clock: CLOCK_MONOTONIC for instants, CLOCK_REALTIME for files.
#pragma once

#include <chrono>

#include "server/base/clock.h"

namespace strata {

class SystemClock final : public Clock {
public:
    Instant now() const override;
    Timestamp wall_time() const override;
    Task<> sleep_until(Instant when) override;
};

// For Asio's timers. An Instant of this clock is a steady_clock time point in nanoseconds.
inline std::chrono::steady_clock::time_point to_time_point(Instant when) {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(when.ns));
}

}  // namespace strata

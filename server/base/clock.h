// SPDX-License-Identifier: Apache-2.0
// Clock: the only source of time and of sleep. The simulator has its own.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

#include "server/base/task.h"

namespace strata {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// A point of monotonic time, in nanoseconds since some start. Only differences mean anything.
struct Instant {
    std::int64_t ns = 0;

    static constexpr Instant max() { return {INT64_MAX}; }
    friend constexpr auto operator<=>(Instant, Instant) = default;
    friend constexpr Instant operator+(Instant t, Duration d) { return {t.ns > INT64_MAX - d.count() ? INT64_MAX : t.ns + d.count()}; }
    friend constexpr Duration operator-(Instant a, Instant b) { return Duration(a.ns - b.ns); }
};

// Wall-clock time as files carry it: seconds since 1970 (UTC, may be negative) and 0..999,999,999 nanoseconds.
struct Timestamp {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;

    friend constexpr auto operator<=>(Timestamp, Timestamp) = default;
};

class Clock {
public:
    virtual ~Clock() = default;

    virtual Instant now() const = 0;
    virtual Timestamp wall_time() const = 0;

    // Resumes the caller on its own executor at `when` or soon after.
    // Errors: none; it returns early, too, if the awaiting coroutine is cancelled.
    virtual Task<> sleep_until(Instant when) = 0;
    Task<> sleep_for(Duration d) { return sleep_until(now() + d); }
};

}  // namespace strata

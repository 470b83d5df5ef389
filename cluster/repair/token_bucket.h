// SPDX-License-Identifier: Apache-2.0
// TokenBucket: holds work to so many bytes a second. One executor at a time.
#pragma once

#include <cstdint>

#include "server/base/clock.h"

namespace strata::cluster {

class TokenBucket {
public:
    // bytes_per_second 0: no limit. Up to a second's worth may be taken at once.
    TokenBucket(Clock& clock, std::uint64_t bytes_per_second) : clock_(clock), rate_(bytes_per_second) {}

    void set_rate(std::uint64_t bytes_per_second) { rate_ = bytes_per_second; }

    // Returns when it is this caller's turn; early if its coroutine is cancelled.
    Task<> take(std::uint64_t bytes) {
        const Instant turn = take_a_number(bytes);
        if (turn > clock_.now()) co_await clock_.sleep_until(turn);
    }
    // The same for who waits in another way: when it is the caller's turn.
    Instant take_a_number(std::uint64_t bytes) {
        const Instant now = clock_.now();
        if (rate_ == 0) return now;
        const Instant earliest = now.ns > second_ns ? Instant{now.ns - second_ns} : Instant{0};
        if (next_ < earliest) next_ = earliest;
        next_ = next_ + Duration(static_cast<std::int64_t>(static_cast<double>(bytes) * second_ns / static_cast<double>(rate_)));
        return next_;
    }

private:
    static constexpr std::int64_t second_ns = 1'000'000'000;

    Clock& clock_;
    std::uint64_t rate_;
    Instant next_{0};  // when the bucket will have paid for all that was taken
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Random: ids, verifiers and jitter. The simulator's is seeded; the system's is cryptographically strong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strata {

class Random {
public:
    virtual ~Random() = default;

    // Fills `out` with random bytes. Any thread.
    virtual void fill(std::span<std::byte> out) = 0;

    std::uint64_t next() {
        std::uint64_t value = 0;
        fill(std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    // A number in [0, bound); bound > 0.
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
};

}  // namespace strata

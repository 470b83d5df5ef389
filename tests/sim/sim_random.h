// SPDX-License-Identifier: Apache-2.0
// SimRandom: numbers from a seed (SplitMix64); the same seed gives the same numbers everywhere.
#pragma once

#include <algorithm>
#include <cstring>

#include "server/base/random.h"

namespace strata::sim {

class SimRandom final : public Random {
public:
    explicit SimRandom(std::uint64_t seed) : state_(seed) {}

    void fill(std::span<std::byte> out) override {
        while (!out.empty()) {
            auto number = draw();
            auto n = std::min(out.size(), sizeof number);
            std::memcpy(out.data(), &number, n);
            out = out.subspan(n);
        }
    }
    bool chance(double probability) { return static_cast<double>(draw() >> 11) * 0x1p-53 < probability; }
    // A number in [low, high].
    std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + draw() % (high - low + 1); }
    // A source of its own, so that more draws here change nothing there.
    SimRandom fork() { return SimRandom(draw()); }

private:
    std::uint64_t draw() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::uint64_t state_;
};

}  // namespace strata::sim

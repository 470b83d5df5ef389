// SPDX-License-Identifier: Apache-2.0
// Seeds: which ones a workload runs with, and how a failing one is run again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace strata::sim {

// What a run of one seed found.
struct SeedResult {
    std::vector<std::string> problems;
    std::uint64_t trace = 0;  // World::trace_hash()
};

// STRATA_SEED=n: that one alone. Else those that once failed (tests/sim/regressions.txt: "WORKLOAD SEED why"), and from 1 on
// `usual` of them, with STRATA_LONG=1 `many`, with STRATA_SEEDS=n so many.
std::vector<std::uint64_t> seeds_of(std::string_view workload, int usual, int many);

// Runs each seed; a problem fails the test with the command that runs the seed again. Some seeds run twice and must leave the same trace.
void run_seeds(std::string_view workload, int usual, int many, const std::function<SeedResult(std::uint64_t seed)>& run);

}  // namespace strata::sim

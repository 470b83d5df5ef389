// SPDX-License-Identifier: Apache-2.0
// Runs one row: connections, set-up, threads, the measured time, verification.
#pragma once

#include <string>

#include "tests/bench/lane.h"
#include "tests/bench/options.h"

namespace strata::bench {

struct RowResult {
    std::string row;
    Tally tally;
    double seconds = 0;  // measured, the last COMMIT included
    std::uint64_t client_cpu_us = 0;
    std::uint64_t server_cpu_us = 0;  // 0 without a pid
    std::uint64_t server_resident_bytes = 0;
};

// Throws Failure on any wrong reply.
RowResult run_row(const Options& options, const std::string& name);

}  // namespace strata::bench

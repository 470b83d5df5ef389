// SPDX-License-Identifier: Apache-2.0
// nfs_load: NFSv4.1 load with verified replies. README.md beside this file says how to run it.
#include <cstdio>
#include <exception>

#include "tests/bench/engine.h"
#include "tests/bench/idle.h"
#include "tests/bench/options.h"

namespace strata::bench {

namespace {

double per(double value, std::uint64_t count) { return count == 0 ? 0.0 : value / static_cast<double>(count); }

void print_result(const Options& options, const RowResult& result) {
    const Tally& tally = result.tally;
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
    std::printf(
        "{\"row\": \"%s\", \"operations\": %llu, \"seconds\": %.3f, \"ops_per_s\": %.0f, \"bytes_per_s\": %.0f, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f, ",
        result.row.c_str(), static_cast<unsigned long long>(tally.operations), result.seconds,
        static_cast<double>(tally.operations) / result.seconds, static_cast<double>(tally.bytes) / result.seconds,
        us(tally.latency.quantile(0.5)), us(tally.latency.quantile(0.99)));
    if (options.server_pid != 0) {
        std::printf("\"server_cpu_us_per_op\": %.2f, \"server_resident_bytes\": %llu, ",
                    per(static_cast<double>(result.server_cpu_us), tally.operations),
                    static_cast<unsigned long long>(result.server_resident_bytes));
    }
    if (tally.entries != 0) std::printf("\"entries_per_s\": %.0f, ", static_cast<double>(tally.entries) / result.seconds);
    if (tally.commit_latency.total() != 0) {
        std::printf("\"commits\": %llu, \"commit_p50_us\": %.1f, \"commit_p99_us\": %.1f, ",
                    static_cast<unsigned long long>(tally.commit_latency.total()), us(tally.commit_latency.quantile(0.5)),
                    us(tally.commit_latency.quantile(0.99)));
    }
    std::printf("\"client_cpu_us_per_op\": %.2f, \"delays\": %llu, \"connections\": %u, \"depth\": %u, \"threads\": %u}\n",
                per(static_cast<double>(result.client_cpu_us), tally.operations), static_cast<unsigned long long>(tally.delays),
                options.connections, options.depth, options.threads);
    std::fflush(stdout);
}

}  // namespace

}  // namespace strata::bench

int main(int argc, char** argv) {
    using namespace strata::bench;
    std::string what = "nfs_load";
    try {
        const Options options = parse_options(argc, argv);
        if (options.mode == Options::Mode::idle) run_idle(options);
        for (const std::string& row : options.rows) {
            what = row;
            print_result(options, run_row(options, row));
        }
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "nfs_load: %s: FAILED: %s\n", what.c_str(), failure.what());
        return 1;
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Running seeds.
#include "tests/sim/workloads/seeds.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/sim/stack.h"

namespace strata::sim {

namespace {

constexpr int failures_max = 5;  // then the rest is not worth its time
constexpr std::uint64_t twice_every = 16;

std::uint64_t number_of(const char* variable) {
    const char* text = std::getenv(variable);
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

std::string rerun(std::uint64_t seed) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    return fmt::format("STRATA_SEED={} sim_test --gtest_filter={}.{}", seed, test->test_suite_name(), test->name());
}

// Ends the process if one seed takes too much real time: a loop that never comes back to the world, which so cannot end it.
class Watchdog {
public:
    explicit Watchdog(std::uint64_t seed) {
        text_ = fmt::format("seed {} does not come to its end:\n", seed);
        std::signal(SIGALRM, [](int) {
            (void)!write(STDERR_FILENO, text_.data(), text_.size());
            show_stack();
            std::signal(SIGABRT, SIG_DFL);
            std::abort();
        });
        alarm(seconds_max);
    }
    ~Watchdog() { alarm(0); }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

private:
    static constexpr unsigned seconds_max = 60;
    static inline std::string text_;
};

SeedResult run_guarded(const std::function<SeedResult(std::uint64_t)>& run, std::uint64_t seed) {
    const Watchdog watchdog(seed);
    try {
        return run(seed);
    } catch (const std::exception& e) {  // WorldIdle: something waits for ever
        return {{e.what()}, 0};
    }
}

}  // namespace

std::vector<std::uint64_t> seeds_of(std::string_view workload, int usual, int many) {
    if (const auto only = number_of("STRATA_SEED")) return {only};
    std::vector<std::uint64_t> seeds;
    std::ifstream file(STRATA_SIM_REGRESSIONS);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t seed = 0;
        if (words >> name >> seed && name == workload) seeds.push_back(seed);
    }
    std::uint64_t count = number_of("STRATA_SEEDS");
    if (count == 0) count = static_cast<std::uint64_t>(number_of("STRATA_LONG") != 0 ? many : usual);
    for (std::uint64_t seed = 1; seed <= count; ++seed) seeds.push_back(seed);
    return seeds;
}

void run_seeds(std::string_view workload, int usual, int many, const std::function<SeedResult(std::uint64_t seed)>& run) {
    int failures = 0;
    for (const auto seed : seeds_of(workload, usual, many)) {
        const auto result = run_guarded(run, seed);
        std::string text;
        for (const auto& problem : result.problems) text += "\n  " + problem;
        if (result.problems.empty() && seed % twice_every == 0) {
            if (const auto again = run_guarded(run, seed); again.trace != result.trace)
                text = "\n  the same seed did not give the same run";
        }
        if (text.empty()) continue;
        ADD_FAILURE() << workload << " seed " << seed << text << "\n  again: " << rerun(seed);
        if (++failures == failures_max) return;
    }
}

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// The simulation's own proof: a disk that lies about what is durable is caught, and an oracle of a wrong mind is, too.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/workloads/node_run.h"

namespace strata::sim {
namespace {

// True: the simulation noticed. What hangs is no proof: WorldIdle fails the test.
bool caught(std::uint64_t seed, const std::vector<std::string>& lie_about) {
    NodeRun run(seed, {.lie_about = lie_about});
    run.begin();
    for (int round = 0; round < 3 && run.sound(); ++round) {
        run.node().cut_power_after(run.random().between(200, 900));
        run.work(20, 40);
        run.crash();
        run.reopen(false);
    }
    return !run.sound();
}

int caught_of(int seeds, const std::vector<std::string>& lie_about) {
    int count = 0;
    for (int seed = 1; seed <= seeds; ++seed) count += caught(static_cast<std::uint64_t>(seed), lie_about) ? 1 : 0;
    return count;
}

TEST(NodeCanary, segments_that_are_not_synced_are_caught) { EXPECT_GE(caught_of(6, {"segments/"}), 4); }

TEST(NodeCanary, metadata_that_are_not_synced_are_caught) { EXPECT_GE(caught_of(6, {"meta/"}), 4); }

TEST(NodeCanary, a_metadata_log_that_is_not_synced_is_caught) { EXPECT_GE(caught_of(6, {"meta/log-", "meta/spare-", "meta/new-"}), 4); }

TEST(NodeCanary, metadata_databases_that_are_not_synced_are_caught) { EXPECT_GE(caught_of(6, {"meta/volume.db"}), 1); }

TEST(NodeCanary, without_lies_the_same_runs_are_sound) { EXPECT_EQ(caught_of(6, {}), 0); }

}  // namespace
}  // namespace strata::sim

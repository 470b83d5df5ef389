// SPDX-License-Identifier: Apache-2.0
// A whole node loses its power between any two calls to its disks: nothing acknowledged is missing, nothing impossible is there.
#include <gtest/gtest.h>

#include "tests/sim/workloads/node_run.h"

namespace strata::sim {
namespace {

// Work until the power fails or everybody is done; then an end in order or not, and sometimes another cut during the next opening.
void live_and_die(NodeRun& run) {
    auto& node = run.node();
    auto& random = run.random();
    if (random.chance(0.85)) node.cut_power_after(random.between(1, random.chance(0.3) ? 60 : 900));
    run.work(5, 40);
    const bool in_order = node.powered() && random.chance(0.3);
    if (in_order) {
        node.cut_power_after(0);
        run.close();
    } else {
        if (node.powered() && random.chance(0.3)) node.world().run_for(Duration(random.below(30'000'000'000)));
        run.crash();
    }
    if (random.chance(0.3)) run.check();
    if (random.chance(0.2)) node.cut_power_after(random.between(1, 300));
    run.reopen(in_order);
}

SeedResult run_crash(std::uint64_t seed) {
    NodeRun run(seed, {});
    if (run.random().chance(0.1)) run.node().cut_power_after(run.random().between(1, 250));  // while the volume is made
    run.begin();
    for (std::uint64_t round = run.random().between(1, 3); round > 0 && run.sound(); --round) live_and_die(run);
    run.finish();
    return run.result();
}

TEST(NodeCrash, power_cuts_lose_nothing_acknowledged) { run_seeds("crash", 100, 3000, run_crash); }

}  // namespace
}  // namespace strata::sim

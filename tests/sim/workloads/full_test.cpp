// SPDX-License-Identifier: Apache-2.0
// Full stores refuse, keep what they have acknowledged, still delete, and take new data afterwards.
#include <gtest/gtest.h>

#include "tests/sim/workloads/node_run.h"

namespace strata::sim {
namespace {

constexpr std::uint64_t small_disk = 26u << 20;  // of which 6 MiB are for shards

SeedResult run_full(std::uint64_t seed) {
    NodeRun run(seed, {.disk_bytes = small_disk});
    auto& node = run.node();
    auto& client = *run.clients().front();
    run.begin();
    for (const auto& each : run.clients()) each->forgiven = {Errc::no_space};
    const bool refused = node.world().run(client.fill(300, 300'000));
    if (!refused) node.problem("the stores are never full");
    run.work(5, 20);
    if (run.random().chance(0.5)) {
        run.crash();
        if (run.sound()) run.reopen(false);
    }
    if (run.sound()) node.world().run(client.make_room());
    if (run.random().chance(0.3)) {
        run.crash();
        if (run.sound()) run.reopen(false);
    }
    node.world().run_for(200s);
    for (const auto& each : run.clients()) each->forgiven = {};  // there is room again
    if (run.sound()) node.world().run(client.fill(5, 300'000));
    run.finish();
    return run.result();
}

TEST(NodeFull, full_stores_lose_nothing_and_deleting_makes_room) { run_seeds("full", 6, 200, run_full); }

}  // namespace
}  // namespace strata::sim

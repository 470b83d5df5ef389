// SPDX-License-Identifier: Apache-2.0
// NodeRun: a node and its clients, from making the volume to the last check. Workloads add the faults.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/sim/workloads/client.h"
#include "tests/sim/workloads/node_world.h"
#include "tests/sim/workloads/seeds.h"

namespace strata::sim {

class NodeRun {
public:
    NodeRun(std::uint64_t seed, NodeOptions options);

    NodeWorld& node() { return node_; }
    SimRandom& random() { return node_.random(); }
    const std::vector<std::unique_ptr<Client>>& clients() const { return clients_; }
    bool sound() const { return node_.problems().empty(); }
    SeedResult result() { return {node_.problems(), node_.world().trace_hash()}; }

    // Makes the volume and the clients' folders. Power cuts that were asked for may hit it.
    void begin();
    // Opens until it stands, whatever power cuts are under way. False: it cannot be opened, and that is a problem.
    bool open();
    // Opens and compares. `all`: it was closed in order, nothing may be missing.
    void reopen(bool all);
    // Every client does some operations, all at the same time.
    void work(int operations_min, int operations_max);
    // False: not in order. With power on that is a problem, unless a client's forgiven errors explain it.
    bool close();
    // The power goes, if it is not gone.
    void crash();
    // As `stratad check` reports it, closed. `lost_stores`: not all disks are there; what that explains is no problem.
    void check(bool lost_stores = false);
    // Left alone, the node comes to rest: it is whole, without orphans, and everything agrees.
    void finish();
    // Waits until repair has nothing to do and the status says that redundancy is whole.
    void heal();

private:
    NodeWorld node_;
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace strata::sim

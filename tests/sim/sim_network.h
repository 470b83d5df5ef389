// SPDX-License-Identifier: Apache-2.0
// SimNetwork: streams in memory between addresses, with latency, splitting, refusals, cuts and partitions by seed.
#pragma once

#include <memory>
#include <utility>

#include "server/base/byte_stream.h"
#include "tests/sim/sim_random.h"

namespace strata::sim {

class World;

struct NetworkFaults {
    Duration latency_min = 0ns;
    Duration latency_max = 200us;
    double split = 0.3;     // probability that what is there arrives, or is read, in smaller pieces
    double disconnect = 0;  // probability, for each write, that the stream breaks after a part of it
};

class SimNetwork {
public:
    SimNetwork(World& world, SimRandom random);
    ~SimNetwork();

    // Port 0: any free one. Errors: busy.
    Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, OnStream on_stream);
    // Errors: closed (nobody listens), timed_out (partitioned).
    Task<Result<std::unique_ptr<ByteStream>>> connect(Endpoint from, Endpoint to, Instant deadline);
    // Two ends that are connected already, without a listener.
    std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> pair();

    void set_faults(const NetworkFaults& faults);
    // Nothing passes between two addresses (ports do not matter) until healed; what was sent meanwhile arrives then.
    void partition(const Endpoint& a, const Endpoint& b, bool parted);
    // Breaks every stream that has an end at this address.
    void disconnect(const Endpoint& address);

    struct State;

private:
    std::shared_ptr<State> state_;
};

}  // namespace strata::sim

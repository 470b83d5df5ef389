// SPDX-License-Identifier: Apache-2.0
// session_memory: what an idle NFSv4.1 session and its connection cost the server, counted over simulated streams: no kernel, no socket,
// and so as many as one likes.
//
//   session_memory [COUNT]      prints one line of JSON
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <malloc.h>

#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

std::uint64_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

class ManySessions : public ServiceTest {
public:
    void TestBody() override {}

    // Opens `count` streams, measures, and then a session on each of them.
    void run(std::size_t count) {
        config.lease = 24h;
        config.grace = 0s;
        config.connections_max = static_cast<std::uint32_t>(count) + 1;
        start();
        std::vector<std::unique_ptr<ByteStream>> served;
        wires.reserve(count);
        served.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            auto [ours, theirs] = world.network().pair();
            wires.push_back(std::make_unique<Wire>(world, std::move(ours)));
            served.push_back(std::move(theirs));
        }
        const auto before = heap_bytes();
        for (std::size_t i = 0; i < count; ++i) {
            server->serve(std::move(served[i]));
            TestClient client(*wires[i], "client " + std::to_string(i));
            client.establish();
        }
        const auto after = heap_bytes();
        std::printf("{\"sessions\": %zu, \"connections\": %zu, \"heap_bytes_per_session\": %.0f, \"simulated_stream_bytes\": %.0f}\n",
                    count, server->connections(), static_cast<double>(after - before) / static_cast<double>(count),
                    static_cast<double>(before) / static_cast<double>(count));
        // A few at a time: the simulated world takes what goes on for long in one instant for a loop.
        for (std::size_t i = 0; i < count; ++i) {
            wires[i]->close();
            if (i % 100 == 0) pass(1ms);
        }
        wires.clear();
    }
};

}  // namespace
}  // namespace strata::nfs

int main(int argc, char** argv) {
    const auto count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
    strata::nfs::ManySessions sessions;
    sessions.run(count);
    return testing::Test::HasFailure() ? 1 : 0;
}

// SPDX-License-Identifier: Apache-2.0
// Idle connections, in two counts, so that what the server allocates once drops out.
#include "tests/bench/idle.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include "tests/bench/failure.h"
#include "tests/bench/process.h"

namespace strata::bench {

namespace {

constexpr std::uint32_t connections_per_source = 20000;
constexpr auto settling = std::chrono::seconds(1);

// As many descriptors as this process may have.
void raise_descriptor_limit(std::uint32_t wanted) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t needed = wanted + 64;
    if (limit.rlim_max < needed) {
        const rlimit higher{.rlim_cur = needed, .rlim_max = needed};
        if (::setrlimit(RLIMIT_NOFILE, &higher) == 0) return;
    }
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

struct Idle {
    Socket socket;
    std::unique_ptr<Session> session;
};

Idle open_one(const Options& options, std::uint32_t number) {
    const std::uint32_t source = number / connections_per_source;
    Idle idle;
    if (options.sessions) {
        const std::string owner = "nfs_load idle " + std::to_string(number);
        idle.session = std::make_unique<Session>(options.target, owner, options.depth, options.depth, source);
        return idle;
    }
    idle.socket = Socket(options.target.address, source);
    const Prefix null_call = Prefix::null_call();
    Bytes request(null_call.size());
    null_call.emit(request.data(), {.xid = number + 1, .ops = 0, .sequence = 0, .slot = 0, .cache_this = false, .body = 0});
    idle.socket.send(request);
    const Bytes record = idle.socket.receive_record();
    XdrReader reply(record);
    require(reply.u32() == number + 1, "a reply to another call");
    read_rpc_reply(reply);
    return idle;
}

}  // namespace

void run_idle(const Options& options) {
    require(options.server_pid != 0, "idle mode needs --server-pid");
    raise_descriptor_limit(options.count);
    const auto resident = [&] {
        std::this_thread::sleep_for(settling);
        return resident_bytes(options.server_pid);
    };
    const std::uint64_t none = resident();
    std::vector<Idle> open;
    std::string ended_by;
    const auto open_up_to = [&](std::size_t count) {
        try {
            while (open.size() < count) open.push_back(open_one(options, static_cast<std::uint32_t>(open.size())));
        } catch (const Failure& failure) {
            ended_by = failure.what();
        }
    };
    open_up_to(options.count / 2);
    const std::size_t half_count = open.size();
    const std::uint64_t half = resident();
    if (ended_by.empty()) open_up_to(options.count);
    const std::size_t all_count = open.size();
    const std::uint64_t all = resident();
    if (all_count < 2) fail("no connections: " + ended_by);

    const auto per_connection = [](std::uint64_t after, std::uint64_t before, std::size_t count) {
        return count == 0 ? 0.0 : (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(count);
    };
    std::printf(
        "{\"row\": \"idle\", \"sessions\": %s, \"asked\": %u, \"connected\": %zu, \"ended_by\": \"%s\", "
        "\"resident_none\": %llu, \"resident_half\": %llu, \"resident_all\": %llu, "
        "\"bytes_per_connection\": %.0f, \"bytes_per_connection_upper_half\": %.0f}\n",
        options.sessions ? "true" : "false", options.count, all_count, ended_by.c_str(), static_cast<unsigned long long>(none),
        static_cast<unsigned long long>(half), static_cast<unsigned long long>(all), per_connection(all, none, all_count),
        per_connection(all, half, all_count - half_count));
    for (const Idle& idle : open) {
        if (idle.session) idle.session->destroy();
    }
}

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// nfs_memory_server: the NFS service over the file system in memory, for conformance suites and clients: no store, no durability.
//
//   nfs_memory_server ADDR:PORT [lease seconds] [share]...
#include <cstdio>
#include <cstdlib>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_future.hpp>

#include "nfs/server.h"
#include "server/base/system_runtime.h"
#include "tests/sim/memory_file_system.h"

namespace strata {
namespace {

Task<Result<vfs::ShareList>> make_shares(sim::MemoryFileSystem& fs, Context ctx, std::vector<std::string> names) {
    vfs::ShareList list;
    vfs::DomainId domain = 1;
    for (const auto& name : names) {
        vfs::CreateRequest request;
        request.type = vfs::FileType::directory;
        request.attributes.mode = 0777;
        request.new_domain = domain;
        CO_TRY(created, co_await fs.create(ctx, fs.root(), name, request));
        vfs::Share share;
        share.name = name;
        share.root = created.entry.id;
        share.domain = domain++;
        share.squash = vfs::Squash::none;
        list.push_back(std::move(share));
    }
    co_return list;
}

int serve(const Endpoint& endpoint, Duration lease, std::vector<std::string> names) {
    StreamLogSink log(2, false);
    SystemRuntime system(1, log);  // the model knows one thread only
    auto& runtime = system.runtime();
    sim::MemoryFileSystem fs(*runtime.clock);
    sim::MemoryRecordStore records;
    vfs::ShareTable shares;
    vfs::FileStateTable files;
    BufferPool buffers(512 << 20);
    nfs::Config config;
    config.lease = config.grace = lease;
    nfs::Server server(config, runtime, {&fs, &shares, &files, &records, &buffers});
    const auto executor = system.io().executor(0);
    const auto root = Credentials::superuser();
    Context ctx{.clock = runtime.clock, .caller = &root};
    auto list = boost::asio::co_spawn(executor, make_shares(fs, ctx, std::move(names)), boost::asio::use_future).get();
    shares.replace(std::move(*list));
    if (!boost::asio::co_spawn(executor, server.start(), boost::asio::use_future).get()) return 1;
    auto listener = system.io().listen(endpoint, [&server](std::unique_ptr<ByteStream> stream) { server.serve(std::move(stream)); });
    if (!listener) {
        std::fprintf(stderr, "%s\n", to_string(listener.error()).c_str());
        return 1;
    }
    std::printf("ready: %s\n", (*listener)->local().to_string().c_str());
    std::fflush(stdout);
    server.own(std::move(*listener));
    boost::asio::io_context signals;
    boost::asio::signal_set wait(signals, SIGTERM, SIGINT);
    wait.async_wait([](const auto&, int) {});
    signals.run();
    (void)boost::asio::co_spawn(executor, server.stop(runtime.clock->now() + 5s), boost::asio::use_future).get();
    return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
    const auto endpoint = strata::Endpoint::parse(argc > 1 ? argv[1] : "127.0.0.1:12049");
    if (!endpoint) return 2;
    const auto lease = std::chrono::seconds(argc > 2 ? std::atoi(argv[2]) : 15);
    std::vector<std::string> names(argv + std::min(argc, 3), argv + argc);
    if (names.empty()) names = {"exp", "exp2"};
    return strata::serve(*endpoint, lease, std::move(names));
}

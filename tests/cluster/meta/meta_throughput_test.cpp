// SPDX-License-Identifier: Apache-2.0
// How fast: prints figures, asserts only that all is there. On a folder of the machine's own disk, with the real runtime.
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cluster/meta/sqlite_meta_store.h"
#include "server/base/system_runtime.h"
#include "tests/sim/meta_workload.h"

namespace strata::cluster {

namespace {

constexpr InodeNumber creates = 20'000;

struct Folder {
    Folder() : path(std::filesystem::temp_directory_path() / fmt::format("strata-meta-{}", system_random().next())) {}
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    StoreDisk store(int number) const {
        auto disk = open_system_disk((path / std::to_string(number)).string(), true);
        EXPECT_TRUE(disk) << to_string(disk.error());
        return {Uuid{static_cast<std::uint8_t>(number + 1)}, std::shared_ptr<Disk>(std::move(*disk))};
    }
    std::filesystem::path path;
};

Instant started;
void begin(Runtime& runtime) { started = runtime.clock->now(); }
void report(Runtime& runtime, const char* what, double count) {
    const auto seconds = static_cast<double>((runtime.clock->now() - started).count()) / 1e9;
    fmt::print("[  FIGURE  ] {}: {:.0f}/s\n", what, count / seconds);
}

// How many creates: more by STRATA_BENCH_CREATES.
InodeNumber wanted() {
    const char* text = std::getenv("STRATA_BENCH_CREATES");
    return text == nullptr ? creates : std::strtoull(text, nullptr, 10);
}

Task<Result<>> load(Runtime& runtime, std::vector<StoreDisk> stores) {
    MetaStoreConfig config;
    config.copies = static_cast<int>(stores.size());
    config.create = true;
    CO_TRY(store, co_await open_meta_store(runtime, stores, config));
    const Context ctx{.clock = runtime.clock};
    begin(runtime);
    LogIndex last = 0;
    for (InodeNumber number = 2; number < wanted() + 2; ++number) {
        if (number % 256 == 0) CO_CHECK_OK(co_await store->admit(ctx));
        last = store->submit(sim::create_command(1, number, number + 1));
    }
    CO_CHECK_OK(co_await store->durable().wait(last, *runtime.clock, Instant::max()));
    report(runtime, fmt::format("durable creates, {} copies", stores.size()).c_str(), static_cast<double>(wanted()));
    while (store->applied() < last) co_await runtime.clock->sleep_for(1ms);
    report(runtime, "... and applied", static_cast<double>(wanted()));
    begin(runtime);
    constexpr int reads = 2000;
    for (int i = 0; i < reads; ++i) {
        CO_TRY(row, co_await store->inode(ctx, 2 + (static_cast<InodeNumber>(i) * 7919) % wanted()));
        if (!row) co_return fail(Errc::not_found);
    }
    report(runtime, "reads, one at a time", reads);
    begin(runtime);
    constexpr int alone = 200;
    for (int i = 0; i < alone; ++i) {
        last = store->submit({PutRecord{{"bench", std::to_string(i), "value"}}});
        CO_CHECK_OK(co_await store->durable().wait(last, *runtime.clock, Instant::max()));
    }
    report(runtime, "durable commands, one at a time", alone);
    co_return co_await store->close(ctx);
}

}  // namespace

TEST(MetaThroughput, of_one_database_without_the_log) {
    Folder folder;
    StreamLogSink sink(2, false);
    SystemRuntime world(1, sink);
    auto replica = Replica::create(folder.store(0), system_random(), Uuid{1}, {});
    ASSERT_TRUE(replica) << to_string(replica.error());
    std::vector<Command> commands;
    for (InodeNumber number = 2; number < wanted() + 2; ++number) commands.push_back(sim::create_command(1, number, number + 1));
    begin(world.runtime());
    for (std::size_t at = 0; at < commands.size();) {
        std::vector<const Command*> batch;
        for (; at < commands.size() && batch.size() < 4096; ++at) batch.push_back(&commands[at]);
        ASSERT_TRUE((*replica)->apply((*replica)->state().applied + 1, batch));
        if ((*replica)->wal_pages() > 16384) ASSERT_TRUE((*replica)->checkpoint());
    }
    report(world.runtime(), "creates applied, one database", static_cast<double>(wanted()));
    EXPECT_EQ((*replica)->state().inode_count, wanted() + 1);
}

TEST(MetaThroughput, of_the_whole_store_with_one_and_two_copies) {
    for (int copies : {1, 2}) {
        Folder folder;
        StreamLogSink sink(2, false);
        SystemRuntime world(1, sink);
        std::vector<StoreDisk> stores;
        for (int i = 0; i < copies; ++i) stores.push_back(folder.store(i));
        auto done =
            boost::asio::co_spawn(world.runtime().executor(), load(world.runtime(), std::move(stores)), boost::asio::use_future).get();
        EXPECT_TRUE(done) << to_string(done.error());
    }
}

}  // namespace strata::cluster

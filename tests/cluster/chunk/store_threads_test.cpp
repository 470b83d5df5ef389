// SPDX-License-Identifier: Apache-2.0
// A store in a real folder, used from several threads at once, with compaction going on: what the simulator's one thread cannot show.
#include <atomic>
#include <filesystem>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "server/base/system_runtime.h"
#include "tests/cluster/chunk/store_fixture.h"

namespace strata::cluster {
namespace {

class QuietLog final : public LogSink {
public:
    void write(LogLevel, std::string_view, std::string_view, std::initializer_list<LogField>) override {}
};

class RealFolder {
public:
    RealFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "strata_store_XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
        path = name;
    }
    ~RealFolder() { std::filesystem::remove_all(path); }
    std::string path;
};

class StoreThreads : public testing::Test {
protected:
    template <class T>
    T run(Task<T> task) {
        return boost::asio::co_spawn(system.io().any(), std::move(task), boost::asio::use_future).get();
    }
    void open() {
        auto disk = open_system_disk(folder.path, true);
        ASSERT_TRUE(disk);
        std::shared_ptr<Disk> shared = std::move(*disk);
        if (!*shared->exists(identity_path)) ASSERT_TRUE(format_store(*shared, Uuid{1}, *system.runtime().random));
        SegmentStoreConfig config;
        config.segment_bytes = 1 << 20;
        config.log_reserve_bytes = 1 << 20;
        config.capacity_bytes = 64 << 20;
        auto opened = run(SegmentChunkStore::open(system.runtime(), shared, config));
        ASSERT_TRUE(opened) << to_string(opened.error());
        store = *opened;
    }
    void close() { run(store->close()); }

    RealFolder folder;
    QuietLog log;
    SystemRuntime system{3, log};
    Context ctx{.clock = system.runtime().clock};
    std::shared_ptr<SegmentChunkStore> store;
};

// Puts, reads back and removes four of five of its shards.
Task<int> work(const Context& ctx, SegmentChunkStore& store, std::uint64_t worker, std::uint64_t count) {
    int wrong = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t counter = worker * 10'000 + i;
        const std::size_t length = 1 + (counter * 7919) % 40'000;
        const auto bytes = bytes_of(counter, length);
        const auto sums = ShardChecksums::of(bytes);
        if (!co_await store.put(ctx, key_of(counter), bytes, sums)) ++wrong;
        const std::uint64_t earlier = worker * 10'000 + i / 2;
        const auto got = co_await store.get(ctx, key_of(earlier), 0, 1, 0);
        const bool may_be_gone = earlier % 5 != 0 && i / 2 + 20 < i;
        if (got ? text_of(*got) != text_of(bytes_of(earlier, 1 + (earlier * 7919) % 40'000).sub(0, 1)) : !may_be_gone) ++wrong;
        if (i < 20) continue;
        const auto old = key_of(counter - 20);
        if (old.chunk.counter % 5 != 0) (void)co_await store.remove(ctx, std::span(&old, 1));
    }
    co_return wrong;
}

TEST_F(StoreThreads, many_threads_and_compaction_leave_what_they_should) {
    constexpr std::uint64_t workers = 6, count = 200;
    open();
    std::vector<std::future<int>> running;
    for (std::uint64_t w = 0; w < workers; ++w) {
        running.push_back(boost::asio::co_spawn(system.io().any(), work(ctx, *store, w, count), boost::asio::use_future));
    }
    for (auto& worker : running) EXPECT_EQ(worker.get(), 0);
    EXPECT_GT(system.metrics().counter("chunk_compactions").value(), 0u);
    for (int opening = 0; opening < 2; ++opening) {
        for (std::uint64_t w = 0; w < workers; ++w) {
            for (std::uint64_t i = 0; i < count; ++i) {
                const std::uint64_t counter = w * 10'000 + i;
                const auto length = static_cast<std::uint32_t>(1 + (counter * 7919) % 40'000);
                const auto got = run(store->get(ctx, key_of(counter), 0, length, 0));
                const bool kept = counter % 5 == 0 || i + 20 >= count;
                ASSERT_EQ(got.has_value(), kept) << counter;
                if (got) ASSERT_EQ(text_of(*got), text_of(bytes_of(counter, length)));
            }
        }
        close();
        open();
    }
    close();
}

}  // namespace
}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// DataEngine on real threads: what the simulator, which has one, cannot show. Made for the tsan preset; it checks contents everywhere.
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "cluster/fs/data_engine.h"
#include "cluster/fs/file_data.h"
#include "server/base/system_runtime.h"
#include "tests/sim/memory_meta_store.h"
#include "tests/sim/sim_random.h"

namespace strata::cluster {
namespace {

class QuietSink final : public LogSink {
public:
    void write(LogLevel, std::string_view, std::string_view, std::initializer_list<LogField>) override {}
};

// Chunks in a map, for any thread; a call takes a moment, so that others run meanwhile.
class LockedChunks final : public ChunkIo {
public:
    explicit LockedChunks(Clock& clock) : clock_(clock) {}
    Task<Result<Chunk>> write(const Context&, ChunkId id, Geometry wanted, BufferChain data) override {
        Chunk chunk{.id = id, .geometry = wanted, .length = static_cast<std::uint32_t>(data.size())};
        chunk.places.resize(static_cast<std::size_t>(wanted.shards()));
        std::string bytes(data.size(), '\0');
        data.copy_to(std::as_writable_bytes(std::span(bytes)));
        co_await clock_.sleep_for(200us);
        std::lock_guard lock(mutex_);
        chunks_[id] = std::move(bytes);
        co_return chunk;
    }
    Task<Result<BufferChain>> read(const Context&, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) override {
        co_await clock_.sleep_for(50us);
        std::lock_guard lock(mutex_);
        const auto at = chunks_.find(chunk.id);
        if (at == chunks_.end()) co_return fail(Errc::not_found);
        co_return BufferChain::copy_of(std::string_view(at->second).substr(offset, length));
    }
    Task<> remove(const Context&, const Chunk& chunk) override {
        std::lock_guard lock(mutex_);
        chunks_.erase(chunk.id);
        co_return;
    }
    std::size_t count() const {
        std::lock_guard lock(mutex_);
        return chunks_.size();
    }

private:
    Clock& clock_;
    mutable std::mutex mutex_;
    std::map<ChunkId, std::string> chunks_;
};

constexpr std::uint64_t part_size = 300'000;  // of the shared file, for each worker

class DataThreads : public ::testing::Test {
protected:
    DataThreads() : runtime_(2, sink_), log_(sink_, "test"), chunks_(*runtime_.runtime().clock) {
        ctx_ = {.clock = runtime_.runtime().clock, .log = &log_, .caller = &superuser_};
        meta_ = std::make_unique<sim::MemoryMetaStore>(runtime_.runtime(), sim::MetaImage{}, sim::MetaTiming{500us, 1ms, 50us, 1000});
        DataEngine::Parts parts;
        parts.runtime = &runtime_.runtime();
        parts.meta = meta_.get();
        parts.stripes = &chunks_;
        parts.policy = [](vfs::DomainId) { return Policy{{2, 1}}; };
        parts.new_chunk = [this] { return ChunkId{1, 1, next_.fetch_add(1)}; };
        parts.new_map = [this] { return next_.fetch_add(1); };
        parts.available = [](vfs::DomainId) { return std::uint64_t{1} << 32; };
        data_ = std::make_unique<DataEngine>(std::move(parts),
                                             DataConfig{.dirty_bytes_max = 8 << 20, .dirty_age_max = 5ms, .cache_bytes_max = 1 << 20});
        data_->start();
    }
    ~DataThreads() override {
        wait(0, data_->stop());
        data_.reset();
        meta_->power_off();
        wait(0, meta_->stopped());
    }

    template <class T>
    std::future<T> begin(int thread, Task<T> task) {
        return boost::asio::co_spawn(runtime_.io().executor(thread), std::move(task), boost::asio::use_future);
    }
    template <class T>
    T wait(int thread, Task<T> task) {
        return begin(thread, std::move(task)).get();
    }
    NodePtr make_file() {
        InodeRow row;
        row.number = next_.fetch_add(1);
        row.map = next_.fetch_add(1);
        auto node = std::make_shared<Node>(row);
        meta_->submit({PutInode{row}});
        return node;
    }

    // Writes, reads back and commits in its own part of a file that all share.
    Task<bool> work_on_part(NodePtr file, std::uint64_t part, int steps) {
        sim::SimRandom draw(part + 1);
        std::string expected(part_size, '\0');
        const std::uint64_t base = part * part_size;
        for (int i = 0; i < steps; ++i) {
            const std::uint64_t at = draw.below(part_size - 20'000), count = 1 + draw.below(20'000);
            const std::string bytes(count, static_cast<char>(1 + draw.below(255)));
            expected.replace(at, count, bytes);
            auto written = co_await data_->write(ctx_, file, base + at, BufferChain::copy_of(bytes), vfs::Stability::unstable);
            if (!written) co_return false;
            if (draw.chance(0.1) && !co_await data_->commit(ctx_, file, 0, 0)) co_return false;
            const std::uint64_t from = draw.below(part_size - 40'000);
            auto read = co_await data_->read(ctx_, file, base + from, 40'000);
            if (!read) co_return false;
            std::string found(read->data.size(), '\0');
            read->data.copy_to(std::as_writable_bytes(std::span(found)));
            if (found != expected.substr(from, found.size())) co_return false;
        }
        co_return true;
    }
    // Clones the shared file, cuts and removes the clones.
    Task<bool> work_on_clones(NodePtr file, int steps) {
        sim::SimRandom draw(99);
        for (int i = 0; i < steps; ++i) {
            const NodePtr target = make_file();
            auto cloned = co_await data_->clone(ctx_, file, 0, target, 0, 128 << 10);
            if (!cloned && cloned.error() != Errc::delay && cloned.error() != Errc::invalid_argument) co_return false;
            if (!co_await data_->deallocate(ctx_, target, draw.below(100'000), 10'000)) co_return false;
            auto read = co_await data_->read(ctx_, target, 0, 128 << 10);
            if (!read) co_return false;
            std::lock_guard lock(target->mutex);
            Command command;
            data_->discard(*target, command);
            target->dead = true;
            command.push_back(DeleteInode{target->number});
            target->pending_any = meta_->submit(std::move(command));
        }
        co_return true;
    }
    Task<bool> keep_tidying(int steps) {
        for (int i = 0; i < steps; ++i) {
            const auto tidied = co_await data_->tidy(ctx_, true);
            EXPECT_TRUE(tidied) << to_string(tidied.error());
            if (!tidied) co_return false;
            co_await runtime_.runtime().clock->sleep_for(1ms);
        }
        co_return true;
    }

    QuietSink sink_;
    SystemRuntime runtime_;
    Log log_;
    Credentials superuser_ = Credentials::superuser();
    Context ctx_;
    std::atomic<std::uint64_t> next_{100};
    LockedChunks chunks_;
    std::unique_ptr<sim::MemoryMetaStore> meta_;
    std::unique_ptr<DataEngine> data_;
};

TEST_F(DataThreads, many_writers_of_one_file_each_read_what_they_wrote) {
    const NodePtr file = make_file();
    std::vector<std::future<bool>> work;
    for (int part = 0; part < 6; ++part) work.push_back(begin(part % 2, work_on_part(file, static_cast<std::uint64_t>(part), 150)));
    work.push_back(begin(0, work_on_clones(file, 30)));
    work.push_back(begin(1, keep_tidying(30)));
    for (std::size_t i = 0; i < work.size(); ++i) EXPECT_TRUE(work[i].get()) << "worker " << i;
    EXPECT_TRUE(wait(1, data_->flush_all(ctx_)));
    for (int round = 0; round < 3; ++round) {
        while (meta_->applied() < meta_->submitted()) wait(0, runtime_.runtime().clock->sleep_for(1ms));
        EXPECT_TRUE(wait(0, data_->tidy(ctx_, true)));
    }
    while (meta_->applied() < meta_->submitted()) wait(0, runtime_.runtime().clock->sleep_for(1ms));
    EXPECT_TRUE(wait(0, data_->tidy(ctx_, false)));
    const auto image = meta_->image();
    std::map<ChunkId, std::uint32_t> named;
    for (const auto& [key, extent] : image.tables.extents) ++named[extent.chunk];
    for (const auto& [id, row] : image.tables.chunks) EXPECT_EQ(row.references, named[id]);
    EXPECT_EQ(chunks_.count(), image.tables.chunks.size());
}

}  // namespace
}  // namespace strata::cluster

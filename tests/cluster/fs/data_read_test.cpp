// SPDX-License-Identifier: Apache-2.0
// DataEngine: reads through the block cache, read-ahead, what moves under a reader; merging and sealing.
#include <cstring>

#include <gtest/gtest.h>

#include "cluster/fs/block_cache.h"
#include "tests/cluster/fs/data_fixture.h"

namespace strata::cluster {
namespace {

using sim::DataFixture;
using sim::pattern;
using vfs::Stability;

constexpr std::uint64_t kib = 1024, mib = 1024 * 1024;

TEST(DataRead, the_end_of_the_file_is_told) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(10'000, 1)));
    auto read = [&](std::uint64_t offset, std::uint32_t count) { return *f.run(f.data->read(f.ctx(), file, offset, count)); };
    EXPECT_FALSE(read(0, 9999).end_of_file);
    EXPECT_TRUE(read(0, 10'000).end_of_file);
    EXPECT_EQ(read(9000, 5000).data.size(), 1000u);
    EXPECT_TRUE(read(9000, 5000).end_of_file);
    EXPECT_EQ(read(20'000, 10).data.size(), 0u);
    EXPECT_TRUE(read(20'000, 10).end_of_file);
    EXPECT_EQ(read(0, 0).data.size(), 0u);
}

TEST(DataRead, what_was_flushed_is_read_from_memory) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    EXPECT_EQ(f.read_all(file), pattern(mib, 1));
    EXPECT_EQ(f.chunks.reads, 0u);
}

TEST(DataRead, a_cached_read_copies_nothing) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    const auto first = f.run(f.data->read(f.ctx(), file, 4096, 4096));
    const auto second = f.run(f.data->read(f.ctx(), file, 4096, 4096));
    ASSERT_EQ(first->data.slices().size(), 1u);
    EXPECT_EQ(first->data.slices()[0].data(), second->data.slices()[0].data());
}

TEST(DataRead, what_was_read_once_comes_from_memory_afterwards) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    EXPECT_EQ(*f.read(file, 300'000, 4096), pattern(mib, 1).substr(300'000, 4096));
    const auto reads = f.chunks.reads;
    EXPECT_GT(reads, 0u);
    EXPECT_EQ(*f.read(file, 300'100, 4096), pattern(mib, 1).substr(300'100, 4096));
    EXPECT_EQ(f.chunks.reads, reads);
}

TEST(DataRead, readers_of_the_same_block_share_one_read) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    f.chunks.latency_max = 10ms;
    for (unsigned i = 0; i < 10; ++i) {
        f.spawn([&f, file, i]() -> Task<> {
            auto read = co_await f.data->read(f.ctx(), file, 130'000 + i * 100, 100);
            EXPECT_TRUE(read);
            if (read) {
                EXPECT_EQ(read->data.size(), 100u);
            }
        });
    }
    f.wait_spawned();
    EXPECT_EQ(f.chunks.reads, 1u);
}

TEST(DataRead, a_failed_read_is_an_error_and_not_remembered) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    f.chunks.read_fails = 1;
    const auto failed = f.read(file, 0, 4096);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error(), Errc::io);
    f.chunks.read_fails = 0;
    EXPECT_EQ(f.read_all(file), pattern(mib, 1));
}

TEST(DataRead, a_lost_chunk_is_an_io_error_never_wrong_bytes) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    f.chunks.chunks.clear();
    const auto failed = f.read(file, 0, 4096);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error(), Errc::io);
}

TEST(DataRead, a_moved_chunk_is_read_at_its_new_places) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    ASSERT_TRUE(f.run(f.data->prepare(f.ctx(), file, mib)));  // with the old places
    Chunk chunk = f.applied().chunks.begin()->second.chunk;
    chunk.places[0].store = 77;
    f.data->chunk_moved(chunk);
    EXPECT_EQ(f.read_all(file), pattern(mib, 1));
    EXPECT_EQ(f.chunks.read_last, chunk);
}

TEST(DataRead, a_sequential_reader_finds_its_blocks_read_ahead) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(8 * mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    f.chunks.latency_max = 1ms;
    std::string bytes;
    std::size_t waited = 0;
    for (std::uint64_t at = 0; at < 8 * mib; at += 128 * kib) {
        const Instant before = f.world.clock().now();
        bytes += *f.read(file, at, 128 * kib);
        waited += f.world.clock().now() > before;
        f.world.run_for(5ms);  // the reader does something with it
    }
    EXPECT_EQ(bytes, pattern(8 * mib, 1));
    EXPECT_LE(waited, 3u);
}

TEST(DataRead, the_cache_keeps_its_bound) {
    sim::DataSettings settings;
    settings.config.cache_bytes_max = 2 << 20;
    DataFixture f(1, settings);
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(12 * mib, 1), Stability::file_sync));
    EXPECT_EQ(f.read_all(file), pattern(12 * mib, 1));
    EXPECT_GT(f.chunks.reads, 0u);
}

TEST(BlockCacheTest, memory_counts_whole_slabs_once_and_stays_within_the_bound) {
    BlockCache cache(1 << 20);
    Slice slab = allocate_heap(512 << 10);
    std::memset(slab.writable().data(), 1, slab.size());
    cache.insert_all({1, 1, 1}, 0, BufferChain(slab));
    EXPECT_EQ(cache.used_bytes(), 512u << 10);
    for (std::uint64_t i = 2; i < 40; ++i) {
        cache.insert({1, 1, i}, 0, allocate_heap(cache_block_size));
        EXPECT_LE(cache.used_bytes(), 1u << 20);
    }
    cache.erase({1, 1, 39}, cache_block_size);
    EXPECT_TRUE(cache.find({1, 1, 39}, 0).empty());
}

TEST(BlockCacheTest, blocks_of_many_small_slices_are_put_together) {
    BlockCache cache(8 << 20);
    BufferChain chain;
    const auto bytes = pattern(150'000, 1);
    for (std::size_t at = 0; at < bytes.size(); at += 1000) chain.append(BufferChain::copy_of(std::string_view(bytes).substr(at, 1000)));
    cache.insert_all({1, 1, 1}, 0, chain);
    std::string found;
    for (std::uint32_t block = 0; block < 3; ++block) {
        const Slice slice = cache.find({1, 1, 1}, block);
        found.append(reinterpret_cast<const char*>(slice.data()), slice.size());
    }
    EXPECT_EQ(found, bytes);
}

TEST(DataSealer, a_region_cut_into_many_extents_is_merged) {
    DataFixture f;
    auto file = f.make_file();
    auto expected = pattern(4 * mib, 1);
    ASSERT_TRUE(f.write(file, 0, expected, Stability::file_sync));
    for (unsigned i = 0; i < 40; ++i) {
        ASSERT_TRUE(f.write(file, i * 90'112, pattern(4096, i)));
        expected.replace(i * 90'112, 4096, pattern(4096, i));
    }
    ASSERT_TRUE(f.commit(file));
    EXPECT_GT(f.extents_of(file), 64u);
    f.check_references();
    EXPECT_EQ(f.extents_of(file), 1u);
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
    f.check_references();
}

TEST(DataSealer, cold_replicated_extents_become_a_coded_chunk) {
    DataFixture f;
    auto file = f.make_file();
    std::string expected;
    for (unsigned i = 0; i < 10; ++i) {
        ASSERT_TRUE(f.write(file, expected.size(), pattern(20'000, i), Stability::file_sync));
        expected += pattern(20'000, i);
    }
    EXPECT_EQ(f.extents_of(file), 10u);
    ASSERT_TRUE(f.run(f.data->tidy(f.ctx(), false)));
    EXPECT_EQ(f.extents_of(file), 10u);  // not cold yet
    f.world.run_for(31min);
    ASSERT_TRUE(f.run(f.data->tidy(f.ctx(), false)));
    EXPECT_EQ(f.extents_of(file), 1u);
    EXPECT_EQ(f.chunks.geometries.rbegin()->second, (Geometry{2, 1}));
    f.check_references();
    EXPECT_EQ(f.chunks.chunks.size(), 1u);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
}

TEST(DataSealer, what_changes_while_it_is_rewritten_keeps_the_change) {
    DataFixture f;
    auto file = f.make_file();
    std::string expected;
    for (unsigned i = 0; i < 10; ++i) {
        ASSERT_TRUE(f.write(file, expected.size(), pattern(20'000, i), Stability::file_sync));
        expected += pattern(20'000, i);
    }
    f.chunks.hold_writes = true;
    f.spawn([&]() -> Task<> { EXPECT_TRUE(co_await f.data->tidy(f.ctx(), true)); });
    f.world.run_for(5ms);
    ASSERT_EQ(f.chunks.writing, 1u);
    ASSERT_TRUE(f.deallocate(file, 30'000, 10'000));
    expected.replace(30'000, 10'000, std::string(10'000, '\0'));
    ASSERT_TRUE(f.set_size(file, 150'000));
    expected.resize(150'000);
    f.chunks.hold_writes = false;
    f.wait_spawned();
    EXPECT_EQ(f.read_all(file), expected);
    f.check_references();
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
}

TEST(DataReaper, a_chunk_under_a_running_read_keeps_its_shards) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(200'000, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    f.chunks.latency_max = 1s;
    bool read = false;
    f.spawn([&]() -> Task<> {
        const auto bytes = co_await f.data->read(f.ctx(), file, 0, 200'000);
        EXPECT_TRUE(bytes);
        read = true;
    });
    f.world.run_for(1ms);
    ASSERT_FALSE(read);
    ASSERT_TRUE(f.set_size(file, 100));  // a part of the chunk is still named
    ASSERT_TRUE(f.write(file, 0, pattern(3000, 2), Stability::file_sync));
    f.applied();
    const auto before = f.chunks.chunks.size();
    if (!read) {
        ASSERT_TRUE(f.run(f.data->tidy(f.ctx(), false)));
        EXPECT_EQ(f.chunks.chunks.size(), before);
    }
    f.chunks.latency_max = Duration::zero();
    f.check_references();
    EXPECT_LT(f.chunks.chunks.size(), before);
}

TEST(DataRead, an_extent_without_its_chunk_makes_the_file_unreadable_and_nothing_worse) {
    DataFixture f;
    auto file = f.make_file(), other = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(600'000, 1), Stability::file_sync));
    ASSERT_TRUE(f.write(other, 0, pattern(5'000, 2), Stability::file_sync));
    const ChunkId lost = f.applied().extents.begin()->second.chunk;
    (void)f.meta->submit({DeleteChunk{lost}});
    f.restart();
    EXPECT_EQ(f.read(f.load(file->number), 0, 1000).error(), Errc::corrupt);
    EXPECT_EQ(f.read_all(f.load(other->number)), pattern(5'000, 2));
}

}  // namespace
}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// DataEngine: writes, reads, commits.
#include <set>

#include <gtest/gtest.h>

#include "tests/cluster/fs/data_fixture.h"

namespace strata::cluster {
namespace {

using sim::DataFixture;
using sim::pattern;
using vfs::Stability;

TEST(DataWrite, what_was_written_is_read_before_any_flush) {
    DataFixture f;
    auto file = f.make_file();
    const auto written = f.write(file, 10, "hello");
    ASSERT_TRUE(written);
    EXPECT_EQ(written->count, 5u);
    EXPECT_EQ(written->stability, Stability::unstable);
    EXPECT_EQ(f.read_all(file), std::string(10, '\0') + "hello");
    EXPECT_EQ(f.chunks.writes, 0u);
    EXPECT_EQ(f.commit_point.index, 0u);
}

TEST(DataWrite, an_unstable_write_does_not_suspend) {
    DataFixture f;
    auto file = f.make_file();
    const Instant before = f.world.clock().now();
    ASSERT_TRUE(f.write(file, 0, pattern(100'000, 1)));
    ASSERT_TRUE(f.read(file, 0, 100'000));
    EXPECT_EQ(f.world.clock().now(), before);
}

TEST(DataWrite, committed_bytes_survive_a_crash) {
    DataFixture f;
    auto file = f.make_file();
    const auto bytes = pattern(3 << 20, 1);
    ASSERT_TRUE(f.write(file, 0, bytes));
    ASSERT_TRUE(f.commit(file));
    f.crash();
    file = f.load(file->number);
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->row.size, bytes.size());
    EXPECT_EQ(f.read_all(file), bytes);
}

TEST(DataWrite, uncommitted_bytes_and_their_size_are_gone_after_a_crash) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(5000, 1)));
    ASSERT_TRUE(f.commit(file));
    ASSERT_TRUE(f.write(file, 4000, pattern(9000, 2)));
    f.crash();
    file = f.load(file->number);
    EXPECT_EQ(f.read_all(file), pattern(5000, 1));
}

TEST(DataWrite, a_stable_write_is_durable_when_it_returns) {
    DataFixture f;
    auto file = f.make_file();
    const auto written = f.write(file, 0, pattern(70'000, 3), Stability::data_sync);
    ASSERT_TRUE(written);
    EXPECT_EQ(written->stability, Stability::file_sync);
    EXPECT_GT(f.commit_point.index, 0u);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(70'000, 3));
}

TEST(DataWrite, a_small_file_lives_in_its_row_and_moves_out_when_it_grows) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(2048, 1), Stability::file_sync));
    EXPECT_EQ(f.chunks.writes, 0u);
    EXPECT_EQ(f.applied().inodes.at(file->number).inline_data, pattern(2048, 1));
    ASSERT_TRUE(f.write(file, 2048, "x", Stability::file_sync));
    EXPECT_EQ(f.chunks.writes, 1u);
    EXPECT_TRUE(f.applied().inodes.at(file->number).inline_data.empty());
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(2048, 1) + "x");
}

TEST(DataWrite, small_chunks_are_replicated_and_large_ones_coded) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(100 << 10, 1), Stability::file_sync));
    EXPECT_EQ(f.chunks.geometries.rbegin()->second, (Geometry{1, 1}));
    ASSERT_TRUE(f.write(file, 0, pattern(128 << 10, 1), Stability::file_sync));
    EXPECT_EQ(f.chunks.geometries.rbegin()->second, (Geometry{2, 1}));
}

TEST(DataWrite, a_large_generation_is_cut_at_chunks_of_four_mebibytes) {
    DataFixture f;
    auto file = f.make_file();
    const auto bytes = pattern(9 << 20, 1);
    for (std::size_t at = 0; at < bytes.size(); at += 1 << 20)
        ASSERT_TRUE(f.write(file, at + 4096, std::string_view(bytes).substr(at, 1 << 20)));
    ASSERT_TRUE(f.commit(file));
    EXPECT_EQ(f.extents_of(file), 3u);
    for (const auto& [id, chunk] : f.chunks.chunks) EXPECT_LE(chunk.size(), chunk_size_max);
    f.crash();
    EXPECT_EQ(*f.read(f.load(file->number), 4096, 9 << 20), bytes);
}

TEST(DataWrite, ragged_pieces_of_one_flush_share_a_chunk) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(1 << 20, 1), Stability::file_sync));
    const auto before = f.chunks.writes;
    for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(f.write(file, i * 40960 + 7, pattern(5000, static_cast<unsigned>(i))));
    ASSERT_TRUE(f.commit(file));
    EXPECT_EQ(f.chunks.writes, before + 1);
    auto expected = pattern(1 << 20, 1);
    for (std::uint64_t i = 0; i < 10; ++i) expected.replace(i * 40960 + 7, 5000, pattern(5000, static_cast<unsigned>(i)));
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
}

TEST(DataWrite, small_files_flushed_together_share_a_replicated_chunk) {
    DataFixture f;
    std::vector<NodePtr> files;
    for (unsigned i = 0; i < 20; ++i) {
        files.push_back(f.make_file());
        ASSERT_TRUE(f.write(files.back(), 0, pattern(10'000, i)));
    }
    ASSERT_TRUE(f.run(f.data->flush_all(f.ctx())));
    EXPECT_EQ(f.chunks.writes, 1u);
    EXPECT_EQ(f.chunks.geometries.begin()->second, (Geometry{1, 1}));
    f.crash();
    for (unsigned i = 0; i < 20; ++i) EXPECT_EQ(f.read_all(f.load(files[i]->number)), pattern(10'000, i));
    for (unsigned i = 0; i < 20; ++i) f.remove(f.load(files[i]->number));
    f.check_references();
    EXPECT_TRUE(f.chunks.chunks.empty());
}

TEST(DataWrite, every_change_raises_the_change_counter_and_the_times) {
    DataFixture f;
    auto file = f.make_file();
    const auto before = file->row;
    f.world.run_for(5ms);
    ASSERT_TRUE(f.write(file, 0, "a"));
    EXPECT_EQ(file->row.change, before.change + 1);
    EXPECT_GT(file->row.modify_time, before.modify_time);
    EXPECT_EQ(file->row.change_time, file->row.modify_time);
    EXPECT_TRUE(file->unflushed);
    ASSERT_TRUE(f.commit(file));
    EXPECT_FALSE(file->unflushed);
    EXPECT_EQ(f.applied().inodes.at(file->number).change, before.change + 1);
}

TEST(DataWrite, a_write_by_another_user_takes_the_set_id_bits) {
    DataFixture f;
    auto file = f.make_file(06755);
    ASSERT_TRUE(f.write(file, 0, "a"));
    EXPECT_EQ(file->row.mode, 06755u);
    ASSERT_TRUE(f.run(f.data->write(f.ctx(1000), file, 0, BufferChain::copy_of(std::string_view("b")), Stability::unstable)));
    EXPECT_EQ(file->row.mode, 0755u);
}

TEST(DataWrite, a_failed_flush_keeps_the_data_and_succeeds_later) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(50'000, 1)));
    const auto verifier = f.data->write_verifier();
    f.chunks.write_fails = 1;
    const auto failed = f.commit(file);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error(), Errc::io);
    EXPECT_EQ(f.read_all(file), pattern(50'000, 1));
    f.chunks.write_fails = 0;
    ASSERT_TRUE(f.commit(file));
    EXPECT_EQ(f.data->write_verifier(), verifier);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(50'000, 1));
}

TEST(DataWrite, data_that_cannot_be_written_for_long_are_given_up_and_change_the_verifier) {
    sim::DataSettings settings;
    settings.config.failed_age_max = 1min;
    settings.config.dirty_age_max = 1s;
    settings.background = true;
    DataFixture f(1, settings);
    auto file = f.make_file();
    f.chunks.write_fails = 1;
    ASSERT_TRUE(f.write(file, 0, pattern(50'000, 1)));
    const auto verifier = f.data->write_verifier();
    f.world.run_for(30s);
    EXPECT_EQ(f.data->write_verifier(), verifier);
    EXPECT_TRUE(f.data->busy(*file));
    f.world.run_for(60s);
    EXPECT_NE(f.data->write_verifier(), verifier);
    EXPECT_FALSE(f.data->busy(*file));
    EXPECT_EQ(file->row.size, 0u);
}

TEST(DataWrite, the_verifier_changes_with_each_opening) {
    DataFixture f;
    const auto verifier = f.data->write_verifier();
    f.crash();
    EXPECT_NE(f.data->write_verifier(), verifier);
}

TEST(DataWrite, no_space_is_answered_before_anything_is_buffered) {
    sim::DataSettings settings;
    settings.available = 100'000;
    DataFixture f(1, settings);
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(60'000, 1)));
    const auto second = f.write(file, 0, pattern(60'000, 2));  // an overwrite needs new space, too
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), Errc::no_space);
    EXPECT_EQ(f.read_all(file), pattern(60'000, 1));
    ASSERT_TRUE(f.commit(file));
    EXPECT_TRUE(f.write(file, 0, pattern(60'000, 3)));
}

TEST(DataWrite, past_the_memory_bound_writers_wait_for_flushes) {
    sim::DataSettings settings;
    settings.config.dirty_bytes_max = 4 << 20;
    DataFixture f(1, settings);
    auto file = f.make_file();
    f.chunks.latency_max = 10ms;
    std::string expected;
    for (unsigned i = 0; i < 40; ++i) {
        ASSERT_TRUE(f.write(file, expected.size(), pattern(300'000, i)));
        expected += pattern(300'000, i);
    }
    EXPECT_GT(f.chunks.writes, 0u);
    EXPECT_EQ(f.read_all(file), expected);
}

TEST(DataWrite, a_writer_that_waits_in_vain_for_memory_is_told_to_come_back) {
    sim::DataSettings settings;
    settings.config.dirty_bytes_max = 1 << 20;
    DataFixture f(1, settings);
    auto file = f.make_file();
    f.chunks.write_fails = 1;
    ASSERT_TRUE(f.write(file, 0, pattern(1 << 20, 1)));
    const auto refused = f.write(file, 1 << 20, pattern(4096, 2));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::delay);
}

TEST(DataWrite, old_dirty_data_are_flushed_without_being_asked) {
    sim::DataSettings settings;
    settings.background = true;
    DataFixture f(1, settings);
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(50'000, 1)));
    f.world.run_for(5s);
    EXPECT_TRUE(file->unflushed);
    f.world.run_for(7s);
    EXPECT_FALSE(file->unflushed);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(50'000, 1));
}

TEST(DataWrite, writes_during_a_flush_belong_to_the_next_one) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(20'000, 1)));
    f.chunks.hold_writes = true;
    bool committed = false;
    f.spawn([&]() -> Task<> {
        EXPECT_TRUE(co_await f.data->commit(f.ctx(), file, 0, 0));
        committed = true;
    });
    f.world.run_for(5ms);
    ASSERT_TRUE(f.write(file, 10'000, pattern(20'000, 2)));
    auto expected = pattern(20'000, 1).substr(0, 10'000) + pattern(20'000, 2);
    EXPECT_EQ(f.read_all(file), expected);
    f.chunks.hold_writes = false;
    f.wait_spawned();
    EXPECT_TRUE(committed);
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(20'000, 1));
}

TEST(DataWrite, a_commit_waits_for_writes_that_came_after_a_flush_had_begun) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(20'000, 1)));
    f.chunks.latency_max = 20ms;
    f.spawn([&]() -> Task<> { EXPECT_TRUE(co_await f.data->commit(f.ctx(), file, 0, 0)); });
    f.world.run_for(10us);
    ASSERT_TRUE(f.write(file, 20'000, pattern(20'000, 2)));
    ASSERT_TRUE(f.commit(file));
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(20'000, 1) + pattern(20'000, 2));
}

TEST(DataWrite, a_flush_of_thousands_of_pieces_is_committed_in_steps) {
    DataFixture f;
    auto file = f.make_file();
    std::string expected(5000 * 1024, '\0');
    for (unsigned i = 0; i < 5000; ++i) {
        ASSERT_TRUE(f.write(file, i * 1024ul, pattern(100, i)));
        expected.replace(i * 1024ul, 100, pattern(100, i));
    }
    expected.resize(4999 * 1024 + 100);
    const auto before = f.meta->submitted();
    ASSERT_TRUE(f.commit(file));
    EXPECT_GE(f.meta->submitted(), before + 4);
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
}

TEST(DataWrite, healing_is_told_of_every_chunk_that_gets_a_record) {
    DataFixture f;
    std::set<ChunkId> told;
    f.chunks.on_committed = [&](ChunkId id) { EXPECT_TRUE(told.insert(id).second); };
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(9 << 20, 1), Stability::file_sync));
    std::vector<NodePtr> small;
    for (unsigned i = 0; i < 10; ++i) {
        small.push_back(f.make_file());
        ASSERT_TRUE(f.write(small.back(), 0, pattern(5000, i)));
    }
    ASSERT_TRUE(f.run(f.data->flush_all(f.ctx())));
    f.world.run_for(1s);
    EXPECT_EQ(told.size(), f.chunks.chunks.size());
}

TEST(DataWrite, a_commit_of_an_untouched_file_reads_no_metadata) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(300'000, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    const Instant before = f.world.clock().now();
    ASSERT_TRUE(f.commit(file));
    EXPECT_EQ(f.world.clock().now(), before);
}

TEST(DataWrite, overwritten_chunks_lose_their_shards_once_the_change_is_applied) {
    DataFixture f;
    auto file = f.make_file();
    for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(f.write(file, 0, pattern(200'000, i), Stability::file_sync));
    EXPECT_EQ(f.chunks.chunks.size(), 5u);
    f.check_references();
    EXPECT_EQ(f.chunks.chunks.size(), 1u);
}

}  // namespace
}  // namespace strata::cluster

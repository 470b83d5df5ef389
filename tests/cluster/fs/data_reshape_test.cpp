// SPDX-License-Identifier: Apache-2.0
// DataEngine: sizes, holes, allocation, clones, ends of files: also against flushes under way.
#include <gtest/gtest.h>

#include "tests/cluster/fs/data_fixture.h"

namespace strata::cluster {
namespace {

using sim::DataFixture;
using sim::pattern;
using vfs::Stability;

constexpr std::uint64_t kib = 1024, mib = 1024 * 1024;

// Runs `change` while a flush of what was written before has its chunks under way.
void during_flush(DataFixture& f, const NodePtr& file, const std::function<void()>& change) {
    f.chunks.hold_writes = true;
    f.spawn([&f, file]() -> Task<> { (void)co_await f.data->commit(f.ctx(), file, 0, 0); });
    f.world.run_for(5ms);
    ASSERT_GT(f.chunks.writing, 0u);
    change();
    f.chunks.hold_writes = false;
    f.wait_spawned();
}

TEST(DataReshape, truncate_cuts_what_is_stored_and_what_is_dirty) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    ASSERT_TRUE(f.write(file, 500'000, pattern(100'000, 2)));
    ASSERT_TRUE(f.set_size(file, 550'000));
    const auto expected = pattern(mib, 1).substr(0, 500'000) + pattern(100'000, 2).substr(0, 50'000);
    EXPECT_EQ(f.read_all(file), expected);
    ASSERT_TRUE(f.set_size(file, mib));
    EXPECT_EQ(f.read_all(file), expected + std::string(mib - 550'000, '\0'));
    ASSERT_TRUE(f.commit(file));
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected + std::string(mib - 550'000, '\0'));
}

TEST(DataReshape, an_explicit_size_is_durable_though_data_are_not) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(100'000, 1)));
    ASSERT_TRUE(f.set_size(file, 50'000));
    f.crash();
    file = f.load(file->number);
    EXPECT_EQ(file->row.size, 50'000u);
    EXPECT_EQ(f.read_all(file), std::string(50'000, '\0'));
}

TEST(DataReshape, a_truncated_flush_brings_no_bytes_back) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(300'000, 1)));
    during_flush(f, file, [&] {
        ASSERT_TRUE(f.set_size(file, 100'000));
        ASSERT_TRUE(f.set_size(file, 300'000));
    });
    const auto expected = pattern(300'000, 1).substr(0, 100'000) + std::string(200'000, '\0');
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
}

TEST(DataReshape, a_flush_of_a_file_truncated_to_nothing_leaves_nothing) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(300'000, 1)));
    during_flush(f, file, [&] { ASSERT_TRUE(f.set_size(file, 0)); });
    EXPECT_EQ(file->row.size, 0u);
    f.check_references();
    EXPECT_TRUE(f.chunks.chunks.empty());
    ASSERT_TRUE(f.write(file, 10, "new", Stability::file_sync));
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), std::string(10, '\0') + "new");
}

TEST(DataReshape, truncate_to_nothing_swaps_the_map_and_the_reaper_frees_the_old_one) {
    DataFixture f;
    auto file = f.make_file();
    for (unsigned i = 0; i < 8; ++i) ASSERT_TRUE(f.write(file, i * 2 * mib, pattern(mib, i), Stability::file_sync));
    const MapId map = file->row.map;
    ASSERT_TRUE(f.set_size(file, 0));
    EXPECT_NE(file->row.map, map);
    EXPECT_EQ(file->row.allocated, 0u);
    EXPECT_EQ(f.applied().reaps.size(), 1u);
    f.check_references();
    EXPECT_TRUE(f.chunks.chunks.empty());
}

TEST(DataReshape, a_file_truncated_without_being_loaded_needs_no_map) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(mib, 1), Stability::file_sync));
    f.restart();
    file = f.load(file->number);
    {
        std::lock_guard lock(file->mutex);
        Command command;
        EXPECT_FALSE(f.data->set_size(*file, 1000, command));
        EXPECT_TRUE(command.empty());
        EXPECT_TRUE(f.data->set_size(*file, 0, command));
        command.push_back(PutInode{file->durable_row()});
        f.meta->submit(std::move(command));
    }
    f.check_references();
    EXPECT_TRUE(f.chunks.chunks.empty());
}

TEST(DataReshape, reaping_goes_on_after_a_crash) {
    DataFixture f;
    auto file = f.make_file();
    for (unsigned i = 0; i < 30; ++i) ASSERT_TRUE(f.write(file, i * 100 * kib, pattern(10'000, i), Stability::file_sync));
    f.remove(file);
    f.applied();
    f.crash();
    EXPECT_EQ(f.load(file->number), nullptr);
    f.check_references();
    EXPECT_TRUE(f.chunks.chunks.empty());
}

TEST(DataReshape, a_map_of_thousands_of_extents_is_reaped_in_steps) {
    DataFixture f;
    auto file = f.make_file();
    for (unsigned i = 0; i < 2600; ++i) ASSERT_TRUE(f.write(file, i * 8 * kib, pattern(100, i)));
    ASSERT_TRUE(f.commit(file));
    EXPECT_EQ(f.extents_of(file), 2600u);
    f.remove(file);
    f.check_references();
    EXPECT_TRUE(f.applied().extents.empty());
    EXPECT_TRUE(f.chunks.chunks.empty());
}

TEST(DataReshape, a_removed_file_under_flush_is_not_put_back) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(300'000, 1)));
    during_flush(f, file, [&] { f.remove(file); });
    EXPECT_FALSE(f.applied().inodes.contains(file->number));
    f.check_references();
    EXPECT_TRUE(f.chunks.chunks.empty());
    const auto late = f.write(file, 0, "x");
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error(), Errc::stale);
}

TEST(DataReshape, a_hole_is_punched_to_the_byte) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(200'000, 1), Stability::file_sync));
    ASSERT_TRUE(f.write(file, 90'000, pattern(1000, 2)));
    ASSERT_TRUE(f.deallocate(file, 10'001, 99'999));
    EXPECT_GT(f.commit_point.index, 0u);
    auto expected = pattern(200'000, 1);
    expected.replace(10'001, 99'999, std::string(99'999, '\0'));
    EXPECT_EQ(f.read_all(file), expected);
    EXPECT_EQ(f.map_of(file), "data:0+10001 hole:10001+99999 data:110000+90000");
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
    f.check_references();
}

TEST(DataReshape, a_hole_in_an_inline_file_and_one_past_its_end) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(1000, 1), Stability::file_sync));
    ASSERT_TRUE(f.deallocate(file, 100, 200));
    ASSERT_TRUE(f.deallocate(file, 900, UINT64_MAX));
    ASSERT_TRUE(f.deallocate(file, 5000, 10));
    auto expected = pattern(1000, 1);
    expected.replace(100, 200, std::string(200, '\0'));
    expected.replace(900, 100, std::string(100, '\0'));
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
}

TEST(DataReshape, a_hole_punched_during_a_flush_stays_a_hole) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(300'000, 1)));
    during_flush(f, file, [&] { ASSERT_TRUE(f.deallocate(file, 100'000, 100'000)); });
    auto expected = pattern(300'000, 1);
    expected.replace(100'000, 100'000, std::string(100'000, '\0'));
    EXPECT_EQ(f.read_all(file), expected);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), expected);
    f.check_references();
}

TEST(DataReshape, the_map_tells_data_and_holes_also_before_a_flush) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 8192, pattern(4096, 1)));
    ASSERT_TRUE(f.set_size(file, 20'000));
    EXPECT_EQ(f.map_of(file), "hole:0+8192 data:8192+4096 hole:12288+7712");
    ASSERT_TRUE(f.commit(file));
    EXPECT_EQ(f.map_of(file), "hole:0+8192 data:8192+4096 hole:12288+7712");
    const auto past = f.run(f.data->map(f.ctx(), file, 20'000));
    ASSERT_FALSE(past);
    EXPECT_EQ(past.error(), Errc::invalid_argument);
}

TEST(DataReshape, allocated_space_reads_as_zeros_and_counts) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 100 * kib, pattern(10'000, 1), Stability::file_sync));
    ASSERT_TRUE(f.allocate(file, 0, mib));
    EXPECT_EQ(file->row.size, mib);
    EXPECT_EQ(file->row.allocated, mib);
    auto expected = std::string(mib, '\0');
    expected.replace(100 * kib, 10'000, pattern(10'000, 1));
    EXPECT_EQ(f.read_all(file), expected);
    ASSERT_TRUE(f.write(file, 50 * kib, pattern(5000, 2), Stability::file_sync));
    EXPECT_EQ(file->row.allocated, mib);
    expected.replace(50 * kib, 5000, pattern(5000, 2));
    f.crash();
    file = f.load(file->number);
    EXPECT_EQ(f.read_all(file), expected);
    EXPECT_EQ(f.map_of(file), "hole:0+51200 data:51200+5000 hole:56200+46200 data:102400+10000 hole:112400+936176");
}

TEST(DataReshape, allocating_for_a_small_file_moves_it_out_of_its_row) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(1000, 1), Stability::file_sync));
    ASSERT_TRUE(f.allocate(file, 0, 10'000));
    f.crash();
    file = f.load(file->number);
    EXPECT_EQ(f.read_all(file), pattern(1000, 1) + std::string(9000, '\0'));
    EXPECT_TRUE(file->row.inline_data.empty());
    EXPECT_EQ(file->row.allocated, 10'000u);
}

TEST(DataReshape, allocation_beyond_the_space_is_refused) {
    sim::DataSettings settings;
    settings.available = 50'000;
    DataFixture f(1, settings);
    auto file = f.make_file();
    const auto refused = f.allocate(file, 0, 60'000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::no_space);
    EXPECT_EQ(file->row.size, 0u);
}

TEST(DataReshape, a_clone_shares_chunks_and_lives_on_its_own) {
    DataFixture f;
    auto source = f.make_file(), target = f.make_file();
    ASSERT_TRUE(f.write(source, 0, pattern(600'000, 1)));  // dirty: the clone flushes it first
    const auto stored = [&] { return f.chunks.chunks.size(); };
    ASSERT_TRUE(f.clone(source, 0, target, 0, 0));
    const auto after_clone = stored();
    EXPECT_EQ(f.read_all(target), pattern(600'000, 1));
    EXPECT_EQ(target->row.allocated, 600'000u);
    ASSERT_TRUE(f.write(source, 0, pattern(600'000, 2), Stability::file_sync));
    EXPECT_EQ(stored(), after_clone + 1);
    f.check_references();
    EXPECT_EQ(f.read_all(target), pattern(600'000, 1));
    EXPECT_EQ(f.read_all(source), pattern(600'000, 2));
    f.remove(target);
    f.check_references();
    EXPECT_EQ(stored(), 1u);
    f.crash();
    EXPECT_EQ(f.read_all(f.load(source->number)), pattern(600'000, 2));
}

TEST(DataReshape, a_clone_of_a_part_replaces_what_the_target_had_there) {
    DataFixture f;
    auto source = f.make_file(), target = f.make_file();
    ASSERT_TRUE(f.write(source, 0, pattern(mib, 1), Stability::file_sync));
    ASSERT_TRUE(f.write(target, 0, pattern(mib, 2), Stability::file_sync));
    ASSERT_TRUE(f.write(target, 64 * kib, pattern(16 * kib, 3)));   // dirty, in the range
    ASSERT_TRUE(f.write(target, 512 * kib, pattern(16 * kib, 4)));  // dirty, outside
    ASSERT_TRUE(f.clone(source, 128 * kib, target, 32 * kib, 256 * kib));
    auto expected = pattern(mib, 2);
    expected.replace(512 * kib, 16 * kib, pattern(16 * kib, 4));
    expected.replace(32 * kib, 256 * kib, pattern(mib, 1).substr(128 * kib, 256 * kib));
    EXPECT_EQ(f.read_all(target), expected);
    ASSERT_TRUE(f.commit(target));
    f.crash();
    EXPECT_EQ(f.read_all(f.load(target->number)), expected);
    f.check_references();
}

TEST(DataReshape, a_file_that_nobody_touched_since_a_restart_can_be_cloned) {
    DataFixture f;
    auto source = f.make_file(), target = f.make_file();
    ASSERT_TRUE(f.write(source, 0, pattern(600'000, 1), Stability::file_sync));
    f.restart();
    source = f.load(source->number);
    target = f.load(target->number);
    ASSERT_TRUE(f.clone(source, 0, target, 0, 0));
    EXPECT_EQ(f.read_all(target), pattern(600'000, 1));
}

// 3,000 pages with holes between them.
NodePtr sieve(DataFixture& f) {
    auto file = f.make_file();
    for (std::uint64_t i = 0; i < 3000; ++i) EXPECT_TRUE(f.write(file, i * 8 * kib, pattern(4 * kib, static_cast<unsigned>(i))));
    EXPECT_TRUE(f.commit(file));
    EXPECT_EQ(f.extents_of(file), 3000u);
    return file;
}

TEST(DataReshape, a_file_of_very_many_extents_is_shortened_in_steps) {
    DataFixture f;
    auto file = sieve(f);
    const LogIndex before = f.meta->submitted();
    ASSERT_TRUE(f.set_size(file, 10 * kib));
    EXPECT_GE(f.meta->submitted() - before, 3u);
    f.check_references();
    f.crash();
    EXPECT_EQ(f.read_all(f.load(file->number)), pattern(4 * kib, 0) + std::string(4 * kib, '\0') + pattern(4 * kib, 1).substr(0, 2 * kib));
}

TEST(DataReshape, a_hole_over_very_many_extents_is_made_in_steps) {
    DataFixture f;
    auto file = sieve(f);
    const LogIndex before = f.meta->submitted();
    ASSERT_TRUE(f.deallocate(file, 8 * kib, 2998 * 8 * kib));
    EXPECT_GE(f.meta->submitted() - before, 3u);
    EXPECT_EQ(f.extents_of(file), 2u);
    const auto all = f.read_all(file);
    EXPECT_EQ(all.substr(0, 4 * kib), pattern(4 * kib, 0));
    EXPECT_EQ(all.substr(2999 * 8 * kib), pattern(4 * kib, 2999));
    EXPECT_EQ(all.find_first_not_of('\0', 8 * kib), 2999 * 8 * kib);
    f.check_references();
}

TEST(DataReshape, a_clone_within_a_file_and_its_refusals) {
    DataFixture f;
    auto file = f.make_file();
    ASSERT_TRUE(f.write(file, 0, pattern(256 * kib, 1), Stability::file_sync));
    ASSERT_TRUE(f.clone(file, 0, file, 512 * kib, 128 * kib));
    EXPECT_EQ(*f.read(file, 512 * kib, 128 * kib), pattern(256 * kib, 1).substr(0, 128 * kib));
    EXPECT_EQ(f.clone(file, 0, file, 64 * kib, 128 * kib).error(), Errc::invalid_argument);  // overlap
    EXPECT_EQ(f.clone(file, 1, file, mib, 4096).error(), Errc::invalid_argument);            // not aligned
    EXPECT_EQ(f.clone(file, 0, file, mib, 100).error(), Errc::invalid_argument);             // not to the end
    EXPECT_EQ(f.clone(file, 640 * kib, file, mib, 4096).error(), Errc::invalid_argument);    // past the end
    f.check_references();
}

TEST(DataReshape, clones_of_small_files_stay_in_rows) {
    DataFixture f;
    auto source = f.make_file(), target = f.make_file(), large = f.make_file();
    ASSERT_TRUE(f.write(source, 0, pattern(1500, 1)));
    ASSERT_TRUE(f.clone(source, 0, target, 0, 0));
    EXPECT_EQ(f.chunks.writes, 0u);
    ASSERT_TRUE(f.write(large, 0, pattern(100'000, 2), Stability::file_sync));
    ASSERT_TRUE(f.clone(source, 0, large, 4096, 0));
    f.crash();
    EXPECT_EQ(f.read_all(f.load(source->number)), pattern(1500, 1));
    EXPECT_EQ(f.read_all(f.load(target->number)), pattern(1500, 1));
    auto expected = pattern(100'000, 2);
    expected.replace(4096, 1500, pattern(1500, 1));
    EXPECT_EQ(f.read_all(f.load(large->number)), expected);
    f.check_references();
}

}  // namespace
}  // namespace strata::cluster

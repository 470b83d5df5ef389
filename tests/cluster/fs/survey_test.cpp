// SPDX-License-Identifier: Apache-2.0
// What the survey of all files finds: work forgotten by a restart, and chunks that are mostly dead.
#include <gtest/gtest.h>

#include "tests/cluster/fs/data_fixture.h"

namespace strata::cluster {
namespace {

using sim::DataFixture;
using sim::pattern;
using vfs::Stability;

constexpr std::uint64_t kib = 1024;

std::size_t stored_bytes(const DataFixture& f) {
    std::size_t bytes = 0;
    for (const auto& [id, chunk] : f.chunks.chunks) bytes += chunk.size();
    return bytes;
}

// Lets all background work be done that is due.
void tidy(DataFixture& f) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(f.run(f.data->tidy(f.ctx(), true)));
        EXPECT_TRUE(f.run(f.data->flush_all(f.ctx())));
        f.world.run_for(1s);
    }
}

TEST(Survey, ragged_files_are_sealed_though_a_restart_forgot_them) {
    DataFixture f;
    auto file = f.make_file();
    for (unsigned i = 0; i < 16; ++i) ASSERT_TRUE(f.write(file, i * 32 * kib, pattern(32 * kib, i), Stability::file_sync));
    EXPECT_EQ(f.extents_of(file), 16u);
    f.restart();
    file.reset();
    tidy(f);
    file = f.load(100);
    EXPECT_EQ(f.read_all(file).substr(15 * 32 * kib), pattern(32 * kib, 15));
    EXPECT_EQ(f.extents_of(file), 1u);
    ASSERT_EQ(f.chunks.chunks.size(), 1u);
    EXPECT_EQ(f.chunks.geometries[f.chunks.chunks.begin()->first], (Geometry{2, 1}));
    f.check_references();
}

TEST(Survey, the_living_rest_of_a_packed_chunk_moves_and_its_space_comes_back) {
    DataFixture f;
    std::vector<NodePtr> files;
    for (unsigned i = 0; i < 96; ++i) {
        files.push_back(f.make_file());
        ASSERT_TRUE(f.write(files.back(), 0, pattern(10'000, i)));
    }
    ASSERT_TRUE(f.run(f.data->flush_all(f.ctx())));
    ASSERT_GE(stored_bytes(f), 960'000u);
    for (unsigned i = 0; i < 96; ++i) {
        if (i % 8 != 0) f.remove(files[i]);
    }
    f.restart();
    tidy(f);
    EXPECT_LT(stored_bytes(f), 200'000u) << "of the 120,000 that are left";
    f.check_references();
    f.crash();
    for (unsigned i = 0; i < 96; i += 8) EXPECT_EQ(f.read_all(f.load(files[i]->number)), pattern(10'000, i));
}

TEST(Survey, what_is_written_while_it_works_is_not_undone) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        DataFixture f(seed);
        f.chunks.latency_max = 5ms;
        std::vector<NodePtr> files;
        for (unsigned i = 0; i < 16; ++i) {
            files.push_back(f.make_file());
            ASSERT_TRUE(f.write(files.back(), 0, pattern(10'000, i)));
        }
        ASSERT_TRUE(f.run(f.data->flush_all(f.ctx())));
        for (unsigned i = 4; i < 16; ++i) f.remove(files[i]);
        ASSERT_TRUE(f.run(f.data->tidy(f.ctx(), false)));
        f.spawn([&f]() -> Task<> { (void)co_await f.data->tidy(f.ctx(), true); });
        f.world.run_for(Duration(f.world.random().below(8'000'000)));
        ASSERT_TRUE(f.write(files[1], 2'000, pattern(3'000, 77)));
        ASSERT_TRUE(f.set_size(files[2], 5'000));
        ASSERT_TRUE(f.deallocate(files[3], 0, 4'096));
        f.wait_spawned();
        ASSERT_TRUE(f.run(f.data->flush_all(f.ctx())));
        f.crash();
        auto changed = pattern(10'000, 1);
        changed.replace(2'000, 3'000, pattern(3'000, 77));
        EXPECT_EQ(f.read_all(f.load(files[0]->number)), pattern(10'000, 0)) << seed;
        EXPECT_EQ(f.read_all(f.load(files[1]->number)), changed) << seed;
        EXPECT_EQ(f.read_all(f.load(files[2]->number)), pattern(10'000, 2).substr(0, 5'000)) << seed;
        EXPECT_EQ(f.read_all(f.load(files[3]->number)), std::string(4'096, '\0') + pattern(10'000, 3).substr(4'096)) << seed;
        f.check_references();
    }
}

}  // namespace
}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// What the protocols rely on, asked of the cluster file system and of the model that stands in for it: both must say the same.
#include <gtest/gtest.h>

#include "tests/cluster/fs/volume_fixture.h"
#include "tests/sim/memory_file_system.h"

namespace strata::cluster {
namespace {

struct FileSystemContract : testing::TestWithParam<bool> {
    sim::VolumeFixture v{1};
    sim::MemoryFileSystem model{v.world.clock()};
    vfs::FileSystem& fs = GetParam() ? static_cast<vfs::FileSystem&>(*v.fs) : model;
    Context ctx = v.root();

    Result<vfs::Created> create(std::string_view name, vfs::CreateMode mode, std::uint64_t verifier = 0) {
        auto request = v.file();
        request.mode = mode;
        request.verifier = verifier;
        return v.run(fs.create(ctx, fs.root(), name, request));
    }
    std::uint64_t change_of_root() { return v.run(fs.get_attributes(ctx, fs.root()))->change; }
};

TEST_P(FileSystemContract, no_verifier_makes_a_file_exclusives_that_was_not_made_so) {
    ASSERT_TRUE(create("f", vfs::CreateMode::guarded));
    for (const std::uint64_t verifier : {0, 1}) {
        const auto met = create("f", vfs::CreateMode::exclusive, verifier);
        ASSERT_FALSE(met);
        EXPECT_EQ(met.error().code, Errc::exists);
    }
}

TEST_P(FileSystemContract, an_exclusive_create_is_known_again_by_its_verifier) {
    const auto made = create("f", vfs::CreateMode::exclusive, 7);
    const auto again = create("f", vfs::CreateMode::exclusive, 7);
    ASSERT_TRUE(made && again);
    EXPECT_FALSE(made->existed);
    EXPECT_TRUE(again->existed);
    EXPECT_EQ(made->entry.id, again->entry.id);
    EXPECT_FALSE(create("f", vfs::CreateMode::exclusive, 8));
}

TEST_P(FileSystemContract, a_create_tells_the_directorys_change_before_and_after) {
    const auto before = change_of_root();
    const auto made = create("f", vfs::CreateMode::exclusive, 7);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->directory.before, before);
    EXPECT_EQ(made->directory.after, change_of_root());
    EXPECT_GT(made->directory.after, before);
    // What is there already changes nothing, and says so with the directory's own number.
    for (const auto mode : {vfs::CreateMode::unchecked, vfs::CreateMode::exclusive}) {
        const auto met = create("f", mode, 7);
        ASSERT_TRUE(met);
        EXPECT_EQ(met->directory.before, made->directory.after);
        EXPECT_EQ(met->directory.after, made->directory.after);
    }
}

INSTANTIATE_TEST_SUITE_P(Both, FileSystemContract, testing::Bool(), [](const auto& which) { return which.param ? "cluster" : "model"; });

}  // namespace
}  // namespace strata::cluster

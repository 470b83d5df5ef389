// SPDX-License-Identifier: Apache-2.0
// A folder for one process alone.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/disk.h"

namespace strata {

namespace {

using testing::HasSubstr;

class ExclusiveDisk : public testing::Test {
protected:
    void SetUp() override {
        auto pattern = testing::TempDir() + "strata-lock-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string folder_;
};

}  // namespace

TEST_F(ExclusiveDisk, a_second_one_is_refused_naming_the_holder_until_the_first_is_gone) {
    auto first = open_exclusive_disk(folder_, false);
    ASSERT_TRUE(first);
    const auto second = open_exclusive_disk(folder_, true);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    EXPECT_THAT(second.error().detail, HasSubstr(folder_));
    first->reset();
    EXPECT_TRUE(open_exclusive_disk(folder_, false));
}

TEST_F(ExclusiveDisk, another_name_of_the_folder_is_the_same_folder) {
    const auto link = folder_ + "/link";
    std::filesystem::create_directory(folder_ + "/real");
    std::filesystem::create_symlink("real", link);
    const auto first = open_exclusive_disk(folder_ + "/real", false);
    ASSERT_TRUE(first);
    EXPECT_EQ(open_exclusive_disk(link, false).error().code, Errc::busy);
}

TEST_F(ExclusiveDisk, it_leaves_nothing_in_the_folder_and_keeps_nobody_from_looking) {
    const auto disk = open_exclusive_disk(folder_, false);
    ASSERT_TRUE(disk);
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
    EXPECT_TRUE(open_system_disk(folder_, false));
}

TEST_F(ExclusiveDisk, a_new_folder_is_the_owners_alone) {
    const auto path = folder_ + "/a/b";
    ASSERT_TRUE(open_exclusive_disk(path, true));
    struct stat attributes{};
    ASSERT_EQ(::stat(path.c_str(), &attributes), 0);
    EXPECT_EQ(attributes.st_mode & 077, 0u);
}

TEST_F(ExclusiveDisk, what_is_no_folder_is_refused_by_name) {
    ASSERT_TRUE(open_system_disk(folder_, false).value()->open("file", OpenMode::create));
    for (const bool create : {false, true}) {
        const auto opened = open_exclusive_disk(folder_ + "/file", create);
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, Errc::not_directory);
        EXPECT_THAT(opened.error().detail, HasSubstr("/file"));
    }
    EXPECT_EQ(open_exclusive_disk(folder_ + "/absent", false).error().code, Errc::not_found);
    EXPECT_EQ(open_exclusive_disk("", true).error().code, Errc::invalid_argument);
}

}  // namespace strata

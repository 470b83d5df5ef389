// SPDX-License-Identifier: Apache-2.0
// The host's file system as a Disk.
#include <array>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/disk.h"

namespace strata {

namespace {

class SystemDisk : public testing::Test {
protected:
    void SetUp() override {
        auto pattern = testing::TempDir() + "strata-disk-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder = pattern;
        disk = std::move(*open_system_disk(folder, false));
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::string folder;
    std::unique_ptr<Disk> disk;
};

std::vector<std::byte> numbered(std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = std::byte(i * 31 % 251);
    return bytes;
}

}  // namespace

TEST_F(SystemDisk, many_pieces_of_all_sizes_are_written_in_order) {
    auto file = std::move(*disk->open("f", OpenMode::create_new));
    auto bytes = numbered(300'000);
    std::vector<std::span<const std::byte>> pieces;
    std::span<const std::byte> rest = bytes;
    for (std::size_t n = 0; !rest.empty(); ++n) {
        auto count = std::min<std::size_t>(n % 5 == 0 ? 0 : n * 7, rest.size());
        pieces.push_back(rest.first(count));
        rest = rest.subspan(count);
    }
    ASSERT_GT(pieces.size(), 100u);
    ASSERT_TRUE(file->write_at(1000, pieces));
    ASSERT_TRUE(file->sync());
    EXPECT_EQ(*file->size(), 301'000u);
    std::vector<std::byte> back(400'000);
    EXPECT_EQ(*file->read_at(1000, back), 300'000u);  // short: the end
    back.resize(300'000);
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(*file->read_at(301'000, back), 0u);
}

TEST_F(SystemDisk, what_is_read_from_the_disk_itself_is_what_was_written) {
    auto file = std::move(*disk->open("f", OpenMode::create_new));
    const auto bytes = numbered(2'000'000);
    ASSERT_TRUE(file->write_at(0, bytes));  // of which some may be in the page cache alone
    alignas(4096) static std::array<std::byte, 1 << 20> block;
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{1 << 20}, std::uint64_t{100}}) {
        const std::size_t there = std::min<std::size_t>(block.size(), bytes.size() - offset);
        ASSERT_EQ(*file->read_from_disk(offset, block), there) << offset;
        EXPECT_TRUE(std::equal(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(there), bytes.begin() + std::ptrdiff_t(offset)));
    }
    EXPECT_EQ(*file->read_from_disk(100, std::span(block).subspan(1, 1000)), 1000u);
    EXPECT_EQ(*file->read_from_disk(4 << 20, block), 0u);
}

TEST_F(SystemDisk, large_writes_of_whole_blocks_and_small_ones_between_them_read_back_as_one) {
    auto file = std::move(*disk->open("f", OpenMode::create_new));
    ASSERT_TRUE(file->allocate(0, 24 << 20));
    auto bytes = numbered(20 << 20);
    const std::span<const std::byte> all = bytes;
    std::vector<std::byte> back(4096);
    ASSERT_TRUE(file->read_at(8 << 20, back));  // in the page cache before it is written
    const std::span<const std::byte> odd[] = {all.first(4096 * 3 - 5), all.subspan(4096 * 3 - 5, 11), all.subspan(4096 * 3 + 6)};
    ASSERT_TRUE(file->write_at(4096, odd));
    const auto small = numbered(100);
    ASSERT_TRUE(file->write_at((8 << 20) + 50, small));
    std::copy(small.begin(), small.end(), bytes.begin() + (8 << 20) + 50 - 4096);
    ASSERT_TRUE(file->sync());
    back.resize(bytes.size());
    ASSERT_EQ(*file->read_at(4096, back), bytes.size());
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(*file->size(), 24u << 20);
}

TEST_F(SystemDisk, open_modes_and_their_errors_name_the_path) {
    auto absent = disk->open("x", OpenMode::read);
    EXPECT_EQ(absent.error(), Errc::not_found);
    EXPECT_NE(absent.error().detail.find(folder + "/x"), std::string::npos);
    EXPECT_EQ(disk->open("x", OpenMode::read_write).error(), Errc::not_found);
    EXPECT_TRUE(disk->open("x", OpenMode::create_new));
    EXPECT_EQ(disk->open("x", OpenMode::create_new).error(), Errc::exists);
    EXPECT_TRUE(disk->open("x", OpenMode::create));
    EXPECT_EQ(disk->open("x/y", OpenMode::create).error(), Errc::not_directory);
    ASSERT_TRUE(disk->make_folder("d"));
    EXPECT_EQ(disk->open("d", OpenMode::read).error(), Errc::is_directory);
    EXPECT_EQ(disk->open("d", OpenMode::create).error(), Errc::is_directory);
}

TEST_F(SystemDisk, paths_stay_inside_the_folder) {
    for (auto path : {"", "/etc/passwd", "..", "../x", "a/../../x", "a/.."}) {
        EXPECT_EQ(disk->open(path, OpenMode::read).error(), Errc::invalid_argument) << path;
    }
    EXPECT_TRUE(disk->open("..x", OpenMode::create));
    ASSERT_EQ(::symlink("/etc/passwd", (folder + "/link").c_str()), 0);
    EXPECT_EQ(disk->open("link", OpenMode::read).error(), Errc::is_symlink);
}

TEST_F(SystemDisk, folders_are_made_with_parents_listed_and_removed_when_empty) {
    ASSERT_TRUE(disk->make_folder("a/b/c"));
    ASSERT_TRUE(disk->make_folder("a/b/c"));
    ASSERT_TRUE(disk->open("a/z", OpenMode::create));
    ASSERT_TRUE(disk->open("a/k", OpenMode::create));
    EXPECT_EQ(*disk->list("a"), (std::vector<std::string>{"b", "k", "z"}));
    EXPECT_EQ(*disk->list(""), (std::vector<std::string>{"a"}));
    EXPECT_EQ(disk->list("n").error(), Errc::not_found);
    EXPECT_EQ(disk->remove_folder("a").error(), Errc::not_empty);
    EXPECT_TRUE(disk->remove_folder("a/b/c"));
    EXPECT_TRUE(*disk->exists("a/b"));
    EXPECT_FALSE(*disk->exists("a/b/c"));
    EXPECT_TRUE(disk->remove("a/k"));
    EXPECT_EQ(disk->remove("a/k").error(), Errc::not_found);
    EXPECT_TRUE(disk->rename("a/z", "a/b/y"));
    EXPECT_TRUE(*disk->exists("a/b/y"));
    EXPECT_TRUE(disk->sync_folder("a/b"));
    EXPECT_TRUE(disk->sync_folder(""));
    EXPECT_EQ(disk->make_folder("a/b/y/q").error(), Errc::not_directory);
}

TEST_F(SystemDisk, allocating_grows_with_zeros_and_punching_reads_as_zero) {
    auto file = std::move(*disk->open("f", OpenMode::create));
    ASSERT_TRUE(file->write_at(0, numbered(10)));
    ASSERT_TRUE(file->allocate(0, 200'000));
    EXPECT_EQ(*file->size(), 200'000u);
    auto bytes = numbered(200'000);
    ASSERT_TRUE(file->write_at(0, bytes));
    ASSERT_TRUE(file->punch(5000, 100'000));
    std::fill_n(bytes.begin() + 5000, 100'000, std::byte(0));
    EXPECT_EQ(*read_file(*disk, "f"), bytes);
    ASSERT_TRUE(file->truncate(7));
    EXPECT_EQ(*file->size(), 7u);
}

TEST_F(SystemDisk, a_file_is_replaced_whole_and_leaves_nothing_beside_it) {
    ASSERT_TRUE(disk->make_folder("d"));
    ASSERT_TRUE(replace_file(*disk, "d/f", numbered(5000)));
    auto stale = std::move(*disk->open("d/f.new", OpenMode::create));  // as a crash would leave it
    ASSERT_TRUE(stale->write_at(0, numbered(9000)));
    ASSERT_TRUE(replace_file(*disk, "d/f", numbered(3)));
    EXPECT_EQ(*read_file(*disk, "d/f"), numbered(3));
    EXPECT_EQ(*disk->list("d"), (std::vector<std::string>{"f"}));
    EXPECT_EQ(read_file(*disk, "d/f", 2).error(), Errc::too_big);
    EXPECT_EQ(read_file(*disk, "d/g").error(), Errc::not_found);
}

TEST_F(SystemDisk, writing_to_a_full_device_says_no_space) {
    if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
    auto devices = open_system_disk("/dev", false);
    ASSERT_TRUE(devices);
    auto full = (*devices)->open("full", OpenMode::read_write);
    ASSERT_TRUE(full);
    auto written = (*full)->write_at(0, numbered(1));
    EXPECT_EQ(written.error(), Errc::no_space);
    EXPECT_NE(written.error().detail.find("/dev/full"), std::string::npos);
}

TEST_F(SystemDisk, space_and_description_are_the_host_folders) {
    auto space = disk->space();
    ASSERT_TRUE(space);
    EXPECT_GT(space->total_bytes, 0u);
    EXPECT_LE(space->free_bytes, space->total_bytes);
    EXPECT_EQ(disk->description(), std::filesystem::canonical(folder).string());
}

TEST_F(SystemDisk, a_missing_folder_is_made_only_on_demand) {
    auto inner = folder + "/x/y";
    EXPECT_EQ(open_system_disk(inner, false).error(), Errc::not_found);
    EXPECT_TRUE(open_system_disk(inner, true));
    EXPECT_TRUE(open_system_disk(inner, false));
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// What a power cut keeps and loses, and the faults.
#include "tests/sim/sim_disk.h"

#include <set>

#include <gtest/gtest.h>

namespace strata::sim {

namespace {

std::vector<std::byte> bytes_of(std::size_t count, int value) { return std::vector<std::byte>(count, std::byte(value)); }

std::vector<std::byte> whole(Disk& disk, std::string_view path) {
    auto bytes = read_file(disk, path);
    EXPECT_TRUE(bytes) << to_string(bytes.error());
    return bytes ? *bytes : std::vector<std::byte>();
}

// A file whose first 16 KiB are durable ones and whose next write of twos is not.
void write_then_overwrite(SimDisk& disk) {
    auto file = *disk.open("f", OpenMode::create);
    ASSERT_TRUE(file->write_at(0, bytes_of(16384, 1)));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(disk.sync_folder(""));
    ASSERT_TRUE(file->write_at(0, bytes_of(16384, 2)));
}

}  // namespace

TEST(SimDisk, synced_bytes_and_entries_survive_every_power_cut) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        ASSERT_TRUE(disk.make_folder("a"));
        ASSERT_TRUE(disk.sync_folder(""));
        ASSERT_TRUE(replace_file(disk, "a/f", bytes_of(10000, 7)));
        disk.power_cut();
        EXPECT_EQ(whole(disk, "a/f"), bytes_of(10000, 7)) << seed;
        EXPECT_EQ(disk.list("a")->size(), 1u) << seed;
    }
}

TEST(SimDisk, replacing_a_file_leaves_the_old_or_the_new_content_whole) {
    std::set<int> seen;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        ASSERT_TRUE(replace_file(disk, "f", bytes_of(5000, 1)));
        // As replace_file(), but cut before the last step.
        auto fresh = *disk.open("f.new", OpenMode::create);
        ASSERT_TRUE(fresh->write_at(0, bytes_of(6000, 2)));
        ASSERT_TRUE(fresh->sync());
        ASSERT_TRUE(disk.rename("f.new", "f"));
        disk.power_cut();
        auto content = whole(disk, "f");
        auto value = static_cast<int>(content.at(0));
        EXPECT_EQ(content, bytes_of(value == 1 ? 5000 : 6000, value));
        seen.insert(value);
    }
    EXPECT_EQ(seen.size(), 2u);
}

TEST(SimDisk, unsynced_writes_are_kept_lost_or_torn_by_seed) {
    int kept = 0, lost = 0, torn_sectors = 0, torn_pages = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        write_then_overwrite(disk);
        disk.power_cut();
        auto content = whole(disk, "f");
        ASSERT_EQ(content.size(), 16384u);
        int twos = 0;
        bool within_page = false;
        for (std::size_t at = 0; at < content.size(); at += 512) {
            for (std::size_t i = 0; i < 512; ++i) ASSERT_EQ(content[at + i], content[at]);  // a sector is never torn
            if (content[at] == std::byte(2)) ++twos;
            if (at % 4096 != 0 && content[at] != content[at - 512]) within_page = true;
        }
        if (twos == 0)
            ++lost;
        else if (twos == 32)
            ++kept;
        else
            ++(within_page ? torn_sectors : torn_pages);
    }
    EXPECT_GT(kept, 10);
    EXPECT_GT(lost, 10);
    EXPECT_GT(torn_sectors, 10);
    EXPECT_GT(torn_pages, 10);
}

TEST(SimDisk, a_file_whose_folder_was_not_synced_may_vanish_although_its_bytes_were) {
    int there = 0, gone = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        auto file = *disk.open("f", OpenMode::create_new);
        ASSERT_TRUE(file->write_at(0, bytes_of(100, 3)));
        ASSERT_TRUE(file->sync());
        disk.power_cut();
        if (*disk.exists("f")) {
            ++there;
            EXPECT_EQ(whole(disk, "f"), bytes_of(100, 3));
        } else {
            ++gone;
        }
    }
    EXPECT_GT(there, 5);
    EXPECT_GT(gone, 5);
}

TEST(SimDisk, an_unsynced_removal_may_come_back) {
    int back = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        ASSERT_TRUE(replace_file(disk, "f", bytes_of(10, 1)));
        ASSERT_TRUE(disk.remove("f"));
        disk.power_cut();
        back += *disk.exists("f");
    }
    EXPECT_GT(back, 5);
    EXPECT_LT(back, 55);
}

TEST(SimDisk, open_files_and_mounts_die_with_the_power) {
    SimDisk disk("d", 1 << 20, 1);
    auto mount = disk.mount();
    auto file = *mount->open("f", OpenMode::create);
    disk.power_cut();
    std::byte b{};
    EXPECT_EQ(file->read_at(0, std::span(&b, 1)).error(), Errc::io);
    EXPECT_EQ(file->write_at(0, std::span<const std::byte>(&b, 1)).error(), Errc::io);
    EXPECT_EQ(file->sync().error(), Errc::io);
    EXPECT_EQ(mount->list("").error(), Errc::io);
    EXPECT_TRUE(disk.mount()->list(""));
}

TEST(SimDisk, a_truncated_tail_never_shows_again) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        auto file = *disk.open("f", OpenMode::create);
        ASSERT_TRUE(file->write_at(0, bytes_of(9000, 1)));
        ASSERT_TRUE(file->truncate(100));
        ASSERT_TRUE(file->truncate(9000));
        auto expected = bytes_of(9000, 0);
        std::fill_n(expected.begin(), 100, std::byte(1));
        EXPECT_EQ(whole(disk, "f"), expected);
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(disk.sync_folder(""));
        disk.power_cut();
        EXPECT_EQ(whole(disk, "f"), expected);
    }
}

TEST(SimDisk, a_full_disk_says_so_and_takes_writes_again_once_there_is_room) {
    SimDisk disk("d", 8 * 4096, 1);
    auto file = *disk.open("f", OpenMode::create);
    EXPECT_TRUE(file->allocate(0, 6 * 4096));
    EXPECT_EQ(disk.space()->free_bytes, 2u * 4096);
    EXPECT_TRUE(file->write_at(0, bytes_of(6 * 4096, 1)));  // into what is reserved
    auto other = *disk.open("g", OpenMode::create);
    EXPECT_EQ(other->write_at(0, bytes_of(3 * 4096, 1)).error(), Errc::no_space);
    EXPECT_EQ(*other->size(), 0u);
    EXPECT_TRUE(file->punch(0, 2 * 4096));
    EXPECT_TRUE(other->write_at(0, bytes_of(3 * 4096, 1)));
    EXPECT_TRUE(disk.remove("f"));
    EXPECT_EQ(disk.used_bytes(), 3u * 4096);
}

TEST(SimDisk, a_failed_sync_is_not_mended_by_a_later_one) {
    int lost = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SimDisk disk("d", 1 << 20, seed);
        write_then_overwrite(disk);
        auto file = *disk.open("f", OpenMode::read_write);
        disk.set_faults({.sync_error = 1.0});
        EXPECT_EQ(file->sync().error(), Errc::io);
        disk.set_faults({});
        EXPECT_TRUE(file->sync());
        disk.power_cut();
        lost += whole(disk, "f") != bytes_of(16384, 2);
    }
    EXPECT_GT(lost, 30);
}

TEST(SimDisk, faults_hit_what_they_name) {
    SimDisk disk("d", 1 << 20, 1);
    ASSERT_TRUE(replace_file(disk, "f", bytes_of(8192, 1)));
    auto file = *disk.open("f", OpenMode::read_write);
    std::vector<std::byte> buffer(4096);
    disk.set_bad_range("f", 5000, 1);
    EXPECT_TRUE(file->read_at(0, buffer));
    EXPECT_EQ(file->read_at(4096, buffer).error(), Errc::io);
    disk.clear_bad_ranges();
    EXPECT_TRUE(file->read_at(4096, buffer));
    disk.set_faults({.failed = true});
    EXPECT_EQ(file->read_at(0, buffer).error(), Errc::io);
    EXPECT_EQ(disk.list("").error(), Errc::io);
    disk.set_faults({});
    EXPECT_TRUE(file->read_at(0, buffer));
}

TEST(SimDisk, flipped_bits_show_in_reads_and_stay) {
    SimDisk disk("d", 1 << 20, 5);
    ASSERT_TRUE(replace_file(disk, "seg/1", bytes_of(10, 0)).error() == Errc::not_found);
    ASSERT_TRUE(disk.make_folder("seg"));
    ASSERT_TRUE(disk.sync_folder(""));
    ASSERT_TRUE(replace_file(disk, "seg/1", bytes_of(3000, 0)));
    ASSERT_TRUE(replace_file(disk, "other", bytes_of(3000, 0)));
    EXPECT_EQ(disk.flip_bits("seg/", 1), 1);
    EXPECT_EQ(disk.flip_bits("absent", 1), 0);
    auto count_ones = [&](std::string_view path) {
        int ones = 0;
        for (auto b : whole(disk, path)) ones += std::popcount(static_cast<unsigned>(b));
        return ones;
    };
    EXPECT_EQ(count_ones("seg/1"), 1);
    EXPECT_EQ(count_ones("other"), 0);
    disk.power_cut();
    EXPECT_EQ(count_ones("seg/1"), 1);
}

TEST(SimDisk, folders_behave_like_a_file_systems) {
    SimDisk disk("d", 1 << 20, 1);
    EXPECT_TRUE(disk.make_folder("a/b/c"));
    EXPECT_TRUE(disk.make_folder("a/b/c"));
    EXPECT_EQ(disk.remove_folder("a").error(), Errc::not_empty);
    EXPECT_EQ(disk.list("a/x").error(), Errc::not_found);
    EXPECT_EQ(disk.open("a", OpenMode::read).error(), Errc::is_directory);
    EXPECT_EQ(disk.open("a/f", OpenMode::read).error(), Errc::not_found);
    EXPECT_TRUE(disk.open("a/f", OpenMode::create_new));
    EXPECT_EQ(disk.open("a/f", OpenMode::create_new).error(), Errc::exists);
    EXPECT_EQ(disk.open("a/f/g", OpenMode::create).error(), Errc::not_directory);
    EXPECT_EQ(disk.open("../x", OpenMode::create).error(), Errc::invalid_argument);
    EXPECT_EQ(*disk.list("a"), (std::vector<std::string>{"b", "f"}));
    EXPECT_TRUE(disk.remove_folder("a/b/c"));
    EXPECT_TRUE(disk.rename("a/f", "a/g"));
    EXPECT_FALSE(*disk.exists("a/f"));
}

}  // namespace strata::sim

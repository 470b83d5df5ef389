// SPDX-License-Identifier: Apache-2.0
// Commands survive the way to bytes and back; what is cut or changed is refused.
#include <span>

#include <gtest/gtest.h>

#include "tests/sim/meta_workload.h"

namespace strata::cluster {

using namespace strata::sim;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

Command one_of_each() {
    auto inode = sample_inode(77);
    inode.symlink = "a/b";
    inode.acl = std::string("\0\1\2", 3);
    inode.inline_data = std::string(2048, 'x');
    inode.has_xattrs = true;
    inode.access_time = {-5, 999'999'999};
    inode.size = UINT64_MAX;
    inode.device = {8, 1};
    auto folded = sample_entry(1, "README", 3, 77);
    folded.folded = "readme";
    const ExtentRow extent{.map = 9, .offset = 1ull << 40, .length = 4 << 20, .chunk = {1, 2, UINT64_MAX}, .chunk_offset = 4096};
    return {PutInode{inode},
            DeleteInode{5},
            PutEntry{folded},
            PutEntry{sample_entry(1, "x", 4, 78)},
            DeleteEntry{{1, "gone"}},
            PutExtent{extent},
            DeleteExtent{{9, 0}},
            PutChunk{{sample_chunk(3), 7}},
            DeleteChunk{{1, 1, 1}},
            AdjustChunk{{1, 2, 3}, -2},
            PutXattr{{77, "user.a", std::string(300, 'v')}},
            DeleteXattr{{77, "user.b"}},
            PutRecord{{"clients", "k", "v"}},
            DeleteRecord{{"clients", "k2"}},
            PutReap{{9, 4096}},
            DeleteReap{9}};
}

}  // namespace

TEST(MetaCommand, every_kind_of_change_comes_back_as_it_was) {
    const auto command = one_of_each();
    const auto bytes = encode(command);
    const auto back = decode_command(bytes_of(bytes));
    ASSERT_TRUE(back) << to_string(back.error());
    ASSERT_EQ(back->size(), command.size());
    EXPECT_EQ(encode(*back), bytes);
    EXPECT_EQ(std::get<PutInode>(back->at(0)).row, std::get<PutInode>(command[0]).row);
    EXPECT_EQ(std::get<PutEntry>(back->at(2)).row, std::get<PutEntry>(command[2]).row);
    EXPECT_EQ(std::get<PutExtent>(back->at(5)).row, std::get<PutExtent>(command[5]).row);
    EXPECT_EQ(std::get<PutChunk>(back->at(7)).row, std::get<PutChunk>(command[7]).row);
    EXPECT_EQ(std::get<AdjustChunk>(back->at(9)).delta, -2);
}

TEST(MetaCommand, an_empty_command_is_valid) {
    const auto back = decode_command(bytes_of(encode({})));
    ASSERT_TRUE(back);
    EXPECT_TRUE(back->empty());
}

TEST(MetaCommand, every_cut_is_refused_or_ends_between_changes) {
    const auto command = one_of_each();
    const auto bytes = encode(command);
    std::size_t accepted = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        if (decode_command(bytes_of(bytes).first(size))) ++accepted;
    }
    EXPECT_EQ(accepted, command.size());  // after the version and after each change but the last
}

TEST(MetaCommand, an_unknown_version_is_named) {
    auto bytes = encode(one_of_each());
    bytes[0] = 9;
    const auto back = decode_command(bytes_of(bytes));
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error(), Errc::bad_version);
    EXPECT_NE(back.error().detail.find('9'), std::string::npos);
}

TEST(MetaCommand, an_unknown_kind_of_change_is_refused) {
    const std::string bytes("\1\x7f", 2);
    const auto back = decode_command(bytes_of(bytes));
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error(), Errc::bad_message);
}

}  // namespace strata::cluster

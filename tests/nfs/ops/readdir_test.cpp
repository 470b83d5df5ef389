// SPDX-License-Identifier: Apache-2.0
// READDIR: pages, cookies, limits, and the pseudo root.
#include <set>

#include <fmt/format.h>

#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

using A = Attribute;

struct Listed {
    NfsStatus status = NfsStatus::ok;
    std::vector<std::string> names;
    std::uint64_t cookie = 0;  // of the last
    bool eof = false;
    std::size_t size = 0;  // of the READDIR4resok
};

class NfsReaddir : public OperationTest {
protected:
    Listed list(std::uint64_t cookie, std::uint32_t maxcount, const AttributeMask& wanted = {A::fileid}, std::uint64_t verifier = 0) {
        const auto answer = run(op_readdir, [&](XdrWriter& out) {
            out.u64(cookie);
            out.u64(verifier);
            out.u32(maxcount);
            out.u32(maxcount);
            write_mask(out, wanted);
        });
        Listed listed;
        listed.status = answer.status;
        if (answer.status != NfsStatus::ok) return listed;
        listed.size = answer.bytes.size();
        auto in = answer.reader();
        EXPECT_EQ(in.u64(), 0u);
        while (in.boolean()) {
            listed.cookie = in.u64();
            listed.names.emplace_back(in.text(255));
            read_mask(in);
            in.opaque(in.remaining());
        }
        listed.eof = in.boolean();
        EXPECT_TRUE(in.ok());
        EXPECT_EQ(in.remaining(), 0u);
        return listed;
    }
};

TEST_F(NfsReaddir, an_empty_directory_needs_sixteen_bytes) {
    EXPECT_EQ(list(0, 15).status, NfsStatus::toosmall);
    const auto page = list(0, 16);
    EXPECT_EQ(page.status, NfsStatus::ok);
    EXPECT_TRUE(page.eof);
    EXPECT_EQ(page.size, 16u);
}

TEST_F(NfsReaddir, pages_join_to_the_whole_directory_without_a_gap_or_a_double) {
    std::set<std::string> made;
    for (int i = 0; i < 100; ++i) {
        made.insert(fmt::format("file{}", i));
        make(data_root, fmt::format("file{}", i));
    }
    std::set<std::string> seen;
    std::size_t count = 0;
    std::uint64_t cookie = 0;
    for (bool eof = false; !eof;) {
        const auto page = list(cookie, 400, {A::type, A::size, A::rdattr_error, A::filehandle});
        ASSERT_EQ(page.status, NfsStatus::ok);
        ASSERT_LE(page.size, 400u);
        ASSERT_FALSE(page.names.empty());
        seen.insert(page.names.begin(), page.names.end());
        count += page.names.size();
        cookie = page.cookie;
        eof = page.eof;
    }
    EXPECT_EQ(count, 100u);
    EXPECT_EQ(seen, made);
}

TEST_F(NfsReaddir, what_is_removed_between_pages_does_not_shift_the_rest) {
    for (int i = 0; i < 40; ++i) make(data_root, fmt::format("file{:02}", i));
    std::size_t removed = 0;
    std::uint64_t cookie = 0;
    for (bool eof = false; !eof;) {
        const auto page = list(cookie, 300);
        ASSERT_EQ(page.status, NfsStatus::ok);
        for (const auto& name : page.names) {
            ASSERT_TRUE(world.run(fs.remove(as_root, data_root, name, vfs::RemoveKind::any)));
            ++removed;
        }
        cookie = page.cookie;
        eof = page.eof;
    }
    EXPECT_EQ(removed, 40u);
    EXPECT_TRUE(list(0, 300).names.empty());
}

TEST_F(NfsReaddir, a_page_too_small_for_its_first_entry_is_toosmall) {
    make(data_root, "a_name_that_is_long_enough");
    EXPECT_EQ(list(0, 40).status, NfsStatus::toosmall);
}

TEST_F(NfsReaddir, a_page_ends_with_its_last_byte_used) {
    make(data_root, "abcd");
    make(data_root, "efgh");
    const auto one = list(0, 16 + 4 + 8 + 8 + 8 + 4 + 8);  // mark, cookie, name, mask of one word, length, fileid
    EXPECT_EQ(one.status, NfsStatus::ok);
    EXPECT_EQ(one.names.size(), 1u);
    EXPECT_FALSE(one.eof);
    EXPECT_EQ(list(0, 16 + 4 + 8 + 8 + 8 + 4 + 8 - 1).status, NfsStatus::toosmall);
}

TEST_F(NfsReaddir, the_room_of_the_reply_bounds_a_page_too) {
    for (int i = 0; i < 100; ++i) make(data_root, fmt::format("file{}", i));
    compound.reply_limit = 500;
    const auto page = list(0, 100000);
    EXPECT_EQ(page.status, NfsStatus::ok);
    EXPECT_FALSE(page.eof);
    EXPECT_LT(page.size, 500u);
}

TEST_F(NfsReaddir, reserved_cookies_and_foreign_verifiers_are_refused) {
    EXPECT_EQ(list(1, 1000).status, NfsStatus::bad_cookie);
    EXPECT_EQ(list(2, 1000).status, NfsStatus::bad_cookie);
    EXPECT_EQ(list(3, 1000, {A::fileid}, 7).status, NfsStatus::not_same);
}

TEST_F(NfsReaddir, attributes_that_can_only_be_set_are_inval) { EXPECT_EQ(list(0, 1000, {A::time_access_set}).status, NfsStatus::inval); }

TEST_F(NfsReaddir, what_is_no_directory_is_notdir) {
    at(make(data_root, "f"));
    EXPECT_EQ(list(0, 1000).status, NfsStatus::notdir);
}

TEST_F(NfsReaddir, a_directory_that_may_not_be_read_is_access) {
    at(make(data_root, "secret", vfs::FileType::directory, 0700));
    EXPECT_EQ(list(0, 1000).status, NfsStatus::access);
}

TEST_F(NfsReaddir, the_pseudo_root_lists_the_shares) {
    compound.set_pseudo_root();
    const auto page = list(0, 1000, {A::type, A::fsid, A::rdattr_error, A::mounted_on_fileid});
    EXPECT_EQ(page.names, (std::vector<std::string>{"data", "docs"}));
    EXPECT_TRUE(page.eof);
}

TEST_F(NfsReaddir, the_pseudo_root_comes_in_pages_too) {
    compound.set_pseudo_root();
    const auto first = list(0, 60);
    EXPECT_EQ(first.names, std::vector<std::string>{"data"});
    EXPECT_FALSE(first.eof);
    const auto second = list(first.cookie, 60);
    EXPECT_EQ(second.names, std::vector<std::string>{"docs"});
    EXPECT_TRUE(second.eof);
}

}  // namespace
}  // namespace strata::nfs

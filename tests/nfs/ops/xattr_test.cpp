// SPDX-License-Identifier: Apache-2.0
// GETXATTR, SETXATTR, LISTXATTRS, REMOVEXATTR.
#include <set>

#include <fmt/format.h>

#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

class NfsXattr : public OperationTest {
protected:
    NfsXattr() {
        become(0);
        file = make(data_root, "f");
        at(file);
    }
    static constexpr std::uint32_t either = 0, create = 1, replace = 2;

    Answer set(std::uint32_t option, std::string_view name, std::string_view value) {
        return run(op_setxattr, [=](XdrWriter& out) {
            out.u32(option);
            out.text(name);
            out.text(value);
        });
    }
    Answer get(std::string_view name) {
        return run(op_getxattr, [=](XdrWriter& out) { out.text(name); });
    }
    struct Listed {
        NfsStatus status = NfsStatus::ok;
        std::uint64_t cookie = 0;
        std::vector<std::string> names;
        bool eof = false;
    };
    Listed list(std::uint64_t cookie, std::uint32_t maxcount) {
        const auto answer = run(op_listxattrs, [=](XdrWriter& out) {
            out.u64(cookie);
            out.u32(maxcount);
        });
        Listed listed;
        listed.status = answer.status;
        if (answer.status != NfsStatus::ok) return listed;
        EXPECT_LE(answer.bytes.size(), maxcount);
        auto in = answer.reader();
        listed.cookie = in.u64();
        for (auto n = in.u32(); n > 0; --n) listed.names.emplace_back(in.text(255));
        listed.eof = in.boolean();
        EXPECT_TRUE(in.ok());
        EXPECT_EQ(in.remaining(), 0u);
        return listed;
    }
    vfs::FileId file;
};

TEST_F(NfsXattr, what_was_set_is_got_and_changes_the_file) {
    const auto before = attributes(file).change;
    const auto answer = set(either, "note", "value");
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    EXPECT_TRUE(in.boolean());
    EXPECT_EQ(in.u64(), before);
    EXPECT_EQ(in.u64(), attributes(file).change);
    const auto got = get("note");
    ASSERT_EQ(got.status, NfsStatus::ok);
    EXPECT_EQ(got.reader().text(100), "value");
}

TEST_F(NfsXattr, create_and_replace_look_at_what_is_there) {
    EXPECT_EQ(set(replace, "a", "1").status, NfsStatus::noxattr);
    EXPECT_EQ(set(create, "a", "1").status, NfsStatus::ok);
    EXPECT_EQ(set(create, "a", "2").status, NfsStatus::exist);
    EXPECT_EQ(set(replace, "a", "3").status, NfsStatus::ok);
    EXPECT_EQ(set(3, "a", "4").status, NfsStatus::badxdr);
    EXPECT_EQ(get("a").reader().text(10), "3");
}

TEST_F(NfsXattr, what_is_removed_is_noxattr) {
    EXPECT_EQ(set(either, "a", "1").status, NfsStatus::ok);
    const auto remove = [](XdrWriter& out) { out.text("a"); };
    EXPECT_EQ(status(op_removexattr, remove), NfsStatus::ok);
    EXPECT_EQ(status(op_removexattr, remove), NfsStatus::noxattr);
    EXPECT_EQ(get("a").status, NfsStatus::noxattr);
}

TEST_F(NfsXattr, values_and_names_have_their_limits) {
    EXPECT_EQ(set(either, "a", std::string(vfs::xattr_size_max + 1, 'x')).status, NfsStatus::xattr2big);
    EXPECT_EQ(set(either, std::string(256, 'n'), "x").status, NfsStatus::nametoolong);
    EXPECT_EQ(set(either, "", "x").status, NfsStatus::inval);
    EXPECT_EQ(get("").status, NfsStatus::inval);
    EXPECT_EQ(set(either, "empty", "").status, NfsStatus::ok);
}

TEST_F(NfsXattr, a_list_of_nothing_ends_at_once) {
    const auto page = list(0, 16);
    EXPECT_EQ(page.status, NfsStatus::ok);
    EXPECT_TRUE(page.names.empty());
    EXPECT_TRUE(page.eof);
}

TEST_F(NfsXattr, pages_of_names_join_although_names_come_and_go) {
    std::set<std::string> wanted;
    for (int i = 0; i < 30; ++i) {
        wanted.insert(fmt::format("name{}", i));
        ASSERT_EQ(set(either, fmt::format("name{}", i), "x").status, NfsStatus::ok);
    }
    std::set<std::string> seen;
    std::uint64_t cookie = 0;
    for (bool eof = false; !eof;) {
        const auto page = list(cookie, 80);
        ASSERT_EQ(page.status, NfsStatus::ok);
        ASSERT_FALSE(page.names.empty());
        for (const auto& name : page.names) {
            EXPECT_TRUE(seen.insert(name).second) << name;
            ASSERT_EQ(status(op_removexattr, [&](XdrWriter& out) { out.text(name); }), NfsStatus::ok);
        }
        cookie = page.cookie;
        eof = page.eof;
    }
    EXPECT_EQ(seen, wanted);
}

TEST_F(NfsXattr, a_page_too_small_for_one_name_is_toosmall) {
    ASSERT_EQ(set(either, "a_longer_name", "x").status, NfsStatus::ok);
    EXPECT_EQ(list(0, 8).status, NfsStatus::toosmall);
    EXPECT_EQ(list(0, 20).status, NfsStatus::toosmall);
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// nfsace4: bytes, round trips, and what is refused.
#include "nfs/wire/acl.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace strata::nfs {
namespace {

using namespace std::string_literals;

class AclTest : public testing::Test {
protected:
    std::string written(const vfs::Acl& acl) {
        XdrWriter out(pool);
        write_acl(out, acl);
        const auto reply = out.take();
        return std::string(as_text(reply.head.span()));
    }
    NfsStatus read(std::string_view bytes, vfs::Acl& acl) {
        const Slice slice = BufferChain::copy_of(bytes).flatten();
        XdrReader in(slice);
        return read_acl(in, acl);
    }
    // One entry as a client writes it.
    NfsStatus read_one(std::uint32_t type, std::uint32_t flags, std::uint32_t mask, std::string_view who, vfs::Acl& acl) {
        XdrWriter out(pool);
        out.u32(1);
        out.u32(type);
        out.u32(flags);
        out.u32(mask);
        out.text(who);
        const auto reply = out.take();
        return read(as_text(reply.head.span()), acl);
    }
    BufferPool pool{1 << 20};
};

TEST_F(AclTest, an_entry_is_type_flags_mask_and_who) {
    const vfs::Acl acl{{{vfs::AceType::deny, vfs::ace::identifier_group, vfs::access::read_data, vfs::Who::group, 1234}}};
    EXPECT_EQ(written(acl),
              "\0\0\0\1"
              "\0\0\0\1"
              "\0\0\0\x40"
              "\0\0\0\1"
              "\0\0\0\4"
              "1234"s);
}

TEST_F(AclTest, all_kinds_of_who_come_back) {
    const auto inherit = vfs::ace::file_inherit | vfs::ace::directory_inherit;
    const vfs::Acl acl{{
        {vfs::AceType::allow, 0, 0x1601ff, vfs::Who::owner_at, 0},
        {vfs::AceType::deny, 0, vfs::access::write_data, vfs::Who::user, 1000},
        {vfs::AceType::allow, vfs::ace::identifier_group | inherit, vfs::access::read_data, vfs::Who::group, 4294967294u},
        {vfs::AceType::allow, vfs::ace::identifier_group, vfs::access::execute, vfs::Who::group_at, 0},
        {vfs::AceType::allow, inherit, vfs::access::read_data, vfs::Who::everyone_at, 0},
    }};
    vfs::Acl back;
    ASSERT_EQ(read(written(acl), back), NfsStatus::ok);
    EXPECT_EQ(back, acl);
}

TEST_F(AclTest, group_at_may_come_without_the_group_flag) {
    vfs::Acl acl;
    ASSERT_EQ(read_one(0, 0, 1, "GROUP@", acl), NfsStatus::ok);
    EXPECT_EQ(acl.entries[0].who, vfs::Who::group_at);
    EXPECT_EQ(acl.entries[0].flags, vfs::ace::identifier_group);
}

TEST_F(AclTest, unknown_principals_are_badowner) {
    vfs::Acl acl;
    EXPECT_EQ(read_one(0, 0, 1, "alice@example.org", acl), NfsStatus::badowner);
    EXPECT_EQ(read_one(0, 0, 1, "INTERACTIVE@", acl), NfsStatus::badowner);
}

TEST_F(AclTest, audit_entries_are_not_supported) {
    vfs::Acl acl;
    EXPECT_EQ(read_one(2, 0, 1, "EVERYONE@", acl), NfsStatus::attrnotsupp);
    EXPECT_EQ(read_one(4, 0, 1, "EVERYONE@", acl), NfsStatus::inval);
}

TEST_F(AclTest, unknown_flags_and_rights_are_inval) {
    vfs::Acl acl;
    EXPECT_EQ(read_one(0, 0x100, 1, "EVERYONE@", acl), NfsStatus::inval);
    EXPECT_EQ(read_one(0, 0, 0x80000000, "EVERYONE@", acl), NfsStatus::inval);
}

TEST_F(AclTest, a_count_that_cannot_be_is_badxdr) {
    vfs::Acl acl;
    EXPECT_EQ(read("\x10\0\0\0\0\0\0\0"s, acl), NfsStatus::badxdr);
}

}  // namespace
}  // namespace strata::nfs

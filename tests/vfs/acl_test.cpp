// SPDX-License-Identifier: Apache-2.0
// ACLs and modes: what is allowed, and what each looks like in the other's words.
#include "server/vfs/acl.h"

#include <gtest/gtest.h>

namespace strata::vfs {
namespace {

Attributes object(std::uint32_t mode, std::uint32_t uid = 10, std::uint32_t gid = 20, FileType type = FileType::regular) {
    Attributes a;
    a.type = type;
    a.mode = mode;
    a.uid = uid;
    a.gid = gid;
    return a;
}

Credentials person(std::uint32_t uid, std::uint32_t gid) { return {.uid = uid, .gid = gid, .groups = {}}; }

TEST(Access, the_first_class_that_matches_decides_even_if_a_later_one_has_more) {
    const auto file = object(0077);
    EXPECT_EQ(evaluate(file, person(10, 20), access::read_data), 0u);
    EXPECT_EQ(evaluate(file, person(11, 20), access::read_data), access::read_data);
    EXPECT_EQ(evaluate(object(0707), person(11, 20), access::read_data), 0u);
}

TEST(Access, a_supplementary_group_counts_as_the_group) {
    Credentials who = person(11, 99);
    who.groups.push_back(20);
    EXPECT_EQ(evaluate(object(0640), who, access::read_data), access::read_data);
}

TEST(Access, the_superuser_may_all_but_run_a_file_that_nobody_may_run) {
    EXPECT_EQ(evaluate(object(0), person(0, 0), access::read_data | access::write_data), access::read_data | access::write_data);
    EXPECT_EQ(evaluate(object(0666), person(0, 0), access::execute), 0u);
    EXPECT_EQ(evaluate(object(0, 1, 1, FileType::directory), person(0, 0), access::traverse), access::traverse);
}

TEST(Access, an_acl_is_read_in_order_bit_by_bit) {
    auto file = object(0);
    Acl acl;
    acl.entries = {{AceType::deny, 0, access::write_data, Who::user, 11},
                   {AceType::allow, 0, access::read_data | access::write_data, Who::everyone_at, 0}};
    file.acl = std::make_shared<const Acl>(acl);
    EXPECT_EQ(evaluate(file, person(11, 1), access::read_data | access::write_data), access::read_data);
    EXPECT_EQ(evaluate(file, person(12, 1), access::read_data | access::write_data), access::read_data | access::write_data);
}

TEST(Access, an_inherit_only_entry_grants_nothing_here) {
    auto dir = object(0, 10, 20, FileType::directory);
    Acl acl;
    acl.entries = {{AceType::allow, ace::file_inherit | ace::inherit_only, access::read_data, Who::everyone_at, 0}};
    dir.acl = std::make_shared<const Acl>(acl);
    EXPECT_EQ(evaluate(dir, person(11, 1), access::read_data), 0u);
}

TEST(Access, in_a_sticky_directory_only_the_owner_removes) {
    const auto dir = object(01777, 1, 1, FileType::directory);
    const auto file = object(0666, 10, 20);
    EXPECT_TRUE(may_remove(dir, file, person(10, 5)));
    EXPECT_FALSE(may_remove(dir, file, person(11, 5)));
    EXPECT_TRUE(may_remove(object(0777, 1, 1, FileType::directory), file, person(11, 5)));
}

// All 512 modes: the ACL of a mode grants the three classes what the mode does, and shows the same mode again.
TEST(Access, a_mode_as_acl_decides_like_the_mode_and_shows_it_again) {
    for (std::uint32_t mode = 0; mode < 01000; ++mode) {
        const auto by_mode = object(mode);
        auto by_acl = object(mode);
        by_acl.acl = std::make_shared<const Acl>(acl_of_mode(mode, false));
        for (const auto& who : {person(10, 99), person(11, 20), person(12, 99), person(10, 20)}) {
            for (AccessMask right : {access::read_data, access::write_data, access::execute}) {
                EXPECT_EQ(evaluate(by_mode, who, right), evaluate(by_acl, who, right))
                    << std::oct << mode << " uid " << who.uid << " right " << right;
            }
        }
        EXPECT_EQ(mode_of(*by_acl.acl, 0), mode) << std::oct << mode;
    }
}

TEST(Access, a_chmod_keeps_named_entries_and_shows_the_new_mode) {
    Acl acl = acl_of_mode(0600, false);
    acl.entries.push_back({AceType::allow, 0, access::read_data, Who::user, 42});
    const Acl changed = with_mode(acl, 0640);
    EXPECT_EQ(mode_of(changed, 0), 0640u);
    auto file = object(0640);
    file.acl = std::make_shared<const Acl>(changed);
    EXPECT_EQ(evaluate(file, person(42, 1), access::read_data), access::read_data);
    const Acl closed = with_mode(changed, 0600);
    file.acl = std::make_shared<const Acl>(closed);
    EXPECT_EQ(evaluate(file, person(42, 1), access::read_data), 0u);
}

TEST(Access, a_file_inherits_what_is_marked_for_files_without_the_marks) {
    Acl parent;
    parent.entries = {{AceType::allow, ace::file_inherit | ace::inherit_only, access::read_data, Who::user, 42},
                      {AceType::allow, ace::directory_inherit, access::write_data, Who::user, 43}};
    const auto acl = inherit(parent, false, 0600);
    ASSERT_NE(acl, nullptr);
    EXPECT_EQ(acl->entries[0].id, 42u);
    EXPECT_EQ(acl->entries[0].flags, ace::inherited);
    for (const auto& entry : acl->entries) EXPECT_FALSE(entry.who == Who::user && entry.id == 43);
    EXPECT_EQ(inherit(Acl{}, false, 0600), nullptr);
}

TEST(Access, encoded_and_decoded_is_the_same_and_damage_is_refused) {
    Acl acl;
    acl.entries = {{AceType::deny, ace::file_inherit, 0x1f01ff, Who::group, 0xfffffffe}, {AceType::allow, 0, 1, Who::owner_at, 0}};
    const std::string bytes = encode(acl);
    auto back = decode_acl(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, acl);
    EXPECT_FALSE(decode_acl(""));
    EXPECT_FALSE(decode_acl(bytes.substr(0, bytes.size() - 1)));
    std::string other = bytes;
    other[0] = 9;
    EXPECT_EQ(decode_acl(other).error().code, Errc::bad_version);
    other = bytes;
    other[2] = 77;
    EXPECT_FALSE(decode_acl(other));
}

}  // namespace
}  // namespace strata::vfs

// SPDX-License-Identifier: Apache-2.0
// SETATTR: sizes, modes, ACLs, and the attrsset that every answer carries.
#include "nfs/wire/acl.h"
#include "server/vfs/acl.h"
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

using A = Attribute;

class NfsSetattr : public OperationTest {
protected:
    NfsSetattr() {
        file = make(data_root, "f");
        vfs::SetAttributes owner;
        owner.uid = owner.gid = 1000;
        EXPECT_TRUE(world.run(fs.set_attributes(as_root, file, owner, false)));
        at(file);
    }
    Answer setattr(const AttributeMask& mask, const std::function<void(XdrWriter&)>& values, Stateid stateid = Stateid::anonymous()) {
        return run(op_setattr, [&](XdrWriter& out) {
            out.write(stateid);
            write_fattr(out, mask, values);
        });
    }
    NfsStatus set_acl(const vfs::Acl& acl) {
        return setattr({A::acl}, [&](XdrWriter& out) { write_acl(out, acl); }).status;
    }
    vfs::FileId file;
};

TEST_F(NfsSetattr, sets_several_attributes_in_one_step_and_names_them) {
    const AttributeMask mask{A::size, A::mode};
    const auto answer = setattr(mask, [](XdrWriter& out) {
        out.u64(10);
        out.u32(0600);
    });
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    EXPECT_EQ(read_mask(in), mask);
    EXPECT_EQ(attributes(file).size, 10u);
    EXPECT_EQ(attributes(file).mode, 0600u);
}

TEST_F(NfsSetattr, nothing_to_set_changes_nothing) {
    const auto before = attributes(file).change;
    EXPECT_EQ(setattr({}, [](XdrWriter&) {}).status, NfsStatus::ok);
    EXPECT_EQ(attributes(file).change, before);
}

TEST_F(NfsSetattr, without_a_size_the_stateid_does_not_matter) {
    const Stateid made_up{5, {std::byte{1}}};
    const auto mode = [](XdrWriter& out) { out.u32(0600); };
    EXPECT_EQ(setattr({A::mode}, mode, made_up).status, NfsStatus::ok);
    EXPECT_NE(setattr({A::size}, [](XdrWriter& out) { out.u64(1); }, made_up).status, NfsStatus::ok);
}

TEST_F(NfsSetattr, sizes_of_what_is_no_file_are_refused) {
    const auto size = [](XdrWriter& out) { out.u64(0); };
    at(data_root);
    EXPECT_EQ(setattr({A::size}, size).status, NfsStatus::isdir);
    become(0);
    at(make(data_root, "p", vfs::FileType::fifo));
    EXPECT_EQ(setattr({A::size}, size).status, NfsStatus::inval);
}

TEST_F(NfsSetattr, a_size_past_the_largest_file_is_fbig) {
    EXPECT_EQ(setattr({A::size}, [](XdrWriter& out) { out.u64(~std::uint64_t{0}); }).status, NfsStatus::fbig);
}

TEST_F(NfsSetattr, giving_a_file_away_is_perm) {
    EXPECT_EQ(setattr({A::owner}, [](XdrWriter& out) { out.text("0"); }).status, NfsStatus::perm);
}

TEST_F(NfsSetattr, an_acl_is_kept_and_shows_in_the_mode) {
    const vfs::Acl acl{{{vfs::AceType::allow, 0, vfs::access::read_data, vfs::Who::user, 77},
                        {vfs::AceType::allow, 0, vfs::access::read_data, vfs::Who::owner_at, 0}}};
    ASSERT_EQ(set_acl(acl), NfsStatus::ok);
    ASSERT_NE(attributes(file).acl, nullptr);
    EXPECT_EQ(*attributes(file).acl, acl);
    EXPECT_EQ(attributes(file).mode, 0400u);
}

TEST_F(NfsSetattr, an_acl_that_says_no_more_than_a_mode_leads_back_to_the_mode) {
    auto acl = vfs::acl_of_mode(0640, false);
    acl.entries.push_back({vfs::AceType::allow, 0, vfs::access::read_data, vfs::Who::user, 77});
    ASSERT_EQ(set_acl(acl), NfsStatus::ok);
    acl.entries.pop_back();
    ASSERT_EQ(set_acl(acl), NfsStatus::ok);
    EXPECT_EQ(attributes(file).acl, nullptr);
    EXPECT_EQ(attributes(file).mode, 0640u);
}

TEST_F(NfsSetattr, a_failure_in_a_compound_still_carries_an_empty_attrsset) {
    constexpr std::uint32_t setattr_code = 34;
    compound.set_current(*docs, docs_root);
    const auto reply = run_compound_of(1, [](XdrWriter& out) {
        out.u32(setattr_code);
        out.write(Stateid::anonymous());
        write_mode(out, 0700);
    });
    XdrReader in(reply);
    EXPECT_EQ(in.u32(), static_cast<std::uint32_t>(NfsStatus::rofs));
    in.text(100);
    EXPECT_EQ(in.u32(), 2u);
    in.u64();  // PUTFH
    EXPECT_EQ(in.u32(), setattr_code);
    EXPECT_EQ(in.u32(), static_cast<std::uint32_t>(NfsStatus::rofs));
    EXPECT_TRUE(read_mask(in).none());
    EXPECT_EQ(in.remaining(), 0u);
}

}  // namespace
}  // namespace strata::nfs

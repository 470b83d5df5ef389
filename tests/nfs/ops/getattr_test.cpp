// SPDX-License-Identifier: Apache-2.0
// GETATTR, ACCESS, VERIFY, NVERIFY on files, directories and the pseudo root.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

using A = Attribute;

class NfsGetattr : public OperationTest {
protected:
    // The values of one GETATTR, behind mask and length.
    XdrReader values(const Answer& answer) {
        EXPECT_EQ(answer.status, NfsStatus::ok);
        auto in = answer.reader();
        read_mask(in);
        EXPECT_EQ(in.u32(), in.remaining());
        return in;
    }
    Answer getattr(const AttributeMask& wanted) {
        return run(op_getattr, [&](XdrWriter& out) { write_mask(out, wanted); });
    }
};

TEST_F(NfsGetattr, a_file_shows_what_the_file_system_knows) {
    const auto file = make(data_root, "f");
    fill(file, 0, "hello");
    at(file);
    const auto answer = getattr({A::type, A::change, A::size, A::fileid});
    auto in = values(answer);
    EXPECT_EQ(in.u32(), static_cast<std::uint32_t>(FileType4::reg));
    EXPECT_EQ(in.u64(), attributes(file).change);
    EXPECT_EQ(in.u64(), 5u);
    EXPECT_EQ(in.u64(), file.inode);
}

TEST_F(NfsGetattr, the_pseudo_root_is_a_directory_on_a_filesystem_of_its_own) {
    at(data_root);
    const auto in_share = getattr({A::fsid});
    compound.set_pseudo_root();
    const auto answer = getattr({A::type, A::fsid, A::mode});
    auto in = values(answer);
    EXPECT_EQ(in.u32(), static_cast<std::uint32_t>(FileType4::dir));
    const Fsid fsid{in.u64(), in.u64()};
    EXPECT_EQ(in.u32(), 0555u);
    auto share = values(in_share);
    EXPECT_NE(share.u64(), fsid.major);
}

TEST_F(NfsGetattr, the_root_of_a_share_is_mounted_on_another_fileid) {
    at(data_root);
    const auto answer = getattr({A::fileid, A::mounted_on_fileid});
    auto in = values(answer);
    const auto fileid = in.u64();
    EXPECT_EQ(fileid, data_root.inode);
    EXPECT_NE(in.u64(), fileid);
}

TEST_F(NfsGetattr, below_the_root_both_fileids_are_equal) {
    at(make(data_root, "d", vfs::FileType::directory));
    const auto answer = getattr({A::fileid, A::mounted_on_fileid});
    auto in = values(answer);
    EXPECT_EQ(in.u64(), in.u64());
}

TEST_F(NfsGetattr, space_is_that_of_the_volume) {
    const auto answer = getattr({A::space_avail, A::space_total});
    auto in = values(answer);
    EXPECT_GT(in.u64(), 0u);
    EXPECT_EQ(in.u64(), std::uint64_t{1} << 30);
}

TEST_F(NfsGetattr, the_filehandle_is_the_one_that_putfh_takes) {
    const auto file = make(data_root, "f");
    at(file);
    const auto answer = getattr({A::filehandle});
    auto in = values(answer);
    FileRef found;
    ASSERT_EQ(compound.file_of(in.opaque(fh_size_max), found), NfsStatus::ok);
    EXPECT_EQ(found.id, file);
}

TEST_F(NfsGetattr, attributes_that_can_only_be_set_are_inval) {
    EXPECT_EQ(getattr({A::size, A::time_modify_set}).status, NfsStatus::inval);
}

TEST_F(NfsGetattr, a_removed_file_is_stale) {
    const auto file = make(data_root, "f");
    at(file);
    ASSERT_TRUE(world.run(fs.remove(as_root, data_root, "f", vfs::RemoveKind::any)));
    EXPECT_EQ(getattr({A::size}).status, NfsStatus::stale);
}

TEST_F(NfsGetattr, a_mask_without_its_words_is_badxdr) {
    EXPECT_EQ(status(op_getattr, [](XdrWriter& out) { out.u32(3); }), NfsStatus::badxdr);
}

class NfsAccess : public OperationTest {
protected:
    struct Rights {
        std::uint32_t supported = 0, granted = 0;
        friend bool operator==(const Rights&, const Rights&) = default;
    };
    Rights access(std::uint32_t wanted) {
        const auto answer = run(op_access, [=](XdrWriter& out) { out.u32(wanted); });
        EXPECT_EQ(answer.status, NfsStatus::ok);
        auto in = answer.reader();
        const auto supported = in.u32();
        return {supported, in.u32()};
    }
};

TEST_F(NfsAccess, a_file_of_another_with_mode_0644_can_be_read_only) {
    at(make(data_root, "f"));
    EXPECT_EQ(access(0x3f), (Rights{0x2d, 0x01}));
}

TEST_F(NfsAccess, a_directory_of_ones_own_can_be_changed) {
    at(data_root);
    EXPECT_EQ(access(0x3f), (Rights{0x1f, 0x1f}));
}

TEST_F(NfsAccess, only_what_was_asked_is_answered) {
    at(data_root);
    EXPECT_EQ(access(0x02), (Rights{0x02, 0x02}));
}

TEST_F(NfsAccess, nothing_can_be_changed_on_a_read_only_share) {
    compound.set_current(*docs, docs_root);
    EXPECT_EQ(access(0x3f), (Rights{0x1f, 0x03}));
}

TEST_F(NfsAccess, the_pseudo_root_can_be_looked_at) {
    compound.set_pseudo_root();
    EXPECT_EQ(access(0x3f), (Rights{0x1f, 0x03}));
}

TEST_F(NfsAccess, xattr_rights_exist_from_minor_version_two_on) {
    at(data_root);
    EXPECT_EQ(access(0x1c0), (Rights{0x1c0, 0x1c0}));
    compound.minor_version = 1;
    EXPECT_EQ(status(op_access, [](XdrWriter& out) { out.u32(0x40); }), NfsStatus::inval);
}

class NfsVerify : public OperationTest {
protected:
    static void size_is(XdrWriter& out, std::uint64_t size) {
        write_fattr(out, {A::size}, [=](XdrWriter& w) { w.u64(size); });
    }
};

TEST_F(NfsVerify, verify_goes_on_where_attributes_are_equal_and_nverify_where_not) {
    const auto file = make(data_root, "f");
    fill(file, 0, "12345");
    at(file);
    EXPECT_EQ(status(op_verify, [](XdrWriter& out) { size_is(out, 5); }), NfsStatus::ok);
    EXPECT_EQ(status(op_verify, [](XdrWriter& out) { size_is(out, 6); }), NfsStatus::not_same);
    EXPECT_EQ(status(op_nverify, [](XdrWriter& out) { size_is(out, 5); }), NfsStatus::same);
    EXPECT_EQ(status(op_nverify, [](XdrWriter& out) { size_is(out, 6); }), NfsStatus::ok);
}

TEST_F(NfsVerify, what_cannot_be_compared_is_refused) {
    const auto zero = [](XdrWriter& w) { w.u32(0); };
    AttributeMask quota;
    quota.set(39);
    EXPECT_EQ(status(op_verify, [&](XdrWriter& out) { write_fattr(out, {A::time_access_set}, zero); }), NfsStatus::inval);
    EXPECT_EQ(status(op_verify, [&](XdrWriter& out) { write_fattr(out, {A::rdattr_error}, zero); }), NfsStatus::inval);
    EXPECT_EQ(status(op_nverify, [&](XdrWriter& out) { write_fattr(out, quota, zero); }), NfsStatus::attrnotsupp);
}

}  // namespace
}  // namespace strata::nfs

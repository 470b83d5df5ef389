// SPDX-License-Identifier: Apache-2.0
// CREATE: each type, its errors and which of them comes first.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

using A = Attribute;

class NfsCreate : public OperationTest {
protected:
    Answer create(FileType4 type, std::string_view name, const Arguments& attrs = write_no_fattr, std::string_view target = "a/b") {
        return run(op_create, [&](XdrWriter& out) {
            out.write(type);
            if (type == FileType4::lnk) out.text(target);
            if (type == FileType4::blk || type == FileType4::chr) {
                out.u32(8);
                out.u32(9);
            }
            out.text(name);
            attrs(out);
        });
    }
};

TEST_F(NfsCreate, a_directory_becomes_the_current_filehandle) {
    const auto before = attributes(data_root).change;
    const auto answer = create(FileType4::dir, "d", [](XdrWriter& out) { write_mode(out, 0750); });
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    EXPECT_TRUE(in.boolean());
    EXPECT_EQ(in.u64(), before);
    EXPECT_EQ(in.u64(), attributes(data_root).change);
    EXPECT_EQ(read_mask(in), AttributeMask{A::mode});
    EXPECT_EQ(in.remaining(), 0u);
    const auto made = find(data_root, "d");
    ASSERT_TRUE(made);
    EXPECT_EQ(compound.current.id, made->id);
    EXPECT_EQ(made->attributes.type, vfs::FileType::directory);
    EXPECT_EQ(made->attributes.mode, 0750u);
    EXPECT_EQ(made->attributes.uid, 1000u);
}

TEST_F(NfsCreate, a_symbolic_link_keeps_its_target) {
    ASSERT_EQ(create(FileType4::lnk, "l", write_no_fattr, "../x y").status, NfsStatus::ok);
    const auto target = world.run(fs.read_link(as_root, compound.current.id));
    ASSERT_TRUE(target);
    EXPECT_EQ(*target, "../x y");
}

TEST_F(NfsCreate, fifos_and_sockets_are_for_everybody) {
    EXPECT_EQ(create(FileType4::fifo, "p").status, NfsStatus::ok);
    EXPECT_EQ(attributes(compound.current.id).type, vfs::FileType::fifo);
    at(data_root);
    EXPECT_EQ(create(FileType4::sock, "s").status, NfsStatus::ok);
    EXPECT_EQ(attributes(compound.current.id).type, vfs::FileType::socket);
}

TEST_F(NfsCreate, devices_are_for_the_superuser) {
    EXPECT_EQ(create(FileType4::blk, "b").status, NfsStatus::perm);
    become(0);
    EXPECT_EQ(create(FileType4::blk, "b").status, NfsStatus::ok);
    EXPECT_EQ(attributes(compound.current.id).type, vfs::FileType::block_device);
    EXPECT_EQ(attributes(compound.current.id).device, (vfs::Device{8, 9}));
    at(data_root);
    EXPECT_EQ(create(FileType4::chr, "c").status, NfsStatus::ok);
    EXPECT_EQ(attributes(compound.current.id).type, vfs::FileType::character_device);
}

TEST_F(NfsCreate, regular_files_and_unknown_types_are_badtype) {
    EXPECT_EQ(create(FileType4::reg, "f").status, NfsStatus::badtype);
    EXPECT_EQ(create(FileType4::namedattr, "f").status, NfsStatus::badtype);
    EXPECT_EQ(create(static_cast<FileType4>(99), "f").status, NfsStatus::badtype);
}

TEST_F(NfsCreate, a_taken_name_is_exist) {
    make(data_root, "f");
    EXPECT_EQ(create(FileType4::dir, "f").status, NfsStatus::exist);
    EXPECT_EQ(compound.current.id, data_root);
}

TEST_F(NfsCreate, names_that_cannot_be_are_refused) {
    EXPECT_EQ(create(FileType4::dir, "").status, NfsStatus::inval);
    EXPECT_EQ(create(FileType4::dir, ".").status, NfsStatus::badname);
    EXPECT_EQ(create(FileType4::dir, "..").status, NfsStatus::badname);
    EXPECT_EQ(create(FileType4::dir, "a/b").status, NfsStatus::badchar);
    EXPECT_EQ(create(FileType4::dir, "\xff").status, NfsStatus::inval);
    EXPECT_EQ(create(FileType4::dir, std::string(256, 'x')).status, NfsStatus::nametoolong);
    EXPECT_EQ(create(FileType4::dir, std::string(255, 'x')).status, NfsStatus::ok);
}

TEST_F(NfsCreate, where_there_is_no_directory_that_comes_before_a_bad_name) {
    at(make(data_root, "f"));
    EXPECT_EQ(create(FileType4::dir, "x").status, NfsStatus::notdir);
    EXPECT_EQ(create(FileType4::dir, "").status, NfsStatus::notdir);
    EXPECT_EQ(create(FileType4::reg, "x").status, NfsStatus::notdir);
}

TEST_F(NfsCreate, attributes_that_cannot_be_set_are_refused) {
    AttributeMask quota;
    quota.set(39);
    const auto one = [](XdrWriter& w) { w.u64(1); };
    EXPECT_EQ(create(FileType4::dir, "d", [&](XdrWriter& out) { write_fattr(out, {A::fileid}, one); }).status, NfsStatus::inval);
    EXPECT_EQ(create(FileType4::dir, "d", [&](XdrWriter& out) { write_fattr(out, quota, one); }).status, NfsStatus::attrnotsupp);
    EXPECT_FALSE(find(data_root, "d"));
}

TEST_F(NfsCreate, links_without_a_target_or_with_an_endless_one_are_refused) {
    EXPECT_EQ(create(FileType4::lnk, "l", write_no_fattr, "").status, NfsStatus::inval);
    EXPECT_EQ(create(FileType4::lnk, "l", write_no_fattr, std::string(vfs::symlink_size_max + 1, 'x')).status, NfsStatus::nametoolong);
}

TEST_F(NfsCreate, in_the_directory_of_another_is_access) {
    at(make(data_root, "theirs", vfs::FileType::directory, 0755));
    EXPECT_EQ(create(FileType4::dir, "d").status, NfsStatus::access);
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// REMOVE, RENAME, LINK.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

struct Changed {
    bool atomic = false;
    std::uint64_t before = 0, after = 0;
};

Changed read_change(XdrReader& in) {
    Changed c;
    c.atomic = in.boolean();
    c.before = in.u64();
    c.after = in.u64();
    return c;
}

class NfsRemove : public OperationTest {
protected:
    Answer remove(std::string_view name) {
        return run(op_remove, [=](XdrWriter& out) { out.text(name); });
    }
};

TEST_F(NfsRemove, takes_the_name_away_and_tells_the_change_of_the_directory) {
    make(data_root, "f");
    const auto before = attributes(data_root).change;
    const auto answer = remove("f");
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    const auto change = read_change(in);
    EXPECT_TRUE(change.atomic);
    EXPECT_EQ(change.before, before);
    EXPECT_EQ(change.after, attributes(data_root).change);
    EXPECT_FALSE(find(data_root, "f"));
}

TEST_F(NfsRemove, directories_go_when_they_are_empty) {
    const auto dir = make(data_root, "d", vfs::FileType::directory, 0755);
    make(dir, "f");
    EXPECT_EQ(remove("d").status, NfsStatus::notempty);
    ASSERT_TRUE(world.run(fs.remove(as_root, dir, "f", vfs::RemoveKind::any)));
    EXPECT_EQ(remove("d").status, NfsStatus::ok);
}

TEST_F(NfsRemove, names_that_cannot_be_are_refused) {
    EXPECT_EQ(remove("").status, NfsStatus::inval);
    EXPECT_EQ(remove(".").status, NfsStatus::badname);
    EXPECT_EQ(remove("..").status, NfsStatus::badname);
    EXPECT_EQ(remove("\xc0\x80").status, NfsStatus::inval);
    EXPECT_EQ(remove("absent").status, NfsStatus::noent);
}

TEST_F(NfsRemove, in_a_file_is_notdir) {
    at(make(data_root, "f"));
    EXPECT_EQ(remove("x").status, NfsStatus::notdir);
    EXPECT_EQ(remove("").status, NfsStatus::notdir);
}

class NfsRename : public OperationTest {
protected:
    NfsRename() {
        become(0);
        one = make(data_root, "one", vfs::FileType::directory, 0755);
        two = make(data_root, "two", vfs::FileType::directory, 0755);
        save(one);
        at(two);
    }
    Answer rename(std::string_view name, std::string_view new_name) {
        return run(op_rename, [=](XdrWriter& out) {
            out.text(name);
            out.text(new_name);
        });
    }
    vfs::FileId one, two;
};

TEST_F(NfsRename, moves_from_the_saved_to_the_current_directory) {
    const auto file = make(one, "f");
    const auto before_one = attributes(one).change, before_two = attributes(two).change;
    const auto answer = rename("f", "g");
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    const auto source = read_change(in), target = read_change(in);
    EXPECT_EQ(source.before, before_one);
    EXPECT_EQ(source.after, attributes(one).change);
    EXPECT_EQ(target.before, before_two);
    EXPECT_EQ(target.after, attributes(two).change);
    EXPECT_FALSE(find(one, "f"));
    ASSERT_TRUE(find(two, "g"));
    EXPECT_EQ(find(two, "g")->id, file);
}

TEST_F(NfsRename, replaces_a_file_or_an_empty_directory_of_the_same_kind) {
    make(one, "f");
    make(two, "g");
    EXPECT_EQ(rename("f", "g").status, NfsStatus::ok);
    make(one, "d", vfs::FileType::directory);
    const auto full = make(two, "full", vfs::FileType::directory);
    make(full, "x");
    EXPECT_EQ(rename("d", "full").status, NfsStatus::notempty);
    EXPECT_EQ(rename("d", "g").status, NfsStatus::exist);
    make(one, "f");
    EXPECT_EQ(rename("f", "full").status, NfsStatus::exist);
}

TEST_F(NfsRename, a_directory_cannot_move_into_itself) {
    const auto parent = make(one, "p", vfs::FileType::directory, 0755);
    at(parent);
    EXPECT_EQ(rename("p", "q").status, NfsStatus::inval);
}

TEST_F(NfsRename, both_names_are_checked) {
    make(one, "f");
    EXPECT_EQ(rename("", "g").status, NfsStatus::inval);
    EXPECT_EQ(rename("f", "").status, NfsStatus::inval);
    EXPECT_EQ(rename(".", "g").status, NfsStatus::badname);
    EXPECT_EQ(rename("f", "..").status, NfsStatus::badname);
    EXPECT_EQ(rename("absent", "g").status, NfsStatus::noent);
}

TEST_F(NfsRename, each_filehandle_has_to_be_a_directory) {
    const auto file = make(one, "f");
    at(file);
    EXPECT_EQ(rename("f", "g").status, NfsStatus::notdir);
    EXPECT_EQ(rename("f", "").status, NfsStatus::notdir);
    save(file);
    at(two);
    EXPECT_EQ(rename("f", "g").status, NfsStatus::notdir);
}

TEST_F(NfsRename, from_share_to_share_is_xdev) {
    make(docs_root, "f");
    compound.saved = FileRef{FileRef::Kind::file, docs, docs_root};
    EXPECT_EQ(rename("f", "g").status, NfsStatus::xdev);
}

class NfsLink : public OperationTest {
protected:
    Answer link(std::string_view name) {
        return run(op_link, [=](XdrWriter& out) { out.text(name); });
    }
};

TEST_F(NfsLink, gives_a_file_a_second_name) {
    const auto file = make(data_root, "f");
    save(file);
    const auto before = attributes(data_root).change;
    const auto answer = link("g");
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    const auto change = read_change(in);
    EXPECT_EQ(change.before, before);
    EXPECT_EQ(change.after, attributes(data_root).change);
    EXPECT_EQ(attributes(file).link_count, 2u);
}

TEST_F(NfsLink, a_directory_has_one_name_only) {
    save(make(data_root, "d", vfs::FileType::directory));
    EXPECT_EQ(link("e").status, NfsStatus::isdir);
}

TEST_F(NfsLink, a_taken_or_impossible_name_is_refused) {
    save(make(data_root, "f"));
    EXPECT_EQ(link("f").status, NfsStatus::exist);
    EXPECT_EQ(link("").status, NfsStatus::inval);
    EXPECT_EQ(link(std::string(300, 'x')).status, NfsStatus::nametoolong);
    at(compound.saved.id);
    EXPECT_EQ(link("g").status, NfsStatus::notdir);
}

TEST_F(NfsLink, from_share_to_share_is_xdev) {
    compound.saved = FileRef{FileRef::Kind::file, docs, make(docs_root, "f")};
    EXPECT_EQ(link("g").status, NfsStatus::xdev);
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// READ, READLINK, READ_PLUS.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

class NfsRead : public OperationTest {
protected:
    Answer read(RunHandler handler, std::uint64_t offset, std::uint32_t count) {
        return run(handler, [=](XdrWriter& out) {
            out.write(Stateid::anonymous());
            out.u64(offset);
            out.u32(count);
        });
    }
    struct Data {
        bool eof = false;
        std::string bytes;
        friend bool operator==(const Data&, const Data&) = default;
    };
    Data data_of(const Answer& answer) {
        EXPECT_EQ(answer.status, NfsStatus::ok);
        auto in = answer.reader();
        const bool eof = in.boolean();
        Data d{eof, std::string(in.text(in.remaining()))};
        EXPECT_TRUE(in.ok());
        EXPECT_EQ(in.remaining(), 0u);
        return d;
    }
};

TEST_F(NfsRead, gives_the_bytes_and_says_when_the_end_is_reached) {
    const auto file = make(data_root, "f");
    fill(file, 0, "hello world");
    at(file);
    EXPECT_EQ(data_of(read(op_read, 0, 5)), (Data{false, "hello"}));
    EXPECT_EQ(data_of(read(op_read, 6, 100)), (Data{true, "world"}));
}

TEST_F(NfsRead, past_the_end_returns_no_bytes_and_eof) {
    const auto file = make(data_root, "f");
    fill(file, 0, "hello");
    at(file);
    EXPECT_EQ(data_of(read(op_read, 5, 10)), (Data{true, ""}));
    EXPECT_EQ(data_of(read(op_read, ~std::uint64_t{0} - 5, 10)), (Data{true, ""}));
}

TEST_F(NfsRead, more_than_the_reply_has_room_for_is_cut_short) {
    const auto file = make(data_root, "f");
    fill(file, 0, std::string(10000, 'x'));
    at(file);
    compound.reply_limit = 1000;
    const auto answer = read(op_read, 0, 10000);
    EXPECT_LT(answer.bytes.size(), 1000u);
    EXPECT_FALSE(data_of(answer).eof);
    EXPECT_GT(data_of(answer).bytes.size(), 900u);
}

TEST_F(NfsRead, a_file_that_may_not_be_read_is_access) {
    at(make(data_root, "f", vfs::FileType::regular, 0600));
    EXPECT_EQ(read(op_read, 0, 1).status, NfsStatus::access);
}

TEST_F(NfsRead, what_is_no_file_has_the_status_of_its_type) {
    const auto link = make(data_root, "l", vfs::FileType::symlink);
    const auto fifo = make(data_root, "p", vfs::FileType::fifo);
    at(data_root);
    EXPECT_EQ(read(op_read, 0, 1).status, NfsStatus::isdir);
    at(link);
    EXPECT_EQ(read(op_read, 0, 1).status, NfsStatus::symlink);
    at(fifo);
    EXPECT_EQ(read(op_read, 0, 1).status, NfsStatus::wrong_type);
    compound.minor_version = 0;
    EXPECT_EQ(read(op_read, 0, 1).status, NfsStatus::inval);
}

TEST_F(NfsRead, readlink_gives_the_target) {
    at(make(data_root, "l", vfs::FileType::symlink));
    const auto answer = run(op_readlink);
    ASSERT_EQ(answer.status, NfsStatus::ok);
    EXPECT_EQ(answer.reader().text(100), "target");
}

TEST_F(NfsRead, readlink_of_anything_else_is_inval_or_wrong_type) {
    const auto file = make(data_root, "f");
    at(file);
    EXPECT_EQ(status(op_readlink), NfsStatus::wrong_type);
    compound.minor_version = 0;
    EXPECT_EQ(status(op_readlink), NfsStatus::inval);
    at(data_root);
    EXPECT_EQ(status(op_readlink), NfsStatus::inval);
}

class NfsReadPlus : public NfsRead {
protected:
    struct Content {
        bool hole = false;
        std::uint64_t offset = 0, length = 0;
        friend bool operator==(const Content&, const Content&) = default;
    };
    std::vector<Content> contents(const Answer& answer, bool& eof) {
        EXPECT_EQ(answer.status, NfsStatus::ok);
        auto in = answer.reader();
        eof = in.boolean();
        std::vector<Content> found(in.u32());
        for (auto& c : found) {
            c.hole = in.u32() == 1;
            c.offset = in.u64();
            c.length = c.hole ? in.u64() : in.opaque(in.remaining()).size();
        }
        EXPECT_TRUE(in.ok());
        EXPECT_EQ(in.remaining(), 0u);
        return found;
    }
};

TEST_F(NfsReadPlus, holes_are_told_apart_from_data) {
    const auto file = make(data_root, "f");
    fill(file, 0, std::string(4096, 'a'));
    fill(file, 12288, "end");
    at(file);
    bool eof = false;
    EXPECT_EQ(contents(read(op_read_plus, 0, 100000), eof),
              (std::vector<Content>{{false, 0, 4096}, {true, 4096, 8192}, {false, 12288, 3}}));
    EXPECT_TRUE(eof);
    EXPECT_EQ(contents(read(op_read_plus, 100, 5000), eof), (std::vector<Content>{{false, 100, 3996}, {true, 4096, 1004}}));
    EXPECT_FALSE(eof);
}

TEST_F(NfsReadPlus, past_the_end_there_is_nothing_but_eof) {
    const auto file = make(data_root, "f");
    fill(file, 0, "x");
    at(file);
    bool eof = false;
    EXPECT_TRUE(contents(read(op_read_plus, 1, 10), eof).empty());
    EXPECT_TRUE(eof);
    EXPECT_TRUE(contents(read(op_read_plus, 1000, 10), eof).empty());
    EXPECT_TRUE(eof);
}

TEST_F(NfsReadPlus, a_reply_without_room_says_what_fits) {
    const auto file = make(data_root, "f");
    fill(file, 0, std::string(10000, 'x'));
    at(file);
    compound.reply_limit = 1000;
    bool eof = true;
    const auto answer = read(op_read_plus, 0, 10000);
    EXPECT_LT(answer.bytes.size(), 1000u);
    const auto found = contents(answer, eof);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_GT(found[0].length, 900u);
    EXPECT_FALSE(eof);
}

}  // namespace
}  // namespace strata::nfs

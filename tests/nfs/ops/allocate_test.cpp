// SPDX-License-Identifier: Apache-2.0
// ALLOCATE, DEALLOCATE, SEEK, IO_ADVISE.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

class NfsAllocate : public OperationTest {
protected:
    NfsAllocate() {
        become(0);
        file = make(data_root, "f");
        at(file);
    }
    NfsStatus range(RunHandler handler, std::uint64_t offset, std::uint64_t length) {
        return status(handler, [=](XdrWriter& out) {
            out.write(Stateid::anonymous());
            out.u64(offset);
            out.u64(length);
        });
    }
    vfs::FileId file;
};

TEST_F(NfsAllocate, allocating_past_the_end_makes_the_file_longer) {
    EXPECT_EQ(range(op_allocate, 0, 10000), NfsStatus::ok);
    EXPECT_EQ(attributes(file).size, 10000u);
}

TEST_F(NfsAllocate, deallocating_makes_a_hole_and_keeps_the_size) {
    fill(file, 0, std::string(12288, 'x'));
    EXPECT_EQ(range(op_deallocate, 4096, 4096), NfsStatus::ok);
    EXPECT_EQ(attributes(file).size, 12288u);
    EXPECT_EQ(content(file).substr(4096, 4096), std::string(4096, '\0'));
}

TEST_F(NfsAllocate, no_length_is_inval_and_too_much_is_fbig) {
    EXPECT_EQ(range(op_allocate, 0, 0), NfsStatus::inval);
    EXPECT_EQ(range(op_deallocate, 0, 0), NfsStatus::inval);
    EXPECT_EQ(range(op_allocate, 1, ~std::uint64_t{0}), NfsStatus::fbig);
    EXPECT_EQ(range(op_allocate, vfs::file_size_max, 1), NfsStatus::fbig);
}

TEST_F(NfsAllocate, a_directory_is_isdir) {
    at(data_root);
    EXPECT_EQ(range(op_allocate, 0, 1), NfsStatus::isdir);
}

class NfsSeek : public NfsAllocate {
protected:
    struct Found {
        bool eof = false;
        std::uint64_t offset = 0;
        friend bool operator==(const Found&, const Found&) = default;
    };
    Answer seek_any(std::uint64_t offset, std::uint32_t what) {
        return run(op_seek, [=](XdrWriter& out) {
            out.write(Stateid::anonymous());
            out.u64(offset);
            out.u32(what);
        });
    }
    Found seek(std::uint64_t offset, std::uint32_t what) {
        const auto answer = seek_any(offset, what);
        EXPECT_EQ(answer.status, NfsStatus::ok);
        auto in = answer.reader();
        const bool eof = in.boolean();
        return {eof, in.u64()};
    }
    static constexpr std::uint32_t data_content = 0, hole_content = 1;
};

TEST_F(NfsSeek, finds_data_and_holes_from_any_offset) {
    fill(file, 0, std::string(4096, 'x'));
    fill(file, 12288, "tail");
    EXPECT_EQ(seek(10, data_content), (Found{false, 10}));
    EXPECT_EQ(seek(10, hole_content), (Found{false, 4096}));
    EXPECT_EQ(seek(5000, data_content), (Found{false, 12288}));
    EXPECT_EQ(seek(5000, hole_content), (Found{false, 5000}));
}

TEST_F(NfsSeek, the_end_of_the_file_is_a_hole) {
    fill(file, 0, "data");
    EXPECT_EQ(seek(0, hole_content), (Found{true, 4}));
}

TEST_F(NfsSeek, where_no_data_follow_eof_is_set) {
    vfs::SetAttributes set;
    set.size = 10000;
    ASSERT_TRUE(world.run(fs.set_attributes(as_root, file, set, false)));
    EXPECT_EQ(seek(100, data_content), (Found{true, 10000}));
}

TEST_F(NfsSeek, from_the_end_on_is_nxio) {
    fill(file, 0, "data");
    EXPECT_EQ(seek_any(4, data_content).status, NfsStatus::nxio);
    EXPECT_EQ(seek_any(400, hole_content).status, NfsStatus::nxio);
}

TEST_F(NfsSeek, other_contents_are_not_supported) { EXPECT_EQ(seek_any(0, 2).status, NfsStatus::union_notsupp); }

TEST_F(NfsAllocate, advice_is_taken_and_none_of_it_kept) {
    const auto answer = run(op_io_advise, [](XdrWriter& out) {
        out.write(Stateid::anonymous());
        out.u64(0);
        out.u64(100);
        out.u32(1);
        out.u32(0x3);
    });
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    EXPECT_TRUE(read_mask(in).none());
}

}  // namespace
}  // namespace strata::nfs

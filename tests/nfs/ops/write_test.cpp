// SPDX-License-Identifier: Apache-2.0
// WRITE, COMMIT.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

class NfsWrite : public OperationTest {
protected:
    NfsWrite() {
        become(0);
        file = make(data_root, "f");
        at(file);
    }
    Answer write(std::uint64_t offset, std::uint32_t stable, std::string_view bytes) {
        return run(op_write, [=](XdrWriter& out) {
            out.write(Stateid::anonymous());
            out.u64(offset);
            out.u32(stable);
            out.text(bytes);
        });
    }
    Answer commit(std::uint64_t offset, std::uint32_t count) {
        return run(op_commit, [=](XdrWriter& out) {
            out.u64(offset);
            out.u32(count);
        });
    }
    vfs::FileId file;
};

TEST_F(NfsWrite, stores_the_bytes_and_says_how_stable_they_are) {
    const auto answer = write(3, 2, "hello");
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    EXPECT_EQ(in.u32(), 5u);
    EXPECT_EQ(in.u32(), 2u);
    EXPECT_EQ(in.remaining(), 8u);
    EXPECT_EQ(content(file), std::string(3, '\0') + "hello");
}

TEST_F(NfsWrite, write_and_commit_carry_the_same_verifier_until_it_changes) {
    const auto verifier = [](const Answer& a) { return std::string(as_text(a.bytes.span().last(8))); };
    const auto written = write(0, 0, "x");
    EXPECT_EQ(verifier(written), verifier(commit(0, 0)));
    fs.change_write_verifier();
    EXPECT_NE(verifier(written), verifier(commit(0, 0)));
}

TEST_F(NfsWrite, no_bytes_are_no_error) {
    const auto answer = write(100, 0, "");
    ASSERT_EQ(answer.status, NfsStatus::ok);
    EXPECT_EQ(answer.reader().u32(), 0u);
    EXPECT_EQ(attributes(file).size, 0u);
}

TEST_F(NfsWrite, past_the_largest_file_is_fbig) {
    EXPECT_EQ(write(~std::uint64_t{0} - 1, 0, "xyz").status, NfsStatus::fbig);
    EXPECT_EQ(write(vfs::file_size_max, 0, "xyz").status, NfsStatus::fbig);
}

TEST_F(NfsWrite, an_unknown_stability_is_badxdr) { EXPECT_EQ(write(0, 3, "x").status, NfsStatus::badxdr); }

TEST_F(NfsWrite, a_payload_shorter_than_it_says_is_badxdr) {
    EXPECT_EQ(status(op_write,
                     [](XdrWriter& out) {
                         out.write(Stateid::anonymous());
                         out.u64(0);
                         out.u32(0);
                         out.u32(100);
                         out.u64(0);
                     }),
              NfsStatus::badxdr);
}

TEST_F(NfsWrite, a_file_that_may_not_be_written_is_access) {
    become(1000);
    EXPECT_EQ(write(0, 0, "x").status, NfsStatus::access);
}

TEST_F(NfsWrite, a_full_volume_is_nospc) {
    const std::string megabyte(1 << 20, 'x');
    sim::MemoryFileSystem small(world.clock(), 1 << 20);
    service->parts.fs = &small;
    vfs::CreateRequest request_file;
    const auto made = world.run(small.create(as_root, small.root(), "f", request_file));
    ASSERT_TRUE(made);
    at(made->entry.id);
    EXPECT_EQ(write(0, 0, megabyte).status, NfsStatus::ok);
    EXPECT_EQ(write(1 << 20, 0, megabyte).status, NfsStatus::nospc);
}

TEST_F(NfsWrite, commit_of_a_range_past_the_last_offset_is_inval) {
    EXPECT_EQ(commit(~std::uint64_t{0}, 2).status, NfsStatus::inval);
    EXPECT_EQ(commit(~std::uint64_t{0}, 0).status, NfsStatus::ok);
}

TEST_F(NfsWrite, commit_of_what_is_no_file_has_the_status_of_its_type) {
    const auto fifo = make(data_root, "p", vfs::FileType::fifo);
    at(data_root);
    EXPECT_EQ(commit(0, 0).status, NfsStatus::isdir);
    at(fifo);
    EXPECT_EQ(commit(0, 0).status, NfsStatus::wrong_type);
    compound.minor_version = 0;
    EXPECT_EQ(commit(0, 0).status, NfsStatus::inval);
}

TEST_F(NfsWrite, a_request_may_run_for_half_of_the_lease_at_most) {
    service->config.request_timeout = 30s;
    service->config.lease = 20s;
    compound.begin(3, 1);
    EXPECT_EQ(compound.ctx.deadline, world.clock().now() + 10s);
    service->config.lease = 90s;
    compound.begin(4, 1);
    EXPECT_EQ(compound.ctx.deadline, world.clock().now() + 30s);
}

}  // namespace
}  // namespace strata::nfs

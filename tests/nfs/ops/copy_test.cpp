// SPDX-License-Identifier: Apache-2.0
// COPY, CLONE, and the offloads that never are.
#include "tests/nfs/ops/operation_fixture.h"

namespace strata::nfs {
namespace {

class NfsCopy : public OperationTest {
protected:
    NfsCopy() {
        become(0);
        source = make(data_root, "source");
        target = make(data_root, "target");
        fill(source, 0, std::string(4096, 'a') + std::string(4096, 'b') + "tail");
        save(source);
        at(target);
    }
    static void range(XdrWriter& out, std::uint64_t from, std::uint64_t to, std::uint64_t count) {
        out.write(Stateid::anonymous());
        out.write(Stateid::anonymous());
        out.u64(from);
        out.u64(to);
        out.u64(count);
    }
    Answer copy(std::uint64_t from, std::uint64_t to, std::uint64_t count, std::uint32_t servers = 0) {
        return run(op_copy, [=](XdrWriter& out) {
            range(out, from, to, count);
            out.boolean(true);
            out.boolean(false);
            out.u32(servers);
            for (std::uint32_t i = 0; i < servers; ++i) {
                out.u32(1);
                out.text("other.example.org");
            }
        });
    }
    NfsStatus clone(std::uint64_t from, std::uint64_t to, std::uint64_t count) {
        return status(op_clone, [=](XdrWriter& out) { range(out, from, to, count); });
    }
    vfs::FileId source, target;
};

TEST_F(NfsCopy, an_asynchronous_copy_is_answered_as_a_synchronous_one) {
    const auto answer = copy(4096, 10, 4100);
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    EXPECT_EQ(in.u32(), 0u);  // callback id
    EXPECT_EQ(in.u64(), 4100u);
    EXPECT_LE(in.u32(), 2u);
    in.fixed(8);
    EXPECT_TRUE(in.boolean());
    EXPECT_TRUE(in.boolean());
    EXPECT_EQ(in.remaining(), 0u);
    EXPECT_EQ(content(target), std::string(10, '\0') + std::string(4096, 'b') + "tail");
    EXPECT_EQ(compound.current.id, target);
}

TEST_F(NfsCopy, a_count_of_zero_copies_to_the_end) {
    const auto answer = copy(8190, 0, 0);
    ASSERT_EQ(answer.status, NfsStatus::ok);
    auto in = answer.reader();
    in.u32();
    EXPECT_EQ(in.u64(), 6u);
    EXPECT_EQ(content(target), "bbtail");
}

TEST_F(NfsCopy, what_lies_past_the_end_of_the_source_is_inval) {
    EXPECT_EQ(copy(8197, 0, 0).status, NfsStatus::inval);
    EXPECT_EQ(copy(8190, 0, 7).status, NfsStatus::inval);
    EXPECT_EQ(copy(0, 0, ~std::uint64_t{0}).status, NfsStatus::inval);
}

TEST_F(NfsCopy, inside_one_file_ranges_must_not_overlap) {
    at(source);
    EXPECT_EQ(copy(0, 100, 200).status, NfsStatus::inval);
    EXPECT_EQ(copy(0, 200, 200).status, NfsStatus::ok);
}

TEST_F(NfsCopy, from_other_servers_is_not_supported) { EXPECT_EQ(copy(0, 0, 10, 1).status, NfsStatus::notsupp); }

TEST_F(NfsCopy, both_sides_are_authorised) {
    become(1000);
    EXPECT_EQ(copy(0, 0, 10).status, NfsStatus::access);
    const auto own = make(data_root, "own", vfs::FileType::regular, 0666);
    const auto secret = make(data_root, "secret", vfs::FileType::regular, 0600);
    at(own);
    EXPECT_EQ(copy(0, 0, 10).status, NfsStatus::ok);
    save(secret);
    EXPECT_EQ(copy(0, 0, 0).status, NfsStatus::access);
}

TEST_F(NfsCopy, directories_are_isdir_on_either_side) {
    save(data_root);
    EXPECT_EQ(copy(0, 0, 0).status, NfsStatus::isdir);
    save(source);
    at(data_root);
    EXPECT_EQ(copy(0, 0, 0).status, NfsStatus::isdir);
}

TEST_F(NfsCopy, clone_shares_whole_blocks) {
    EXPECT_EQ(clone(4096, 0, 0), NfsStatus::ok);
    EXPECT_EQ(content(target), std::string(4096, 'b') + "tail");
}

TEST_F(NfsCopy, clone_of_unaligned_ranges_is_inval) {
    EXPECT_EQ(clone(1, 0, 4096), NfsStatus::inval);
    EXPECT_EQ(clone(0, 1, 4096), NfsStatus::inval);
    EXPECT_EQ(clone(0, 0, 100), NfsStatus::inval);
}

TEST_F(NfsCopy, clone_from_share_to_share_is_xdev) {
    compound.saved = FileRef{FileRef::Kind::file, docs, make(docs_root, "f")};
    EXPECT_EQ(clone(0, 0, 0), NfsStatus::xdev);
}

TEST_F(NfsCopy, there_is_never_an_offload) {
    const auto stateid = [](XdrWriter& out) { out.write(Stateid{7, {std::byte{1}}}); };
    EXPECT_EQ(status(op_offload_cancel, stateid), NfsStatus::bad_stateid);
    EXPECT_EQ(status(op_offload_status, stateid), NfsStatus::bad_stateid);
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// XDR: bounds, padding, attachments (RFC 4506).
#include "nfs/wire/xdr.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nfs/wire/types.h"

namespace strata::nfs {
namespace {

Slice slice_of(const std::vector<std::uint8_t>& bytes) {
    auto slice = allocate_heap(std::max<std::size_t>(bytes.size(), 1));
    if (!bytes.empty()) std::memcpy(slice.writable().data(), bytes.data(), bytes.size());
    return slice.sub(0, bytes.size());
}

std::vector<std::uint8_t> bytes_of(const Reply& reply) {
    std::vector<std::uint8_t> out;
    reply.for_each_piece([&out](Bytes piece) {
        for (const auto b : piece) out.push_back(static_cast<std::uint8_t>(b));
    });
    return out;
}

TEST(XdrReader, reads_what_rfc_4506_writes) {
    // Section 7: a file of name "sillyprog", type EXEC (2), interpreter "lisp", owner "john", 6 bytes of data "(quit)".
    const auto record =
        slice_of({0,   0,   0,   9,   's', 'i', 'l', 'l', 'y', 'p', 'r', 'o', 'g', 0, 0, 0, 0,   0,   0,   2,   0,   0,   0, 4,
                  'l', 'i', 's', 'p', 0,   0,   0,   4,   'j', 'o', 'h', 'n', 0,   0, 0, 6, '(', 'q', 'u', 'i', 't', ')', 0, 0});
    XdrReader in(record);
    EXPECT_EQ(in.text(255), "sillyprog");
    EXPECT_EQ(in.u32(), 2u);
    EXPECT_EQ(in.text(255), "lisp");
    EXPECT_EQ(in.text(32), "john");
    EXPECT_EQ(as_text(in.payload(65535).span()), "(quit)");
    EXPECT_TRUE(in.ok());
    EXPECT_EQ(in.remaining(), 0u);
}

TEST(XdrReader, fails_for_good_at_the_first_field_that_does_not_fit) {
    const auto record = slice_of({0, 0, 0, 1, 0, 0});
    XdrReader in(record);
    EXPECT_EQ(in.u32(), 1u);
    EXPECT_EQ(in.u32(), 0u);
    EXPECT_FALSE(in.ok());
    EXPECT_EQ(in.u64(), 0u);
    EXPECT_TRUE(in.opaque(10).empty());
}

TEST(XdrReader, a_length_past_the_end_or_the_bound_is_refused) {
    const auto record = slice_of({0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4});
    XdrReader huge(record);
    EXPECT_TRUE(huge.opaque(UINT32_MAX).empty());
    EXPECT_FALSE(huge.ok());
    const auto four = slice_of({0, 0, 0, 4, 1, 2, 3, 4});
    XdrReader bounded(four);
    EXPECT_TRUE(bounded.opaque(3).empty());
    EXPECT_FALSE(bounded.ok());
    XdrReader counted(record);
    EXPECT_EQ(counted.count(4), 0u);
    EXPECT_FALSE(counted.ok());
}

TEST(XdrReader, a_boolean_is_zero_or_one) {
    const auto record = slice_of({0, 0, 0, 2});
    XdrReader in(record);
    EXPECT_FALSE(in.boolean());
    EXPECT_FALSE(in.ok());
}

TEST(XdrReader, a_payload_keeps_the_record_alive) {
    Slice kept;
    {
        const auto record = slice_of({0, 0, 0, 4, 'd', 'a', 't', 'a'});
        XdrReader in(record);
        kept = in.payload(100);
    }
    EXPECT_EQ(as_text(kept.span()), "data");
}

TEST(XdrWriter, structs_go_both_ways_by_their_fields) {
    BufferPool pool(1 << 20);
    XdrWriter out(pool);
    Stateid stateid{7, {}};
    stateid.other[0] = std::byte{1};
    stateid.other[11] = std::byte{2};
    out.write(stateid);
    out.write(ChangeInfo{true, 5, 6});
    const auto bytes = bytes_of(out.take());
    EXPECT_EQ(bytes.size(), 16u + 20u);
    const auto record = slice_of(bytes);
    XdrReader in(record);
    Stateid again;
    ChangeInfo change;
    in.read(again);
    in.read(change);
    EXPECT_EQ(again, stateid);
    EXPECT_EQ(change.after, 6u);
    EXPECT_TRUE(in.ok());
}

TEST(XdrWriter, attachments_stand_in_their_place_with_padding) {
    BufferPool pool(1 << 20);
    XdrWriter out(pool);
    out.u32(1);
    out.opaque(BufferChain::copy_of("hello"));
    out.u32(2);
    out.opaque(BufferChain::copy_of("four"));
    EXPECT_EQ(out.size(), 4u + 4 + 8 + 4 + 4 + 4);
    const auto bytes = bytes_of(out.take());
    const std::vector<std::uint8_t> expected{0, 0, 0, 1, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o', 0,
                                             0, 0, 0, 0, 0, 2, 0, 0, 0,   4,   'f', 'o', 'u', 'r'};
    EXPECT_EQ(bytes, expected);
}

TEST(XdrWriter, a_rewind_drops_what_came_after_the_mark) {
    BufferPool pool(1 << 20);
    XdrWriter out(pool);
    out.u32(1);
    const auto mark = out.mark();
    out.opaque(BufferChain::copy_of("gone"));
    out.text("gone, too");
    out.rewind(mark);
    out.u32(2);
    EXPECT_EQ(bytes_of(out.take()), (std::vector<std::uint8_t>{0, 0, 0, 1, 0, 0, 0, 2}));
}

TEST(XdrWriter, grows_past_every_class_and_keeps_what_was_written) {
    BufferPool pool(8 << 20);
    XdrWriter out(pool);
    for (std::uint32_t i = 0; i < 400000; ++i) out.u32(i);
    const auto reply = out.take();
    ASSERT_EQ(reply.size(), 1600000u);
    for (std::uint32_t i = 0; i < 400000; ++i) ASSERT_EQ(load_be32(reply.head.data() + 4 * i), i);
}

TEST(XdrWriter, a_full_pool_does_not_keep_a_reply_from_going_out) {
    BufferPool pool(1);
    XdrWriter out(pool);
    out.u32(3);
    EXPECT_EQ(bytes_of(out.take()).size(), 4u);
}

TEST(XdrWriter, finished_replies_can_be_taken_while_another_is_under_way) {
    BufferPool pool(1 << 20);
    XdrWriter out(pool);
    out.u32(1);
    out.opaque(BufferChain::copy_of("data"));
    const auto finished = out.mark();
    const auto hole = out.hole();
    out.opaque(BufferChain::copy_of("next"));
    EXPECT_EQ(bytes_of(out.take_until(finished)), (std::vector<std::uint8_t>{0, 0, 0, 1, 0, 0, 0, 4, 'd', 'a', 't', 'a'}));
    out.patch(hole, 9);
    EXPECT_EQ(out.untaken(), 12u);
    EXPECT_EQ(bytes_of(out.take()), (std::vector<std::uint8_t>{0, 0, 0, 9, 0, 0, 0, 4, 'n', 'e', 'x', 't'}));
}

}  // namespace
}  // namespace strata::nfs

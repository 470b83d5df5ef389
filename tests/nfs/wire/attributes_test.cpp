// SPDX-License-Identifier: Apache-2.0
// fattr4: bytes as the RFCs give them, round trips, and what is refused.
#include "nfs/wire/attributes.h"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nfs/wire/acl.h"
#include "server/vfs/acl.h"

namespace strata::nfs {
namespace {

class FattrTest : public testing::Test {
protected:
    FattrTest() {
        object.id = {0x1122334455667788, 9};
        object.type = vfs::FileType::regular;
        object.mode = 0640;
        object.uid = 1000;
        object.gid = 65534;
        object.link_count = 3;
        object.size = 0x100000002;
        object.allocated = 8192;
        object.change = 77;
        object.access_time = {1, 2};
        object.modify_time = {-3, 4};
        object.change_time = {5, 6};
        object.birth_time = {7, 8};
        object.device = {0x0a, 0x0b};
        source.lease_seconds = 60;
        source.minor_version = 2;
        source.fsid = {0xf0, 0xf1};
        source.mounted_on_fileid = 0x99;
        source.handle.fill(std::byte{0x5a});
        source.space = {.total_bytes = 100, .free_bytes = 60, .available_bytes = 50, .total_files = 10, .free_files = 4};
    }

    std::string written(const std::function<void(XdrWriter&)>& write) {
        XdrWriter out(pool);
        write(out);
        const auto reply = out.take();
        return std::string(as_text(reply.head.span()));
    }
    std::string fattr(const AttributeMask& wanted) {
        return written([&](XdrWriter& out) { write_attributes(out, wanted, source); });
    }
    NfsStatus settable(const std::string& bytes, AttributeChange& change) {
        const Slice slice = BufferChain::copy_of(std::string_view(bytes)).flatten();
        XdrReader in(slice);
        return read_settable(in, source.minor_version, change);
    }
    NfsStatus set_one(const AttributeMask& mask, const std::function<void(XdrWriter&)>& value) {
        AttributeChange change;
        return settable(one(mask, value), change);
    }
    std::string one(const AttributeMask& mask, const std::function<void(XdrWriter&)>& value) {
        return written([&](XdrWriter& out) {
            const auto bytes = written(value);
            write_mask(out, mask);
            out.text(bytes);
        });
    }

    BufferPool pool{1 << 20};
    vfs::Attributes object;
    AttributeSource source{.object = object};
};

using A = Attribute;

TEST_F(FattrTest, type_change_and_size_stand_in_the_order_of_their_bits) {
    using namespace std::string_literals;
    EXPECT_EQ(fattr({A::size, A::change, A::type}),
              "\0\0\0\1"
              "\0\0\0\x1a"
              "\0\0\0\x14"
              "\0\0\0\1"
              "\0\0\0\0\0\0\0\x4d"
              "\0\0\0\1\0\0\0\2"s);
}

TEST_F(FattrTest, owners_are_numbers_as_padded_strings) {
    using namespace std::string_literals;
    EXPECT_EQ(fattr({A::owner, A::owner_group}),
              "\0\0\0\2"
              "\0\0\0\0\0\0\0\x30"
              "\0\0\0\x14"
              "\0\0\0\4"
              "1000"
              "\0\0\0\5"
              "65534\0\0\0"s);
}

TEST_F(FattrTest, times_are_signed_seconds_and_nanoseconds) {
    using namespace std::string_literals;
    EXPECT_EQ(fattr({A::time_modify}).substr(12), "\0\0\0\x0c\xff\xff\xff\xff\xff\xff\xff\xfd\0\0\0\4"s);
}

TEST_F(FattrTest, nothing_wanted_is_an_empty_mask_and_an_empty_opaque) { EXPECT_EQ(fattr({}), std::string(8, '\0')); }

TEST_F(FattrTest, unknown_attributes_are_left_out) {
    AttributeMask wanted{A::type};
    wanted.set(24);  // fs_locations
    wanted.set(62);  // fs_layout_types
    wanted.beyond = true;
    EXPECT_EQ(fattr(wanted), fattr({A::type}));
}

TEST_F(FattrTest, attributes_of_later_minor_versions_are_unknown_to_earlier_ones) {
    const auto newest = supported_attributes(2);
    EXPECT_TRUE(newest.has(A::xattr_support));
    EXPECT_TRUE(newest.has(A::clone_blksize));
    EXPECT_FALSE(supported_attributes(1).has(A::xattr_support));
    EXPECT_TRUE(supported_attributes(1).has(A::suppattr_exclcreat));
    EXPECT_EQ(supported_attributes(0).words[2], 0u);
    source.minor_version = 0;
    EXPECT_EQ(fattr({A::xattr_support}), std::string(8, '\0'));
}

TEST_F(FattrTest, the_compiled_sets_give_the_same_bytes_as_the_table) {
    const AttributeMask sets[] = {{0x0010011a, 0x00b0a23a}, {0x0018091a, 0x00b0a23a}, {0x00000018, 0x00302000}};
    for (const auto& set : sets) {
        const auto whole = fattr(set);
        std::string values;
        set.for_each([&](std::uint32_t bit) {
            AttributeMask single;
            single.set(bit);
            const auto bytes = fattr(single);
            const auto words = static_cast<std::size_t>(static_cast<unsigned char>(bytes[3]));
            values += bytes.substr(4 + 4 * words + 4);
        });
        EXPECT_EQ(whole.substr(whole.size() - values.size()), values);
        EXPECT_EQ(whole.size(), 4 + 8 + 4 + values.size());
    }
}

TEST_F(FattrTest, every_supported_attribute_that_can_be_read_is_given) {
    const auto bytes = fattr(supported_attributes(2));
    const Slice slice = BufferChain::copy_of(std::string_view(bytes)).flatten();
    XdrReader in(slice);
    const auto given = read_mask(in);
    auto readable = supported_attributes(2);
    set_only_attributes.for_each([&](std::uint32_t bit) { readable.words[bit / 32] &= ~(1u << bit % 32); });
    EXPECT_EQ(given, readable);
    EXPECT_EQ(in.u32(), in.remaining());
}

TEST_F(FattrTest, an_acl_is_made_from_the_mode_where_there_is_none) {
    const auto bytes = fattr({A::acl});
    const Slice slice = BufferChain::copy_of(std::string_view(bytes)).flatten();
    XdrReader in(slice);
    read_mask(in);
    in.u32();
    vfs::Acl acl;
    ASSERT_EQ(read_acl(in, acl), NfsStatus::ok);
    EXPECT_EQ(vfs::mode_of(acl, 0), 0640u);
    EXPECT_EQ(in.remaining(), 0u);
}

TEST_F(FattrTest, what_can_be_set_comes_back_as_it_was_sent) {
    const AttributeMask mask{A::size, A::mode, A::owner, A::owner_group, A::time_access_set, A::time_create, A::time_modify_set};
    AttributeChange change;
    ASSERT_EQ(settable(one(mask,
                           [](XdrWriter& out) {
                               out.u64(12345);
                               out.u32(04755);
                               out.text("0");
                               out.text("1001");
                               out.u32(0);
                               out.u64(50);
                               out.u32(60);
                               out.u32(1);
                               out.u64(70);
                               out.u32(999'999'999);
                           }),
                       change),
              NfsStatus::ok);
    EXPECT_EQ(change.mask, mask);
    EXPECT_EQ(change.set.size, 12345u);
    EXPECT_EQ(change.set.mode, 04755u);
    EXPECT_EQ(change.set.uid, 0u);
    EXPECT_EQ(change.set.gid, 1001u);
    EXPECT_TRUE(change.set.access_time_now);
    EXPECT_FALSE(change.set.access_time.has_value());
    EXPECT_EQ(change.set.birth_time, (Timestamp{50, 60}));
    EXPECT_EQ(change.set.modify_time, (Timestamp{70, 999'999'999}));
    EXPECT_FALSE(change.set.modify_time_now);
}

TEST_F(FattrTest, setting_an_unsupported_attribute_is_attrnotsupp) {
    AttributeMask quota;
    quota.set(39);
    EXPECT_EQ(set_one(quota, [](XdrWriter& out) { out.u64(1); }), NfsStatus::attrnotsupp);
}

TEST_F(FattrTest, setting_a_bit_past_the_last_word_is_attrnotsupp) {
    AttributeChange change;
    EXPECT_EQ(settable(written([](XdrWriter& out) {
                           out.u32(5);
                           for (int i = 0; i < 4; ++i) out.u32(0);
                           out.u32(1);
                           out.u32(0);
                       }),
                       change),
              NfsStatus::attrnotsupp);
}

TEST_F(FattrTest, setting_what_can_only_be_read_is_inval) {
    EXPECT_EQ(set_one({A::type}, [](XdrWriter& out) { out.u32(1); }), NfsStatus::inval);
    EXPECT_EQ(set_one({A::fileid}, [](XdrWriter& out) { out.u64(1); }), NfsStatus::inval);
}

TEST_F(FattrTest, values_too_short_or_too_long_are_badxdr) {
    EXPECT_EQ(set_one({A::mode}, [](XdrWriter&) {}), NfsStatus::badxdr);
    EXPECT_EQ(set_one({A::mode},
                      [](XdrWriter& out) {
                          out.u32(0644);
                          out.u32(0644);
                      }),
              NfsStatus::badxdr);
}

TEST_F(FattrTest, values_out_of_their_domain_are_inval) {
    EXPECT_EQ(set_one({A::mode}, [](XdrWriter& out) { out.u32(010000); }), NfsStatus::inval);
    EXPECT_EQ(set_one({A::time_modify_set},
                      [](XdrWriter& out) {
                          out.u32(1);
                          out.u64(0);
                          out.u32(1'000'000'000);
                      }),
              NfsStatus::inval);
    EXPECT_EQ(set_one({A::owner}, [](XdrWriter& out) { out.text(""); }), NfsStatus::inval);
}

TEST_F(FattrTest, of_names_only_root_and_nobody_are_known) {
    std::uint32_t id = 1;
    EXPECT_EQ(parse_owner("root@example.org", id), NfsStatus::ok);
    EXPECT_EQ(id, 0u);
    EXPECT_EQ(parse_owner("nobody@example.org", id), NfsStatus::ok);
    EXPECT_EQ(id, 65534u);
    EXPECT_EQ(parse_owner("4294967294", id), NfsStatus::ok);
    EXPECT_EQ(id, 4294967294u);
    for (const auto* bad : {"alice@example.org", "alice", "root", "12x", "-1", "4294967295", "4294967296", "@", "1000@example.org"}) {
        EXPECT_EQ(parse_owner(bad, id), NfsStatus::badowner) << bad;
    }
}

TEST_F(FattrTest, verify_compares_bytes_and_leaves_the_reply_alone) {
    XdrWriter out(pool);
    out.u32(42);
    const auto bytes = one({A::size, A::mode}, [](XdrWriter& w) {
        w.u64(0x100000002);
        w.u32(0640);
    });
    const Slice slice = BufferChain::copy_of(std::string_view(bytes)).flatten();
    XdrReader in(slice);
    ExpectedAttributes expected;
    ASSERT_EQ(read_expected(in, 2, expected), NfsStatus::ok);
    EXPECT_TRUE(equal_attributes(expected, source, out));
    object.mode = 0641;
    EXPECT_FALSE(equal_attributes(expected, source, out));
    EXPECT_EQ(out.size(), 4u);
}

TEST_F(FattrTest, an_error_stands_alone_in_rdattr_error) {
    using namespace std::string_literals;
    EXPECT_EQ(written([](XdrWriter& out) { write_attribute_error(out, NfsStatus::stale); }), "\0\0\0\1\0\0\x08\0\0\0\0\4\0\0\0\x46"s);
}

}  // namespace
}  // namespace strata::nfs

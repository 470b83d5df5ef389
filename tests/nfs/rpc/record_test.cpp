// SPDX-License-Identifier: Apache-2.0
// Record marking: whole records out of any cut of the stream, without a copy (RFC 5531, 11).
#include "nfs/rpc/record.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "nfs/wire/xdr.h"

namespace strata::nfs {
namespace {

using ByteVector = std::vector<std::byte>;

void add_fragment(ByteVector& stream, std::size_t size, std::uint8_t fill, bool last) {
    ByteVector piece(4 + size, std::byte{fill});
    store_be32(piece.data(), static_cast<std::uint32_t>(size) | (last ? 0x80000000u : 0));
    stream.insert(stream.end(), piece.begin(), piece.end());
}

// Feeds `stream` in pieces of at most `piece` bytes and collects the records.
std::vector<Slice> read_all(RecordReader& reader, const ByteVector& stream, std::size_t piece, bool* bad = nullptr) {
    std::vector<Slice> records;
    std::size_t at = 0;
    for (;;) {
        Slice record;
        const auto next = reader.next(record);
        if (next == RecordReader::Next::bad) {
            if (bad != nullptr) *bad = true;
            return records;
        }
        if (next == RecordReader::Next::record) {
            records.push_back(std::move(record));
            continue;
        }
        if (at == stream.size()) return records;
        const auto space = reader.space();
        const auto count = std::min({piece, space.size(), stream.size() - at});
        std::memcpy(space.data(), stream.data() + at, count);
        reader.received(count);
        at += count;
    }
}

TEST(RecordReader, gives_the_same_records_however_the_stream_is_cut) {
    ByteVector stream;
    const std::size_t sizes[] = {0, 1, 100, 65532, 65533, 70000, 12, 200000, 1 << 20, 7};
    for (std::size_t i = 0; i < std::size(sizes); ++i) add_fragment(stream, sizes[i], static_cast<std::uint8_t>(i + 1), true);
    for (const std::size_t piece : {std::size_t{1009}, std::size_t{65536}, std::size_t{3} << 20}) {
        BufferPool pool(64 << 20);
        RecordReader reader(pool, (1 << 20) + 4096);
        const auto records = read_all(reader, stream, piece);
        ASSERT_EQ(records.size(), std::size(sizes));
        for (std::size_t i = 0; i < records.size(); ++i) {
            ASSERT_EQ(records[i].size(), sizes[i]);
            for (const auto b : records[i].span()) ASSERT_EQ(b, static_cast<std::byte>(i + 1));
        }
        EXPECT_TRUE(reader.idle());
    }
}

TEST(RecordReader, fragments_become_one_record) {
    ByteVector stream;
    add_fragment(stream, 10, 1, false);
    add_fragment(stream, 0, 0, false);
    add_fragment(stream, 100000, 2, false);
    add_fragment(stream, 5, 3, true);
    add_fragment(stream, 4, 4, true);
    BufferPool pool(64 << 20);
    RecordReader reader(pool, (1 << 20) + 4096);
    const auto records = read_all(reader, stream, 777);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].size(), 100015u);
    EXPECT_EQ(records[0].span()[9], std::byte{1});
    EXPECT_EQ(records[0].span()[10], std::byte{2});
    EXPECT_EQ(records[0].span()[100014], std::byte{3});
    EXPECT_EQ(records[1].size(), 4u);
}

TEST(RecordReader, refuses_records_larger_than_allowed_whole_or_in_fragments) {
    for (const bool whole : {true, false}) {
        ByteVector stream;
        if (whole) {
            add_fragment(stream, 5000, 1, true);
        } else {
            add_fragment(stream, 3000, 1, false);
            add_fragment(stream, 2000, 1, true);
        }
        BufferPool pool(64 << 20);
        RecordReader reader(pool, 4096);
        bool bad = false;
        EXPECT_TRUE(read_all(reader, stream, 100, &bad).empty());
        EXPECT_TRUE(bad);
    }
}

TEST(RecordReader, refuses_fragments_without_end) {
    ByteVector stream(4 * 10000, std::byte{0});
    BufferPool pool(64 << 20);
    RecordReader reader(pool, 4096);
    bool bad = false;
    EXPECT_TRUE(read_all(reader, stream, 100, &bad).empty());
    EXPECT_TRUE(bad);
}

TEST(RecordReader, an_idle_reader_holds_no_buffer) {
    BufferPool pool(64 << 20);
    RecordReader reader(pool, 4096);
    ByteVector stream;
    add_fragment(stream, 100, 1, true);
    EXPECT_EQ(read_all(reader, stream, 1000).size(), 1u);
    reader.release();
    EXPECT_EQ(pool.used_bytes(), 0u);
}

TEST(RecordReader, small_records_are_slices_of_one_buffer) {
    BufferPool pool(64 << 20);
    RecordReader reader(pool, 4096);
    ByteVector stream;
    for (int i = 0; i < 20; ++i) add_fragment(stream, 100, 1, true);
    const auto records = read_all(reader, stream, 1 << 20);
    EXPECT_EQ(records.size(), 20u);
    EXPECT_EQ(records[1].data() - records[0].data(), 104);
    EXPECT_EQ(pool.used_bytes(), 65536u);
}

TEST(RecordReader, without_memory_there_is_no_space) {
    BufferPool pool(65536);
    RecordReader first(pool, 4096), second(pool, 4096);
    EXPECT_FALSE(first.space().empty());
    EXPECT_TRUE(second.space().empty());
    first.release();
    EXPECT_FALSE(second.space().empty());
}

TEST(RecordReader, the_mark_of_a_large_record_alone_pins_no_slab) {
    BufferPool pool(64 << 20);
    RecordReader reader(pool, 1 << 20);
    ByteVector stream;
    add_fragment(stream, 1 << 20, 1, true);
    stream.resize(100);
    EXPECT_TRUE(read_all(reader, stream, 1000).empty());
    EXPECT_LE(pool.used_bytes(), 65536u);
    ByteVector fragments;
    add_fragment(fragments, 10, 1, false);
    RecordReader other(pool, 1 << 20);
    EXPECT_TRUE(read_all(other, fragments, 1000).empty());
    EXPECT_LE(pool.used_bytes(), 3 * 65536u);
}

TEST(RecordReader, fragments_wait_for_memory_to_be_put_together) {
    ByteVector stream;
    add_fragment(stream, 10, 1, false);
    add_fragment(stream, 10, 2, true);
    BufferPool pool(2 * 65536);
    auto taken = pool.allocate(65536);
    RecordReader reader(pool, 4096);
    const auto space = reader.space();
    std::memcpy(space.data(), stream.data(), stream.size());
    reader.received(stream.size());
    Slice record;
    EXPECT_EQ(reader.next(record), RecordReader::Next::wait);
    EXPECT_EQ(reader.next(record), RecordReader::Next::wait);
    EXPECT_FALSE(reader.idle());
    taken = Slice();
    ASSERT_EQ(reader.next(record), RecordReader::Next::record);
    EXPECT_EQ(record.size(), 20u);
    EXPECT_EQ(record.span()[19], std::byte{2});
    EXPECT_TRUE(reader.idle());
}

TEST(RecordReader, unfinished_large_records_are_bounded_together) {
    BufferPool pool(64 << 20);
    Quota unfinished(1 << 20);
    RecordReader first(pool, 1 << 20, &unfinished), second(pool, 1 << 20, &unfinished);
    ByteVector stream;
    add_fragment(stream, 300000, 1, true);
    const auto begin = [&](RecordReader& reader) {
        std::memcpy(reader.space().data(), stream.data(), 40000);
        reader.received(40000);
        Slice record;
        EXPECT_EQ(reader.next(record), RecordReader::Next::need_more);
        return !reader.space().empty();
    };
    EXPECT_TRUE(begin(first));
    EXPECT_FALSE(begin(second));
    const auto rest = first.space();
    ASSERT_GE(rest.size(), stream.size() - 40000);
    std::memcpy(rest.data(), stream.data() + 40000, stream.size() - 40000);
    first.received(stream.size() - 40000);
    Slice record;
    EXPECT_EQ(first.next(record), RecordReader::Next::record);
    EXPECT_EQ(unfinished.used(), 0u);
    EXPECT_FALSE(second.space().empty());
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// The scanner: good segments, bit rot, torn tails, unreadable blocks, foreign and future records; and checkpoints.
#include "cluster/chunk/segment_scan.h"

#include <cstring>

#include <gtest/gtest.h>

#include "cluster/chunk/segment_checkpoint.h"
#include "server/base/crc32c.h"
#include "tests/cluster/chunk/memory_file.h"
#include "tests/cluster/chunk/store_fixture.h"

namespace strata::cluster {
namespace {

constexpr Uuid store{1, 2, 3};
constexpr std::uint32_t segment = 9;

// Builds a segment record by record.
class Builder {
public:
    // Returns the block where the record starts.
    std::uint32_t add(ShardKey key, std::size_t length, std::uint32_t synced_before, const Uuid& owner = store) {
        return append(RecordKind::shard, key, bytes_of(key.chunk.counter, length), synced_before, owner);
    }
    std::uint32_t add_removals(const std::vector<Removal>& removals, std::uint32_t synced_before) {
        return append(RecordKind::removals, {}, BufferChain::copy_of(encode_removals(removals)), synced_before, store);
    }
    std::uint32_t next() const { return static_cast<std::uint32_t>(file.bytes.size() / record_block); }
    void pad(std::size_t blocks) { file.bytes.resize(file.bytes.size() + blocks * record_block); }
    SegmentContents scan() {
        auto contents = scan_segment(file, store, segment);
        EXPECT_TRUE(contents);
        return contents ? *contents : SegmentContents{};
    }
    void flip(std::uint32_t block, std::size_t offset) { file.bytes[block * record_block + offset] ^= std::byte{0x10}; }

    MemoryFile file;

private:
    std::uint32_t append(RecordKind kind, ShardKey key, const BufferChain& data, std::uint32_t synced_before, const Uuid& owner) {
        const auto sums = ShardChecksums::of(data);
        const std::uint32_t block = next();
        const auto length = static_cast<std::uint32_t>(data.size());
        const auto head = encode_head({kind, key, length, segment, block, sums.digest, synced_before, owner}, sums.blocks);
        file.bytes.insert(file.bytes.end(), head.begin(), head.end());
        const std::string text = text_of(data);
        const auto bytes = std::as_bytes(std::span(text));
        file.bytes.insert(file.bytes.end(), bytes.begin(), bytes.end());
        file.bytes.resize(blocks_for(file.bytes.size()) * record_block);
        return block;
    }
};

std::vector<std::uint64_t> counters(const SegmentContents& contents) {
    std::vector<std::uint64_t> out;
    for (const auto& e : contents.entries) out.push_back(e.key.chunk.counter);
    return out;
}

TEST(SegmentScan, all_records_are_found_in_order) {
    Builder b;
    for (std::uint64_t i = 1; i <= 20; ++i) b.add(key_of(i), i * 3000, b.next());
    b.add_removals({{key_of(3), segment}, {key_of(77), 4}}, b.next());
    b.add(key_of(21), 4 << 20, b.next());
    const std::uint32_t end = b.next();
    b.pad(100);
    const auto contents = b.scan();
    EXPECT_EQ(contents.entries.size(), 23u);
    EXPECT_EQ(contents.used_blocks, end);
    EXPECT_EQ(contents.entries[20], (SegmentEntry{RecordKind::removals, key_of(3), segment, 0, 0}));
    EXPECT_EQ(contents.entries[21], (SegmentEntry{RecordKind::removals, key_of(77), 4, 0, 0}));
    EXPECT_EQ(contents.damaged_blocks + contents.damaged_records + contents.torn_records, 0u);
}

TEST(SegmentScan, an_empty_or_zero_segment_holds_nothing) {
    Builder b;
    EXPECT_EQ(b.scan().used_blocks, 0u);
    b.pad(64);
    EXPECT_EQ(b.scan().used_blocks, 0u);
}

TEST(SegmentScan, a_damaged_head_costs_its_record_only) {
    Builder b;
    b.add(key_of(1), 20'000, 0);
    const auto second = b.add(key_of(2), 20'000, b.next());
    b.add(key_of(3), 20'000, b.next());
    b.flip(second, 30);
    const auto contents = b.scan();
    EXPECT_EQ(counters(contents), (std::vector<std::uint64_t>{1, 3}));
    EXPECT_GT(contents.damaged_blocks, 0u);
}

TEST(SegmentScan, damaged_data_before_the_tail_stay_known) {
    Builder b;
    const auto first = b.add(key_of(1), 20'000, 0);
    b.add(key_of(2), 20'000, b.next());
    b.flip(first + 3, 5);
    const auto contents = b.scan();
    EXPECT_EQ(counters(contents), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(contents.damaged_records, 1u);
}

TEST(SegmentScan, a_torn_record_in_the_last_batch_is_dropped_and_the_rest_of_the_batch_kept) {
    Builder b;
    b.add(key_of(1), 20'000, 0);
    const std::uint32_t batch = b.next();
    const auto torn = b.add(key_of(2), 20'000, batch);
    b.add(key_of(3), 5'000, batch);
    b.flip(torn + 2, 0);
    const auto contents = b.scan();
    EXPECT_EQ(counters(contents), (std::vector<std::uint64_t>{1, 3}));
    EXPECT_EQ(contents.torn_records, 1u);
    EXPECT_EQ(contents.damaged_records, 0u);
}

TEST(SegmentScan, the_segment_ends_behind_the_last_good_record) {
    Builder b;
    b.add(key_of(1), 20'000, 0);
    const std::uint32_t end = b.next();
    const auto torn = b.add(key_of(2), 20'000, end);
    b.flip(torn + 1, 0);
    EXPECT_EQ(b.scan().used_blocks, end);
}

TEST(SegmentScan, unreadable_blocks_cost_what_they_hold) {
    Builder b;
    b.add(key_of(1), 20'000, 0);
    const auto second = b.add(key_of(2), 20'000, b.next());
    b.add(key_of(3), 20'000, b.next());
    b.file.bad_from = second * record_block;
    b.file.bad_to = b.file.bad_from + 100;
    EXPECT_EQ(counters(b.scan()), (std::vector<std::uint64_t>{1, 3}));
    b.file.bad_from += 2 * record_block;
    b.file.bad_to += 2 * record_block;
    const auto contents = b.scan();
    EXPECT_EQ(counters(contents), (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(contents.damaged_records, 1u);
}

TEST(SegmentScan, a_tail_that_cannot_be_read_is_an_error_and_not_a_torn_one) {
    Builder b;
    b.add(key_of(1), 20'000, 0);
    const auto last = b.add(key_of(2), 20'000, b.next());
    const auto end = b.next();
    b.pad(10);
    for (const auto block : {last, last + 3, end, end + 9}) {
        b.file.bad_from = block * record_block;
        b.file.bad_to = b.file.bad_from + record_block;
        const auto contents = scan_segment(b.file, store, segment);
        ASSERT_FALSE(contents) << block - last;
        EXPECT_EQ(contents.error(), Errc::io);
    }
}

TEST(SegmentScan, records_of_other_stores_or_places_are_nothing) {
    Builder b;
    b.add(key_of(1), 5'000, 0, Uuid{9});
    b.add(key_of(2), 5'000, b.next());
    // A stale copy of a whole record elsewhere.
    std::vector<std::byte> copy(b.file.bytes.end() - 2 * static_cast<std::ptrdiff_t>(record_block), b.file.bytes.end());
    b.file.bytes.insert(b.file.bytes.end(), copy.begin(), copy.end());
    EXPECT_EQ(counters(b.scan()), (std::vector<std::uint64_t>{2}));
}

TEST(SegmentScan, user_data_that_contain_a_segment_are_not_read_as_one) {
    Builder inner;
    inner.add(key_of(66), 5'000, 0);
    Builder b;
    const auto sums_of = BufferChain::copy_of(std::span<const std::byte>(inner.file.bytes));
    b.add(key_of(1), 5'000, 0);
    const auto block = b.next();
    const auto sums = ShardChecksums::of(sums_of);
    const auto length = static_cast<std::uint32_t>(sums_of.size());
    auto head = encode_head({RecordKind::shard, key_of(2), length, segment, block, sums.digest, block, store}, sums.blocks);
    head[20] ^= std::byte{1};  // the head is damaged, so the scanner walks through the data
    b.file.bytes.insert(b.file.bytes.end(), head.begin(), head.end());
    b.file.bytes.insert(b.file.bytes.end(), inner.file.bytes.begin(), inner.file.bytes.end());
    EXPECT_EQ(counters(b.scan()), (std::vector<std::uint64_t>{1}));
}

TEST(SegmentScan, a_record_of_a_later_format_is_refused_and_not_skipped) {
    Builder b;
    b.add(key_of(1), 100, 0);
    auto* head = b.file.bytes.data();
    head[8] = std::byte{2};
    const std::size_t size = head_size(100);
    std::vector<std::byte> zeroed(head, head + size);
    std::memset(zeroed.data() + 76, 0, 4);
    const std::uint32_t crc = crc32c(zeroed);
    std::memcpy(head + 76, &crc, 4);
    EXPECT_EQ(scan_segment(b.file, store, segment).error(), Errc::bad_version);
}

TEST(SegmentCheckpoint, contents_survive_a_round_trip_and_any_change_is_noticed) {
    Builder b;
    for (std::uint64_t i = 1; i <= 5; ++i) b.add(key_of(i, static_cast<std::uint8_t>(i)), i * 3000, b.next());
    b.add_removals({{key_of(3), 4}}, b.next());
    const auto contents = b.scan();
    auto bytes = encode_checkpoint(contents, store, segment);
    const auto back = decode_checkpoint(bytes, store, segment);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->entries, contents.entries);
    EXPECT_EQ(back->used_blocks, contents.used_blocks);
    EXPECT_EQ(decode_checkpoint(bytes, Uuid{5}, segment).error(), Errc::corrupt);
    EXPECT_EQ(decode_checkpoint(bytes, store, segment + 1).error(), Errc::corrupt);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] ^= std::byte{4};
        EXPECT_FALSE(decode_checkpoint(bytes, store, segment)) << i;
        bytes[i] ^= std::byte{4};
    }
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_checkpoint(std::span(bytes).first(n), store, segment)) << n;
}

}  // namespace
}  // namespace strata::cluster

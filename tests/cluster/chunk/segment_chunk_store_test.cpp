// SPDX-License-Identifier: Apache-2.0
// The store as its users see it: put, get, verify, remove, list, reopen, space.
#include <gtest/gtest.h>

#include "tests/cluster/chunk/store_fixture.h"

namespace strata::cluster {
namespace {

class ChunkStoreTest : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(s.open()); }

    sim::World world{1};
    SimStore s{world};
};

TEST_F(ChunkStoreTest, what_was_put_is_read_back) {
    for (const std::size_t length : {1u, 100u, 3900u, 4000u, 4096u, 4097u, 100'000u, 1u << 20, 4u << 20}) {
        const auto bytes = bytes_of(length, length);
        const auto key = key_of(length);
        ASSERT_TRUE(s.put(key, bytes)) << length;
        const auto got = s.get(key, 0, static_cast<std::uint32_t>(length), ShardChecksums::of(bytes).digest);
        ASSERT_TRUE(got) << length << " " << to_string(got.error());
        EXPECT_EQ(text_of(*got), text_of(bytes)) << length;
        EXPECT_TRUE(world.run(s.store->verify(s.ctx, key, ShardChecksums::of(bytes).digest)));
    }
}

TEST_F(ChunkStoreTest, any_range_of_a_shard_can_be_read) {
    const auto bytes = bytes_of(5, 50'000);
    ASSERT_TRUE(s.put(key_of(5), bytes));
    const std::string text = text_of(bytes);
    for (int i = 0; i < 300; ++i) {
        const auto offset = static_cast<std::uint32_t>(world.random().below(50'000));
        const auto length = static_cast<std::uint32_t>(1 + world.random().below(50'000 - offset));
        const auto got = s.get(key_of(5), offset, length);
        ASSERT_TRUE(got);
        ASSERT_EQ(text_of(*got), text.substr(offset, length)) << offset << "+" << length;
    }
}

TEST_F(ChunkStoreTest, a_range_past_the_end_is_refused) {
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 5000)));
    EXPECT_EQ(s.get(key_of(1), 5000, 1).error(), Errc::invalid_argument);
    EXPECT_EQ(s.get(key_of(1), 4999, 2).error(), Errc::invalid_argument);
    EXPECT_EQ(s.get(key_of(1), 0, 0).error(), Errc::invalid_argument);
}

TEST_F(ChunkStoreTest, a_key_is_taken_only_once) {
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 5000)));
    EXPECT_EQ(s.put(key_of(1), bytes_of(1, 5000)).error(), Errc::exists);
}

TEST_F(ChunkStoreTest, another_digest_than_the_expected_is_corrupt) {
    const auto bytes = bytes_of(1, 5000);
    ASSERT_TRUE(s.put(key_of(1), bytes));
    EXPECT_EQ(s.get(key_of(1), 0, 10, ShardChecksums::of(bytes).digest + 1).error(), Errc::corrupt);
}

TEST_F(ChunkStoreTest, absent_shards_are_not_found) {
    EXPECT_EQ(s.get(key_of(1), 0, 1).error(), Errc::not_found);
    EXPECT_EQ(world.run(s.store->verify(s.ctx, key_of(1), 0)).error(), Errc::not_found);
    EXPECT_TRUE(s.remove(key_of(1)));
}

TEST_F(ChunkStoreTest, a_removed_shard_is_gone_and_its_key_is_free_again) {
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 5000)));
    ASSERT_TRUE(s.remove(key_of(1)));
    EXPECT_EQ(s.get(key_of(1), 0, 1).error(), Errc::not_found);
    ASSERT_TRUE(s.put(key_of(1), bytes_of(2, 700)));
    EXPECT_EQ(text_of(*s.get(key_of(1), 0, 700)), text_of(bytes_of(2, 700)));
}

TEST_F(ChunkStoreTest, a_reopened_store_holds_what_it_held) {
    for (std::uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(s.put(key_of(i), bytes_of(i, 1000 + i * 997)));
    for (std::uint64_t i = 0; i < 100; i += 3) ASSERT_TRUE(s.remove(key_of(i)));
    for (const bool orderly : {true, false}) {
        if (!orderly) s.power_cut();
        s.close();
        ASSERT_TRUE(s.open());
        EXPECT_EQ(s.store->opening().scanned_segments == 0, orderly) << "only an unclean end makes a scan necessary";
        for (std::uint64_t i = 0; i < 100; ++i) {
            const auto got = s.get(key_of(i), 0, static_cast<std::uint32_t>(1000 + i * 997));
            if (i % 3 == 0) {
                EXPECT_EQ(got.error(), Errc::not_found) << i;
            } else {
                ASSERT_TRUE(got) << i;
                EXPECT_EQ(text_of(*got), text_of(bytes_of(i, 1000 + i * 997)));
            }
        }
        ASSERT_TRUE(s.put(key_of(orderly ? 1000 : 1001), bytes_of(3, 3000)));
    }
}

TEST_F(ChunkStoreTest, shards_are_listed_in_key_order_page_by_page) {
    std::vector<ShardKey> keys;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const auto key = key_of(world.random().below(1'000'000), static_cast<std::uint8_t>(i % 3));
        if (s.put(key, bytes_of(i, 10))) keys.push_back(key);
    }
    std::ranges::sort(keys);
    std::vector<ShardKey> listed;
    for (ShardKey after{};;) {
        const auto page = world.run(s.store->list(s.ctx, after, 64));
        ASSERT_TRUE(page);
        if (page->empty()) break;
        for (const auto& info : *page) {
            listed.push_back(info.key);
            EXPECT_EQ(info.length, 10u);
        }
        after = page->back().key;
    }
    EXPECT_EQ(listed, keys);
}

Task<> put_many(SimStore& s, std::uint64_t from, std::uint64_t count, int& done) {
    for (std::uint64_t i = from; i < from + count; ++i) {
        const auto bytes = bytes_of(i, 2000);
        EXPECT_TRUE(co_await s.store->put(s.ctx, key_of(i), bytes, ShardChecksums::of(bytes)));
        ++done;
    }
}

TEST_F(ChunkStoreTest, concurrent_puts_share_one_sync) {
    int done = 0;
    const std::uint64_t before = s.disk->sync_count();
    TaskGroup group;
    for (std::uint64_t w = 0; w < 50; ++w) {
        group.spawn(world.executor(), [&, w] { return put_many(s, w * 100, 10, done); });
    }
    (void)world.run(group.wait(world.clock(), Instant::max()));
    EXPECT_EQ(done, 500);
    EXPECT_LT(s.disk->sync_count() - before, 60u);
}

TEST_F(ChunkStoreTest, space_counts_live_bytes) {
    const auto before = s.store->space();
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 100'000)));
    EXPECT_EQ(s.store->space().live_bytes, before.live_bytes + 100'000);
    EXPECT_LT(s.store->space().free_bytes, before.free_bytes);
    ASSERT_TRUE(s.remove(key_of(1)));
    EXPECT_EQ(s.store->space().live_bytes, before.live_bytes);
}

TEST_F(ChunkStoreTest, a_closed_store_takes_nothing) {
    world.run(s.store->close());
    EXPECT_EQ(s.put(key_of(1), bytes_of(1, 10)).error(), Errc::closed);
}

TEST(ChunkStoreIdentity, an_empty_folder_is_a_missing_store_and_never_adopted) {
    sim::World world(1);
    auto disk = world.make_disk("empty", 64 << 20);
    const auto opened = world.run(SegmentChunkStore::open(world.runtime(), disk, {}));
    EXPECT_EQ(opened.error(), Errc::store_missing);
    EXPECT_TRUE(disk->list("")->empty());
}

TEST(ChunkStoreIdentity, formatting_twice_is_refused) {
    sim::World world(1);
    auto disk = world.make_disk("d", 64 << 20);
    ASSERT_TRUE(format_store(*disk, Uuid{1}, world.random()));
    EXPECT_EQ(format_store(*disk, Uuid{1}, world.random()).error(), Errc::exists);
}

TEST(ChunkStoreIdentity, flipped_bits_in_two_of_its_three_copies_cost_nothing) {
    sim::World world(5);
    const auto disk = world.make_disk("d", 64 << 20);
    const auto made = format_store(*disk, Uuid{7}, world.random());
    ASSERT_TRUE(made);
    auto bytes = *read_file(*disk, identity_path);
    const std::size_t copy = bytes.size() / identity_copies;
    for (std::size_t damaged : {std::size_t{20}, copy + 1}) bytes[damaged] ^= std::byte{1};
    ASSERT_TRUE(replace_file(*disk, identity_path, bytes));
    EXPECT_EQ(*read_identity(*disk), *made);
    bytes[2 * copy + 30] ^= std::byte{4};
    ASSERT_TRUE(replace_file(*disk, identity_path, bytes));
    EXPECT_EQ(read_identity(*disk).error(), Errc::corrupt);
}

TEST(ChunkStoreIdentity, segments_without_identity_are_not_formatted_over) {
    sim::World world(1);
    SimStore s(world);
    ASSERT_TRUE(s.open());
    ASSERT_TRUE(s.put(key_of(1), bytes_of(1, 10)));
    s.close();
    ASSERT_TRUE(s.disk->remove(identity_path));
    EXPECT_EQ(s.open().error(), Errc::store_missing);
    EXPECT_EQ(format_store(*s.disk, Uuid{1}, world.random()).error(), Errc::exists);
}

TEST(ChunkStoreIdentity, text_survives_a_round_trip_and_any_change_is_noticed) {
    sim::SimRandom numbers(1);
    const StoreIdentity identity{random_uuid(numbers), random_uuid(numbers)};
    const std::string text = encode(identity);
    EXPECT_EQ(*decode_identity(text), identity);
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(decode_identity(changed)) << i;
    }
    EXPECT_EQ(decode_identity("strata-store 2\nuuid ...\n").error(), Errc::bad_version);
}

}  // namespace
}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The index against an ordered map.
#include "cluster/chunk/shard_index.h"

#include <map>

#include <gtest/gtest.h>

#include "tests/cluster/chunk/store_fixture.h"

namespace strata::cluster {
namespace {

TEST(ShardIndex, behaves_as_an_ordered_map) {
    for (const std::uint64_t range : {50u, 5000u, 1'000'000u}) {
        sim::SimRandom numbers(range);
        ShardIndex index;
        std::map<ShardKey, ShardLocation> model;
        for (std::uint32_t i = 0; i < 20'000; ++i) {
            const auto key = key_of(numbers.below(range), static_cast<std::uint8_t>(numbers.below(3)));
            if (numbers.chance(0.6)) {
                const ShardLocation location{i, i, i, i};
                const auto old = index.insert(key, location);
                ASSERT_EQ(old.has_value(), model.contains(key));
                if (old) ASSERT_EQ(*old, model[key]);
                model[key] = location;
            } else {
                const auto old = index.erase(key);
                ASSERT_EQ(old.has_value(), model.erase(key) == 1);
            }
            ASSERT_EQ(index.find(key).has_value(), model.contains(key));
        }
        ASSERT_EQ(index.size(), model.size());
        auto it = model.begin();
        for (ShardKey after{};;) {
            const auto page = index.list(after, 1 + numbers.below(500));
            if (page.empty()) break;
            for (const auto& info : page) {
                ASSERT_NE(it, model.end());
                ASSERT_EQ(info.key, it->first);
                ASSERT_EQ(info.digest, it->second.digest);
                ++it;
            }
            after = page.back().key;
        }
        if (it != model.end() && it->first == ShardKey{}) ++it;
        EXPECT_EQ(it, model.end());
    }
}

TEST(ShardIndex, descending_and_ascending_keys_are_all_found) {
    ShardIndex index;
    for (std::uint64_t i = 5000; i > 2500; --i) index.insert(key_of(i), {1, 2, 3, 4});
    for (std::uint64_t i = 5001; i < 7500; ++i) index.insert(key_of(i), {1, 2, 3, 4});
    for (std::uint64_t i = 2500; i > 0; --i) index.insert(key_of(i), {1, 2, 3, 4});
    for (std::uint64_t i = 1; i < 7500; ++i) ASSERT_TRUE(index.find(key_of(i))) << i;
    EXPECT_FALSE(index.find(key_of(0)));
    EXPECT_FALSE(index.find(key_of(7500)));
}

}  // namespace
}  // namespace strata::cluster

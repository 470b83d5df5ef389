// SPDX-License-Identifier: Apache-2.0
// What statfs promises can be written.
#include "cluster/placement/placeable_space.h"

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace strata::cluster {
namespace {

using Bytes = std::vector<std::uint64_t>;

TEST(PlaceableSpace, equal_stores_give_all_they_have_over_the_factor) {
    EXPECT_EQ(placeable_bytes(Bytes(6, 600), {4, 2}), 2400u);
    EXPECT_EQ(placeable_bytes(Bytes(2, 100), {1, 1}), 100u);
    EXPECT_EQ(placeable_bytes(Bytes(1, 100), {1, 0}), 100u);
}

TEST(PlaceableSpace, one_large_store_among_small_ones_helps_only_so_far) {
    EXPECT_EQ(placeable_bytes(Bytes{1000, 10, 10}, {1, 1}), 20u);
    EXPECT_EQ(placeable_bytes(Bytes{1000, 10, 10}, {2, 1}), 20u);
}

TEST(PlaceableSpace, with_too_few_stores_replicas_count) {
    EXPECT_EQ(placeable_bytes(Bytes(3, 100), {4, 2}), 100u);
    EXPECT_EQ(placeable_bytes(Bytes(1, 100), {4, 2}), 100u);
    EXPECT_EQ(placeable_bytes({}, {4, 2}), 0u);
}

// Placing shards greedily on the emptiest stores reaches the promise to within one shard a store.
TEST(PlaceableSpace, a_greedy_writer_reaches_the_promise) {
    std::mt19937 draw(7);
    for (int round = 0; round < 200; ++round) {
        Bytes free(4 + draw() % 6);
        for (auto& f : free) f = draw() % 1000;
        const Geometry g{static_cast<std::uint8_t>(1 + draw() % 3), static_cast<std::uint8_t>(draw() % 2)};
        const auto promised = placeable_bytes(free, g);
        std::uint64_t written = 0;
        for (;;) {
            std::ranges::sort(free, std::greater{});
            if (free[static_cast<std::size_t>(g.shards()) - 1] == 0) break;
            for (int i = 0; i < g.shards(); ++i) --free[static_cast<std::size_t>(i)];
            written += g.k;
        }
        EXPECT_GE(written + g.k * free.size(), promised);
        EXPECT_LE(written, promised);
    }
}

}  // namespace
}  // namespace strata::cluster

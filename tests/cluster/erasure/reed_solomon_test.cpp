// SPDX-License-Identifier: Apache-2.0
// Reed-Solomon: every pattern of losses within the tolerance.
#include "cluster/erasure/reed_solomon.h"

#include <bit>

#include <gtest/gtest.h>

#include "tests/sim/sim_random.h"

namespace strata::cluster {
namespace {

using Shard = std::vector<std::byte>;

std::vector<Shard> coded(const ReedSolomon& code, int k, int m, std::size_t length) {
    sim::SimRandom numbers(length);
    std::vector<Shard> shards(static_cast<std::size_t>(k + m), Shard(length));
    std::vector<const std::byte*> data;
    std::vector<std::byte*> parity;
    for (int i = 0; i < k; ++i) {
        numbers.fill(shards[static_cast<std::size_t>(i)]);
        data.push_back(shards[static_cast<std::size_t>(i)].data());
    }
    for (int i = k; i < k + m; ++i) parity.push_back(shards[static_cast<std::size_t>(i)].data());
    code.encode(data, parity, length);
    return shards;
}

void expect_rebuilt(const ReedSolomon& code, const std::vector<Shard>& shards, int k, std::uint32_t lost) {
    std::vector<int> have_numbers, wanted;
    std::vector<const std::byte*> have;
    for (int i = 0; i < static_cast<int>(shards.size()); ++i) {
        if ((lost >> i & 1u) != 0) {
            wanted.push_back(i);
        } else if (static_cast<int>(have.size()) < k) {
            have_numbers.push_back(i);
            have.push_back(shards[static_cast<std::size_t>(i)].data());
        }
    }
    const std::size_t length = shards[0].size();
    std::vector<Shard> made(wanted.size(), Shard(length));
    std::vector<std::byte*> out;
    for (auto& s : made) out.push_back(s.data());
    ASSERT_TRUE(code.reconstruct(have_numbers, have, wanted, out, length));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        ASSERT_EQ(made[i], shards[static_cast<std::size_t>(wanted[i])]) << "lost " << lost << " shard " << wanted[i];
    }
}

class ReedSolomonGeometry : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(ReedSolomonGeometry, every_loss_within_the_tolerance_is_rebuilt) {
    const auto [k, m] = GetParam();
    const ReedSolomon code(k, m);
    for (const std::size_t length : {1u, 31u, 4096u, 10'001u}) {
        const auto shards = coded(code, k, m, length);
        for (std::uint32_t lost = 0; lost < 1u << (k + m); ++lost) {
            if (std::popcount(lost) <= m) expect_rebuilt(code, shards, k, lost);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, ReedSolomonGeometry,
                         testing::Values(std::pair(2, 1), std::pair(4, 2), std::pair(8, 3), std::pair(1, 2), std::pair(2, 2)));

TEST(ReedSolomonErrors, too_few_or_repeated_shards_are_refused) {
    const ReedSolomon code(2, 1);
    const auto shards = coded(code, 2, 1, 64);
    Shard made(64);
    std::byte* out[] = {made.data()};
    const int wanted[] = {0}, repeated[] = {1, 1}, one[] = {1}, beyond[] = {1, 3};
    const std::byte* have[] = {shards[1].data(), shards[1].data()};
    EXPECT_EQ(code.reconstruct(repeated, have, wanted, out, 64).error(), Errc::invalid_argument);
    EXPECT_EQ(code.reconstruct(one, std::span(have).first(1), wanted, out, 64).error(), Errc::invalid_argument);
    EXPECT_EQ(code.reconstruct(beyond, have, wanted, out, 64).error(), Errc::invalid_argument);
}

}  // namespace
}  // namespace strata::cluster

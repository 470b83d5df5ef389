// SPDX-License-Identifier: Apache-2.0
// Bisection over the bytes a column of shards can have.
#include "cluster/placement/placeable_space.h"

#include <algorithm>
#include <numeric>

namespace strata::cluster {

namespace {

std::uint64_t column_bytes(std::span<const std::uint64_t> free, std::uint64_t shards) {
    const auto fits = [&](std::uint64_t column) {
        unsigned __int128 sum = 0;
        for (auto f : free) sum += std::min(f, column);
        return sum >= static_cast<unsigned __int128>(column) * shards;
    };
    std::uint64_t low = 0, high = std::accumulate(free.begin(), free.end(), std::uint64_t{0}) / shards;
    while (low < high) {
        const std::uint64_t middle = low + (high - low + 1) / 2;
        if (fits(middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

}  // namespace

std::uint64_t placeable_bytes(std::span<const std::uint64_t> free, Geometry geometry) {
    const auto stores = free.size();
    const auto shards = static_cast<std::size_t>(geometry.shards());
    if (stores >= shards) return column_bytes(free, shards) * geometry.k;
    const std::size_t replicas = static_cast<std::size_t>(geometry.m) + 1;
    return column_bytes(free, std::clamp<std::size_t>(replicas, 1, std::max<std::size_t>(stores, 1)));
}

}  // namespace strata::cluster

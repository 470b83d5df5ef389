// SPDX-License-Identifier: Apache-2.0
// Layout of a stripe: which bytes of the chunk lie in which shard.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cluster/stripe/stripe.h"

namespace strata::cluster {

// Bytes of each shard as coding sees them: the chunk itself for replicas, else a multiple of 4 KiB.
constexpr std::uint32_t shard_length_for(Geometry geometry, std::size_t length) {
    if (geometry.k == 1) return static_cast<std::uint32_t>(length);
    const std::size_t even = (length + geometry.k - 1) / geometry.k;
    return static_cast<std::uint32_t>((even + checksum_block_size - 1) / checksum_block_size * checksum_block_size);
}

// Bytes of the chunk's data that lie in data shard `shard`.
inline std::uint32_t data_bytes(const Chunk& chunk, int shard) {
    if (chunk.geometry.k == 1) return chunk.length;
    const std::uint64_t start = static_cast<std::uint64_t>(shard) * chunk.shard_length;
    return start >= chunk.length ? 0 : static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk.shard_length, chunk.length - start));
}

// Bytes of the shard in its store. The last data shard is kept without its padding; one without any data keeps one zero byte, so
// that all shards exist alike.
inline std::uint32_t stored_length(const Chunk& chunk, int shard) {
    if (chunk.geometry.k > 1 && shard >= chunk.geometry.k) return chunk.shard_length;
    return std::max(data_bytes(chunk, shard), std::uint32_t{1});
}

inline ShardKey shard_key(const Chunk& chunk, int shard) { return {chunk.id, static_cast<std::uint8_t>(shard)}; }

}  // namespace strata::cluster

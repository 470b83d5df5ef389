// SPDX-License-Identifier: Apache-2.0
// Reading shards out of segments, each byte checked before it is returned. Blocking: on a pool.
#pragma once

#include <cstdint>

#include "cluster/chunk/segment_format.h"
#include "cluster/chunk/shard_index.h"
#include "server/base/buffer.h"
#include "server/base/disk.h"

namespace strata::cluster {

struct ShardPosition {
    Uuid store{};
    ShardKey key;
    ShardLocation location;
};

// The bytes [offset, offset + length) of the shard; the range lies inside. Only the blocks it touches are read and checked, and the
// digest of the shard's checksums if it is given (not 0). Errors: corrupt, io.
Result<BufferChain> read_shard(File& file, const ShardPosition& position, std::uint32_t offset, std::uint32_t length, std::uint32_t digest);

// Reads all of it from the disk itself, and checks it. Errors: corrupt, io.
Result<> verify_shard(File& file, const ShardPosition& position, std::uint32_t digest);

// The record as it is, with the checksums of its head: bytes are not checked, so that a damaged shard moves with its sound blocks.
// Errors: corrupt (the head is lost, and with it the shard), io.
struct RawShard {
    BufferChain data;
    ShardChecksums checksums;
};
Result<RawShard> read_raw_shard(File& file, const ShardPosition& position);

}  // namespace strata::cluster

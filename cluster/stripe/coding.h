// SPDX-License-Identifier: Apache-2.0
// Coding of whole stripes over buffer chains. CPU work: large ones belong on a pool.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "cluster/erasure/reed_solomon.h"
#include "cluster/stripe/stripe.h"

namespace strata::cluster {

constexpr std::size_t inline_coding_max = 64 << 10;  // bytes; less is coded on the caller's thread

// The tables of each geometry, made once. Any thread.
class CodeTables {
public:
    const ReedSolomon& of(Geometry geometry);

private:
    std::mutex mutex_;
    std::map<std::pair<int, int>, std::unique_ptr<ReedSolomon>> tables_;
};

// A chunk as the shards that go to the stores, with their checksums.
struct CodedStripe {
    Chunk chunk;  // places without stores yet
    std::vector<BufferChain> shards;
    std::vector<ShardChecksums> checksums;
};

// Data shards share the bytes of `data`.
CodedStripe encode_stripe(CodeTables& tables, ChunkId id, Geometry geometry, const BufferChain& data);

// Shards numbered `have` hold `sources` (each `length` bytes; shorter ones count as padded with zeros). Returns the same range of the
// shards numbered `wanted`. Errors: invalid_argument.
Result<std::vector<Slice>> reconstruct_shards(CodeTables& tables, Geometry geometry, std::span<const int> have,
                                              std::span<const BufferChain> sources, std::span<const int> wanted, std::size_t length);

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// ChunkStore: durable, immutable, checksummed shards of chunks in one store (one folder on one disk).
//
// Implementations: SegmentChunkStore; RemoteChunkStore when there is a cluster.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/base/buffer.h"
#include "server/base/context.h"
#include "server/base/disk.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata::cluster {

using Uuid = std::array<std::uint8_t, 16>;

// Never reused: the allocator epoch grows at each opening of a volume, the counter within it.
struct ChunkId {
    std::uint32_t volume = 0;
    std::uint32_t epoch = 0;
    std::uint64_t counter = 0;
    friend constexpr auto operator<=>(const ChunkId&, const ChunkId&) = default;
};

// One shard: number 0..k-1 hold data, k..k+m-1 parity (mirrors: k = 1, every shard holds the data).
struct ShardKey {
    ChunkId chunk;
    std::uint8_t shard = 0;
    friend constexpr auto operator<=>(const ShardKey&, const ShardKey&) = default;
};

constexpr std::size_t checksum_block_size = 4096;
constexpr std::size_t shard_size_max = 4 << 20;

// CRC-32C of each 4 KiB block (the last may be short) and the digest over them, which metadata keeps: it catches lost and misdirected
// writes, which a checksum beside the data cannot.
struct ShardChecksums {
    std::vector<std::uint32_t> blocks;
    std::uint32_t digest = 0;  // CRC-32C of the little-endian block CRCs

    static ShardChecksums of(const BufferChain& bytes);
    static std::uint32_t digest_of(std::span<const std::uint32_t> blocks);
};

struct ShardInfo {
    ShardKey key;
    std::uint32_t length = 0;  // bytes
    std::uint32_t digest = 0;
};

enum class StoreState : std::uint8_t {
    online,
    read_only,  // reads and removals only: full past its reserve, or asked to
    failed,     // I/O errors: not used until replaced or reopened
    missing,    // folder absent, or without its identity (perhaps not mounted)
};

struct StoreSpace {
    std::uint64_t total_bytes = 0;  // of the disk that is ours to use
    std::uint64_t free_bytes = 0;   // for new shards, after the reserve for compaction, sealing and the log
    std::uint64_t live_bytes = 0;   // of shards that are not removed
};

class ChunkStore {
public:
    virtual ~ChunkStore() = default;

    // Durable when it returns. 1 .. shard_size_max bytes. Concurrent puts share one fdatasync. Errors: exists, no_space, too_many (no
    // descriptor is left; it may pass), io (the store is then `failed`), timed_out (it may still happen), closed, invalid_argument.
    virtual Task<Result<>> put(const Context& ctx, ShardKey key, BufferChain bytes, ShardChecksums checksums) = 0;
    // The bytes [offset, offset+length) of the shard, after checking the CRC of each 4 KiB block they touch, and the digest if it is
    // given (not 0). Errors: not_found, corrupt, io, invalid_argument (past the end).
    virtual Task<Result<BufferChain>> get(const Context& ctx, ShardKey key, std::uint32_t offset, std::uint32_t length,
                                          std::uint32_t digest) = 0;
    // Checks a whole shard on the disk, past any cache. Errors: as get.
    virtual Task<Result<>> verify(const Context& ctx, ShardKey key, std::uint32_t digest) = 0;
    // Space comes back by compaction. Removing what is absent is fine. The removal itself may be lost by a power cut: the shard is then
    // an orphan again, for the collector.
    virtual Task<Result<>> remove(const Context& ctx, std::span<const ShardKey> keys) = 0;
    // Shards in key order after `after`, at most `limit`. What is being put may or may not show.
    virtual Task<Result<std::vector<ShardInfo>>> list(const Context& ctx, ShardKey after, std::size_t limit) = 0;

    virtual StoreState state() const = 0;
    virtual StoreSpace space() const = 0;
    virtual Uuid identity() const = 0;
    virtual std::string description() const = 0;  // for people: the folder
    // Waits for puts under way and stops background work.
    virtual Task<> close() = 0;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// BlockCache: clean blocks of chunks in memory. Chunks never change, so nothing here is ever out of date.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cluster/fs/extent_map.h"
#include "server/base/buffer.h"

namespace strata::cluster {

constexpr std::uint32_t cache_block_size = 64 << 10;

// Sharded, each shard with a clock hand and its part of the bound. Counted are whole slabs, once each: a block that is a piece of a
// received megabyte costs that megabyte until the last such block is gone. Any thread.
class BlockCache {
public:
    explicit BlockCache(std::size_t bytes_max);

    // Block number `block` of the chunk (its last may be short); an empty slice: not in memory. Copies nothing.
    Slice find(const ChunkId& chunk, std::uint32_t block);
    void insert(const ChunkId& chunk, std::uint32_t block, Slice bytes);
    // Cuts `bytes`, which start at block `first` of the chunk, into blocks. A block of one slice shares it, others are copied together.
    void insert_all(const ChunkId& chunk, std::uint32_t first, const BufferChain& bytes);
    void erase(const ChunkId& chunk, std::uint32_t length);
    std::size_t used_bytes() const;
    std::size_t bytes_max() const { return bytes_max_; }

private:
    struct Key {
        ChunkId chunk;
        std::uint32_t block = 0;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept { return ChunkIdHash{}(key.chunk) + key.block * 0x9e3779b97f4a7c15ull; }
    };
    struct Entry {
        Key key;
        Slice bytes;        // empty: a free place
        bool used = false;  // since the hand last passed
    };
    struct alignas(64) Shard {
        mutable std::mutex mutex;
        std::unordered_map<Key, std::uint32_t, KeyHash> places;
        std::vector<Entry> ring;
        std::vector<std::uint32_t> free;
        std::size_t hand = 0;
        std::size_t used = 0;
        std::unordered_map<const void*, std::uint32_t> slabs;
    };

    Shard& shard(const ChunkId& chunk, std::uint32_t block);
    static void count_in(Shard& s, const Slice& bytes);
    static void take_out(Shard& s, std::uint32_t place);
    void evict(Shard& s);

    std::size_t bytes_max_;
    std::size_t shard_count_;
    std::size_t shard_max_;
    std::unique_ptr<Shard[]> shards_;
};

}  // namespace strata::cluster

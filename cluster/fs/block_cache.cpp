// SPDX-License-Identifier: Apache-2.0
// BlockCache: places, slabs and the clock hand.
#include "cluster/fs/block_cache.h"

#include <algorithm>
#include <cstring>

namespace strata::cluster {

namespace {

constexpr std::size_t shards_most = 16;
constexpr std::size_t shard_least = 8 << 20;   // bytes: a shard smaller than a few slabs would keep nothing
constexpr std::uint32_t blocks_of_shard = 16;  // neighbours stay together, so that a slab is counted in one shard

}  // namespace

BlockCache::BlockCache(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      shard_count_(std::clamp<std::size_t>(bytes_max / shard_least, 1, shards_most)),
      shard_max_(bytes_max / shard_count_),
      shards_(std::make_unique<Shard[]>(shard_count_)) {}

BlockCache::Shard& BlockCache::shard(const ChunkId& chunk, std::uint32_t block) {
    const std::size_t hash = KeyHash{}({chunk, block / blocks_of_shard});
    return shards_[(hash >> 32) % shard_count_];
}

Slice BlockCache::find(const ChunkId& chunk, std::uint32_t block) {
    Shard& s = shard(chunk, block);
    std::lock_guard lock(s.mutex);
    const auto at = s.places.find({chunk, block});
    if (at == s.places.end()) return {};
    Entry& entry = s.ring[at->second];
    entry.used = true;
    return entry.bytes;
}

void BlockCache::count_in(Shard& s, const Slice& bytes) {
    if (bytes.slab() == nullptr) return;
    if (++s.slabs[bytes.slab()] == 1) s.used += bytes.pinned_bytes();
}

void BlockCache::take_out(Shard& s, std::uint32_t place) {
    Entry& entry = s.ring[place];
    if (const void* slab = entry.bytes.slab(); slab != nullptr) {
        const auto at = s.slabs.find(slab);
        if (--at->second == 0) {
            s.slabs.erase(at);
            s.used -= entry.bytes.pinned_bytes();
        }
    }
    s.places.erase(entry.key);
    entry.bytes = Slice();
    s.free.push_back(place);
}

void BlockCache::evict(Shard& s) {
    std::size_t steps = 2 * s.ring.size();
    while (s.used > shard_max_ && steps-- > 0) {
        if (s.hand >= s.ring.size()) s.hand = 0;
        Entry& entry = s.ring[s.hand];
        if (!entry.bytes.empty()) {
            if (entry.used) {
                entry.used = false;
            } else {
                take_out(s, static_cast<std::uint32_t>(s.hand));
            }
        }
        ++s.hand;
    }
}

void BlockCache::insert(const ChunkId& chunk, std::uint32_t block, Slice bytes) {
    if (bytes.empty() || bytes.pinned_bytes() > shard_max_) return;
    Shard& s = shard(chunk, block);
    std::lock_guard lock(s.mutex);
    const auto [at, fresh] = s.places.try_emplace(Key{chunk, block}, 0);
    if (!fresh) return;
    if (s.free.empty()) {
        at->second = static_cast<std::uint32_t>(s.ring.size());
        s.ring.emplace_back();
    } else {
        at->second = s.free.back();
        s.free.pop_back();
    }
    count_in(s, bytes);
    s.ring[at->second] = Entry{{chunk, block}, std::move(bytes), true};
    if (s.used > shard_max_) evict(s);
}

void BlockCache::insert_all(const ChunkId& chunk, std::uint32_t first, const BufferChain& bytes) {
    auto slice = bytes.slices().begin();
    std::size_t skip = 0;  // bytes of *slice that went into earlier blocks
    std::size_t left = bytes.size();
    for (std::uint32_t block = first; left > 0; ++block) {
        const std::size_t size = std::min<std::size_t>(left, cache_block_size);
        left -= size;
        if (slice->size() - skip >= size) {
            insert(chunk, block, slice->sub(skip, size));
            skip += size;
        } else {
            Slice copy = allocate_heap(size);
            for (std::size_t done = 0; done < size;) {
                if (skip == slice->size()) {
                    ++slice;
                    skip = 0;
                }
                const std::size_t count = std::min(size - done, slice->size() - skip);
                std::memcpy(copy.writable().data() + done, slice->data() + skip, count);
                done += count;
                skip += count;
            }
            insert(chunk, block, std::move(copy));
        }
        if (left > 0 && skip == slice->size()) {
            ++slice;
            skip = 0;
        }
    }
}

void BlockCache::erase(const ChunkId& chunk, std::uint32_t length) {
    for (std::uint32_t block = 0; std::uint64_t{block} * cache_block_size < length; ++block) {
        Shard& s = shard(chunk, block);
        std::lock_guard lock(s.mutex);
        const auto at = s.places.find({chunk, block});
        if (at != s.places.end()) take_out(s, at->second);
    }
}

std::size_t BlockCache::used_bytes() const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < shard_count_; ++i) {
        std::lock_guard lock(shards_[i].mutex);
        n += shards_[i].used;
    }
    return n;
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// ExtentMap: where a file's bytes lie, in memory; and MapEdit, which changes it and collects the rows that make the change durable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/meta/rows.h"

namespace strata::cluster {

using ChunkPtr = std::shared_ptr<const Chunk>;

struct MappedExtent {
    std::uint64_t length = 0;
    ChunkPtr chunk;  // null: allocated, not written, reads as zeros
    std::uint32_t chunk_offset = 0;
};

struct ChunkIdHash {
    std::size_t operator()(const ChunkId& id) const noexcept {
        return ((std::uint64_t{id.epoch} << 32 | id.volume) ^ (id.counter * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;
    }
};

// Extents by offset, never overlapping. Not synchronised: its file's mutex guards it.
class ExtentMap {
public:
    using Extents = std::map<std::uint64_t, MappedExtent>;

    // Fills an empty map from its rows, by offset; every row's chunk was added before. Errors: corrupt (its chunk was not, or the row does
    // not fit: then nothing of the file can be trusted).
    void add_chunk(const Chunk& chunk);
    Result<> add(const ExtentRow& row);

    bool empty() const { return extents_.empty(); }
    std::size_t size() const { return extents_.size(); }
    std::uint64_t allocated() const { return allocated_; }  // bytes that extents cover
    const Extents& extents() const { return extents_; }
    Extents::const_iterator first_touching(std::uint64_t from) const;
    // How many extents touch [from, to), counting no further than `limit`.
    std::size_t count(std::uint64_t from, std::uint64_t to, std::size_t limit) const;
    // How far from `from` at most `limit` extents reach; at most `to`.
    std::uint64_t reach(std::uint64_t from, std::uint64_t to, std::size_t limit) const;
    // From where on, not before `from`, no more than `limit` extents begin.
    std::uint64_t tail(std::uint64_t from, std::size_t limit) const;
    // What the map has of that chunk now; null: nothing names it.
    ChunkPtr chunk(const ChunkId& id) const;
    // The repaired record of a chunk takes the old one's place.
    void replace(const ChunkPtr& chunk);

    // Walks [from, to): on_extent(offset, extent, skip, length) and on_gap(from, to), in order, until one returns false.
    template <class OnExtent, class OnGap>
    bool visit(std::uint64_t from, std::uint64_t to, OnExtent&& on_extent, OnGap&& on_gap) const {
        for (auto it = first_touching(from); from < to && it != extents_.end() && it->first < to; ++it) {
            if (it->first > from) {
                if (!on_gap(from, it->first)) return false;
                from = it->first;
            }
            const std::uint64_t end = std::min(to, it->first + it->second.length);
            if (!on_extent(from, it->second, from - it->first, end - from)) return false;
            from = end;
        }
        return from >= to || on_gap(from, to);
    }

private:
    friend class MapEdit;
    struct Use {
        ChunkPtr chunk;
        std::uint32_t extents = 0;
    };
    Extents extents_;
    std::uint64_t allocated_ = 0;
    std::unordered_map<ChunkId, Use, ChunkIdHash> uses_;
};

// References that one command takes and gives, over all files that it changes.
struct References {
    std::map<ChunkId, std::int32_t> delta;
    std::vector<ChunkPtr> dropped;  // no longer named by a map that named them: perhaps dead, once the command is applied
};

// One change of one map. Every step is done on the map at once; finish() tells the rows. The file's mutex is held throughout.
class MapEdit {
public:
    MapEdit(ExtentMap& map, MapId id) : map_(map), id_(id) {}

    void erase(std::uint64_t from, std::uint64_t to);
    // [offset, offset+length) now lies in `chunk` from `chunk_offset` on; a null chunk: allocated, not written.
    void assign(std::uint64_t offset, std::uint64_t length, const ChunkPtr& chunk, std::uint32_t chunk_offset);
    // Appends PutExtent and DeleteExtent; references are added to `references`. Call it once, at the end.
    void finish(Command& command, References& references);

private:
    struct Touched {
        std::uint64_t offset;
        std::size_t order;  // the first of an offset tells if it had a row
        bool existed;
    };
    void touch(std::uint64_t offset, bool existed) { touched_.push_back({offset, touched_.size(), existed}); }
    void take(const ChunkPtr& chunk);
    void give(const ChunkPtr& chunk);

    ExtentMap& map_;
    MapId id_;
    std::vector<Touched> touched_;
    std::map<ChunkId, std::int32_t> delta_;
    std::vector<ChunkPtr> perhaps_dropped_;
};

// The AdjustChunks of all references but those of `fresh` chunks, whose PutChunk counts them.
void adjust(Command& command, const References& references, std::span<const ChunkPtr> fresh);

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// ExtentMap and MapEdit.
#include "cluster/fs/extent_map.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/base/assert.h"

namespace strata::cluster {

void ExtentMap::add_chunk(const Chunk& chunk) {
    auto& use = uses_[chunk.id];
    if (use.chunk == nullptr) use.chunk = std::make_shared<const Chunk>(chunk);
}

Result<> ExtentMap::add(const ExtentRow& row) {
    const bool overlaps = !extents_.empty() && extents_.rbegin()->first + extents_.rbegin()->second.length > row.offset;
    if (row.length == 0 || row.offset + row.length < row.offset || overlaps) {
        return fail(Errc::corrupt, fmt::format("map {}: the extent at {} overlaps another, or is empty", row.map, row.offset));
    }
    MappedExtent extent{row.length, nullptr, row.chunk_offset};
    if (row.chunk != ChunkId{}) {
        const auto use = uses_.find(row.chunk);
        if (use == uses_.end()) return fail(Errc::corrupt, fmt::format("map {}: the extent at {} names no chunk", row.map, row.offset));
        extent.chunk = use->second.chunk;
        ++use->second.extents;
    }
    extents_.insert_or_assign(extents_.end(), row.offset, std::move(extent));
    allocated_ += row.length;
    return {};
}

ExtentMap::Extents::const_iterator ExtentMap::first_touching(std::uint64_t from) const {
    auto it = extents_.upper_bound(from);
    if (it != extents_.begin()) {
        const auto before = std::prev(it);
        if (before->first + before->second.length > from) return before;
    }
    return it;
}

std::size_t ExtentMap::count(std::uint64_t from, std::uint64_t to, std::size_t limit) const {
    std::size_t n = 0;
    for (auto it = first_touching(from); it != extents_.end() && it->first < to && n < limit; ++it) ++n;
    return n;
}

std::uint64_t ExtentMap::reach(std::uint64_t from, std::uint64_t to, std::size_t limit) const {
    auto it = first_touching(from);
    for (std::size_t n = 0; n < limit && it != extents_.end() && it->first < to; ++n) ++it;
    return it == extents_.end() ? to : std::clamp(it->first, from, to);
}

std::uint64_t ExtentMap::tail(std::uint64_t from, std::size_t limit) const {
    auto it = extents_.end();
    for (std::size_t n = 0; n < limit && it != extents_.begin() && std::prev(it)->first >= from; ++n) --it;
    return it == extents_.end() ? from : std::max(it == extents_.begin() || std::prev(it)->first < from ? from : it->first, from);
}

ChunkPtr ExtentMap::chunk(const ChunkId& id) const {
    const auto use = uses_.find(id);
    return use == uses_.end() || use->second.extents == 0 ? nullptr : use->second.chunk;
}

void ExtentMap::replace(const ChunkPtr& chunk) {
    const auto use = uses_.find(chunk->id);
    if (use == uses_.end()) return;
    use->second.chunk = chunk;
    for (auto& [offset, extent] : extents_) {
        if (extent.chunk != nullptr && extent.chunk->id == chunk->id) extent.chunk = chunk;
    }
}

void MapEdit::take(const ChunkPtr& chunk) {
    if (chunk == nullptr) return;
    auto& use = map_.uses_[chunk->id];
    if (use.extents++ == 0) use.chunk = chunk;
    ++delta_[chunk->id];
}

void MapEdit::give(const ChunkPtr& chunk) {
    if (chunk == nullptr) return;
    --delta_[chunk->id];
    const auto use = map_.uses_.find(chunk->id);
    STRATA_ASSERT(use != map_.uses_.end() && use->second.extents > 0);
    if (--use->second.extents == 0) {
        perhaps_dropped_.push_back(use->second.chunk);
        map_.uses_.erase(use);
    }
}

void MapEdit::erase(std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    const auto first = map_.first_touching(from);
    auto it = map_.extents_.erase(first, first);  // the same position, mutable
    while (it != map_.extents_.end() && it->first < to) {
        const std::uint64_t begin = it->first;
        const std::uint64_t end = begin + it->second.length;
        touch(begin, true);
        const bool right_remains = end > to;
        if (right_remains) {
            MappedExtent right = it->second;
            right.length = end - to;
            if (right.chunk != nullptr) right.chunk_offset += static_cast<std::uint32_t>(to - begin);
            take(right.chunk);
            touch(to, false);
            map_.extents_.emplace_hint(std::next(it), to, std::move(right));
        }
        map_.allocated_ -= std::min(end, to) - std::max(begin, from);
        if (begin < from) {
            it->second.length = from - begin;
            ++it;
        } else {
            const ChunkPtr chunk = std::move(it->second.chunk);
            it = map_.extents_.erase(it);
            give(chunk);
        }
        if (right_remains) break;
    }
}

void MapEdit::assign(std::uint64_t offset, std::uint64_t length, const ChunkPtr& chunk, std::uint32_t chunk_offset) {
    if (length == 0) return;
    take(chunk);  // before the erase: a rewrite in the same chunk must not look like its end
    erase(offset, offset + length);
    touch(offset, false);
    map_.extents_.emplace(offset, MappedExtent{length, chunk, chunk == nullptr ? 0 : chunk_offset});
    map_.allocated_ += length;
}

void MapEdit::finish(Command& command, References& references) {
    std::ranges::sort(touched_,
                      [](const Touched& a, const Touched& b) { return std::pair(a.offset, a.order) < std::pair(b.offset, b.order); });
    command.reserve(command.size() + touched_.size() + delta_.size() + 2);
    for (std::size_t i = 0; i < touched_.size(); ++i) {
        const auto [offset, order, existed] = touched_[i];
        if (i > 0 && touched_[i - 1].offset == offset) continue;
        const auto it = map_.extents_.find(offset);
        if (it == map_.extents_.end()) {
            if (existed) command.push_back(DeleteExtent{{id_, offset}});
            continue;
        }
        const MappedExtent& e = it->second;
        command.push_back(PutExtent{{id_, offset, e.length, e.chunk == nullptr ? ChunkId{} : e.chunk->id, e.chunk_offset}});
    }
    for (const auto& [id, delta] : delta_) references.delta[id] += delta;
    for (auto& chunk : perhaps_dropped_) {
        if (map_.chunk(chunk->id) == nullptr) references.dropped.push_back(std::move(chunk));
    }
}

void adjust(Command& command, const References& references, std::span<const ChunkPtr> fresh) {
    for (const auto& [id, delta] : references.delta) {
        const bool counted = std::ranges::any_of(fresh, [&](const ChunkPtr& chunk) { return chunk->id == id; });
        if (delta != 0 && !counted) command.push_back(AdjustChunk{id, delta});
    }
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The survey's walk over inode numbers.
#include "cluster/fs/survey.h"

#include <algorithm>

namespace strata::cluster {

namespace {

constexpr Duration look_every = 1s;
constexpr std::size_t inodes_per_step = 64;
constexpr std::size_t extents_per_page = 1000;
constexpr std::size_t extents_of_chunk_max = 4096;  // more: it is in use
constexpr std::size_t rewrites_per_file = 256;      // the others next time
constexpr int rest_in_seal_ages = 12;               // after a walk over all files

// Contiguous extents that the sealer would make one of.
class RaggedRun {
public:
    // True: the run that ends with this extent is worth it.
    bool add(const ExtentRow& extent, const Chunk& chunk, const Policy& policy) {
        const bool replicated = chunk.geometry.k == 1 && policy.full.k > 1;
        if (extent.length >= coded_size_min && !replicated) {
            extents_ = 0;
            return false;
        }
        if (extents_ == 0 || extent.offset != end_ || extent.offset / region_size != begin_ / region_size) {
            begin_ = extent.offset;
            extents_ = 0;
        }
        ++extents_;
        end_ = extent.offset + extent.length;
        return end_ - begin_ >= coded_size_min && (extents_ > 1 || replicated);
    }

private:
    std::uint64_t begin_ = 0, end_ = 0;
    std::size_t extents_ = 0;
};

}  // namespace

Task<Result<bool>> Survey::mostly_dead(const Chunk& chunk) {
    if (const auto known = verdicts_.find(chunk.id); known != verdicts_.end()) co_return known->second;
    CO_TRY(extents, co_await core_.meta().extents_of_chunk(core_.internal, chunk.id, extents_of_chunk_max));
    std::uint64_t live = 0;
    for (const auto& extent : extents) live += extent.length;
    const bool dead = extents.size() < extents_of_chunk_max && live * 2 < chunk.length;
    verdicts_.emplace(chunk.id, dead);
    co_return dead;
}

Task<Result<>> Survey::write_anew(NodePtr node, const std::vector<ExtentRow>& extents, const std::map<ChunkId, Chunk>& chunks) {
    ReadTickets::Ticket ticket(reaper_.tickets());
    CO_CHECK_OK(co_await core_.load(core_.internal, node));
    for (const auto& extent : extents) {
        if (core_.stopping || core_.pinned_bytes() > core_.config.dirty_bytes_max / 4) break;  // writers come first
        CO_CHECK_OK(core_.check_space(node->row.domain, extent.length));
        const auto chunk = std::make_shared<const Chunk>(chunks.at(extent.chunk));
        CO_TRY(bytes, co_await core_.reader.read(core_.internal, chunk, extent.chunk_offset, static_cast<std::uint32_t>(extent.length)));
        std::lock_guard lock(node->mutex);
        FileData& d = *node->data;
        if (node->dead || !d.loaded || node->row.map != extent.map) break;
        const std::uint64_t end = extent.offset + extent.length;
        bool same = !d.flushing.touches(extent.offset, end);
        d.map.visit(
            extent.offset, end,
            [&](std::uint64_t at, const MappedExtent& now, std::uint64_t skip, std::uint64_t) {
                same = same && now.chunk != nullptr && now.chunk->id == extent.chunk &&
                       now.chunk_offset + skip == extent.chunk_offset + (at - extent.offset);
                return same;
            },
            [&](std::uint64_t, std::uint64_t) { return same = false; });
        if (!same) continue;
        DirtyRanges stored;
        std::uint64_t at = extent.offset;
        for (const Slice& slice : bytes.slices()) {
            stored.put(at, {slice, 0, static_cast<std::uint32_t>(slice.size()), false});
            at += slice.size();
        }
        d.dirty.put_under(stored);
        core_.changed(node);
    }
    co_return Result<>{};
}

Task<Result<>> Survey::look_at(const InodeRow& row, Duration age) {
    if (row.type != vfs::FileType::regular || !row.inline_data.empty() || row.allocated == 0) co_return Result<>{};
    if (core_.clock().wall_time().seconds - row.modify_time.seconds < age / 1s) co_return Result<>{};
    const Policy policy = core_.parts.policy(row.domain);
    bool ragged = false;
    RaggedRun run;
    std::vector<ExtentRow> rewrites;
    std::map<ChunkId, Chunk> sources;
    for (std::uint64_t from = 0; !core_.stopping;) {
        CO_TRY(page, co_await core_.meta().extents(core_.internal, row.map, from, UINT64_MAX, extents_per_page));
        std::map<ChunkId, Chunk> chunks;
        for (auto& chunk : page.chunks) chunks.emplace(chunk.chunk.id, std::move(chunk.chunk));
        for (const auto& extent : page.extents) {
            const auto at = chunks.find(extent.chunk);
            if (at == chunks.end()) continue;  // allocated only, or damaged: who reads it will be told
            const Chunk& chunk = at->second;
            ragged = run.add(extent, chunk, policy) || ragged;
            if (extent.length * 2 >= chunk.length || rewrites.size() == rewrites_per_file) continue;
            CO_TRY(dead, co_await mostly_dead(chunk));
            if (!dead) continue;
            rewrites.push_back(extent);
            sources.emplace(chunk.id, chunk);
        }
        if (page.extents.size() < extents_per_page) break;
        from = page.extents.back().offset + page.extents.back().length;
    }
    if (!ragged && rewrites.empty()) co_return Result<>{};
    CO_TRY(node, co_await core_.parts.node(core_.internal, row.number));
    {
        std::lock_guard lock(node->mutex);
        if (node->dead || core_.busy(*node)) co_return Result<>{};
        (void)core_.data_of(node);
    }
    if (ragged) CO_CHECK_OK(co_await sealer_.seal(node, core_.clock().now()));
    co_return co_await write_anew(node, rewrites, sources);
}

Task<bool> Survey::step(Duration age) {
    verdicts_.clear();
    const InodeNumber end = core_.parts.inode_end();
    std::vector<InodeNumber> numbers;
    for (; next_ < end && numbers.size() < inodes_per_step; ++next_) numbers.push_back(next_);
    const auto rows = co_await core_.meta().inodes(core_.internal, std::move(numbers));
    for (const auto& row : rows ? *rows : std::vector<InodeRow>()) {
        if (core_.stopping) break;
        const auto looked = co_await look_at(row, age);
        if (!looked) core_.log.debug("the survey passes over a file", {{"inode", row.number}, {"error", to_string(looked.error())}});
    }
    const bool last = next_ >= end;
    if (last) next_ = 1;
    co_return last;
}

Task<> Survey::run() {
    if (!core_.parts.node || !core_.parts.inode_end) co_return;
    Instant next = core_.clock().now() + core_.config.seal_age;
    while (!core_.stopping) {
        (void)co_await core_.kick.wait(core_.kick.value() + 1, core_.clock(), core_.clock().now() + look_every);
        if (core_.stopping) break;
        if (core_.clock().now() < next) continue;
        const bool last = co_await step(core_.config.seal_age);
        next = core_.clock().now() + (last ? rest_in_seal_ages * core_.config.seal_age : Duration(look_every));
    }
}

}  // namespace strata::cluster

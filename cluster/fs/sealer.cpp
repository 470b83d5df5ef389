// SPDX-License-Identifier: Apache-2.0
// Sealer: choosing runs, rewriting them, and the commit that touches only what is still as it was read.
#include "cluster/fs/sealer.h"

#include <algorithm>

namespace strata::cluster {

namespace {

constexpr Duration look_every = 1s;
constexpr Duration resting = 2s;                  // a file that nobody wrote for so long may be merged
constexpr std::size_t region_extents_hard = 512;  // merged even while it is being written

}  // namespace

void Sealer::consider(const NodePtr& node) {
    if (node->row.size < coded_size_min || std::exchange(node->data->ragged, true)) return;
    std::lock_guard lock(mutex_);
    ragged_.push_back(node);
}

void Sealer::crowded(const NodePtr& node, std::uint64_t offset) {
    const bool queued = !node->data->crowded.empty();
    node->data->crowded.insert(offset);
    if (queued) return;
    std::lock_guard lock(mutex_);
    crowded_.push_back(node);
}

bool Sealer::ragged(const MappedExtent& extent, const Policy& policy) {
    return extent.length < coded_size_min || (extent.chunk->geometry.k == 1 && policy.full.k > 1);
}

std::vector<Sealer::Run> Sealer::runs(const Node& node, std::uint64_t from, std::uint64_t to, bool only_ragged) const {
    const Policy policy = core_.parts.policy(node.row.domain);
    std::vector<Run> found;
    Run run;
    std::uint64_t end = 0;
    auto close = [&] {
        if (run.empty()) return;
        const bool long_enough = !only_ragged || end - run.front().offset >= coded_size_min;
        const bool better = run.size() > 1 || (only_ragged && run.front().chunk->geometry.k == 1 && policy.full.k > 1);
        if (long_enough && better) found.push_back(std::move(run));
        run = Run();
    };
    node.data->map.visit(
        from, to,
        [&](std::uint64_t at, const MappedExtent& extent, std::uint64_t skip, std::uint64_t length) {
            if (extent.chunk == nullptr || (only_ragged && !ragged(extent, policy))) {
                close();
                return true;
            }
            if (at / region_size != (run.empty() ? at : run.front().offset) / region_size) close();
            run.push_back({at, static_cast<std::uint32_t>(length), extent.chunk, extent.chunk_offset + static_cast<std::uint32_t>(skip)});
            end = at + length;
            if (end - run.front().offset >= chunk_size_max) close();
            return true;
        },
        [&](std::uint64_t, std::uint64_t) {
            close();
            return true;
        });
    close();
    return found;
}

Task<Result<>> Sealer::rewrite_run(NodePtr node, const Run& run) {
    BufferChain data;
    for (const Source& source : run) {
        CO_TRY(bytes, co_await core_.reader.read(core_.internal, source.chunk, source.chunk_offset, source.length));
        data.append(bytes);
    }
    if (data.size() > chunk_size_max) co_return fail(Errc::internal, "a run to rewrite is longer than a chunk");
    const Policy policy = core_.parts.policy(node->row.domain);
    CO_CHECK_OK(core_.check_space(node->row.domain, data.size()));
    const Geometry wanted = data.size() >= coded_size_min ? policy.full : policy.replicated();
    CO_TRY(chunk, co_await core_.chunks().write(core_.internal, core_.parts.new_chunk(), wanted, data));
    const auto written = std::make_shared<const Chunk>(std::move(chunk));
    core_.cache.insert_all(written->id, 0, data);
    auto admitted = co_await core_.meta().admit(core_.internal);
    if (!admitted || !commit(node, run, written)) co_await core_.chunks().remove(core_.internal, *written);
    co_return admitted;
}

bool Sealer::commit(const NodePtr& node, const Run& run, const ChunkPtr& chunk) {
    struct Same {
        std::uint64_t offset, length;
    };
    std::vector<Same> same;
    std::lock_guard lock(node->mutex);
    if (node->dead) return false;
    FileData& d = *node->data;
    for (const Source& source : run) {
        d.map.visit(
            source.offset, source.offset + source.length,
            [&](std::uint64_t at, const MappedExtent& extent, std::uint64_t skip, std::uint64_t length) {
                const bool still = extent.chunk != nullptr && extent.chunk->id == source.chunk->id &&
                                   extent.chunk_offset + skip == source.chunk_offset + (at - source.offset);
                if (!still) return true;
                if (!same.empty() && same.back().offset + same.back().length == at) {
                    same.back().length += length;
                } else {
                    same.push_back({at, length});
                }
                return true;
            },
            [](std::uint64_t, std::uint64_t) { return true; });
    }
    if (same.empty()) return false;
    MapEdit edit(d.map, node->row.map);
    for (const auto& [offset, length] : same) {
        edit.assign(offset, length, chunk, static_cast<std::uint32_t>(offset - run.front().offset));
    }
    Command command;
    References references;
    edit.finish(command, references);
    command.push_back(PutChunk{{*chunk, static_cast<std::uint32_t>(references.delta[chunk->id])}});
    adjust(command, references, std::span(&chunk, 1));
    const LogIndex index = core_.meta().submit(std::move(command));
    core_.chunks().committed(*chunk);
    core_.carried(*node, index);
    reaper_.dropped(std::move(references.dropped), index);
    return true;
}

Task<Result<>> Sealer::rewrite(NodePtr node, std::uint64_t from, std::uint64_t to, bool only_ragged) {
    CO_CHECK_OK(co_await core_.load(core_.internal, node));
    ReadTickets::Ticket ticket(reaper_.tickets());
    std::vector<Run> work;
    {
        std::lock_guard lock(node->mutex);
        if (node->dead || node->evicted || !node->data->loaded || std::exchange(node->data->rewriting, true)) co_return Result<>{};
        work = runs(*node, from, to, only_ragged);
    }
    Result<> outcome;
    for (const Run& run : work) {
        outcome = co_await rewrite_run(node, run);
        if (!outcome || core_.stopping) break;
    }
    std::lock_guard lock(node->mutex);
    node->data->rewriting = false;
    co_return outcome;
}

Task<Result<>> Sealer::merge(NodePtr node, Instant resting_since) {
    std::vector<std::uint64_t> regions;
    {
        std::lock_guard lock(node->mutex);
        if (node->dead || node->data == nullptr) co_return Result<>{};
        FileData& d = *node->data;
        for (auto it = d.crowded.begin(); it != d.crowded.end();) {
            const bool due =
                d.changed_at <= resting_since || d.map.count(*it, *it + region_size, region_extents_hard) >= region_extents_hard;
            if (due) regions.push_back(*it);
            it = due ? d.crowded.erase(it) : std::next(it);
        }
        if (!d.crowded.empty()) {
            std::lock_guard queue(mutex_);
            crowded_.push_back(node);
        }
    }
    for (const auto region : regions) CO_CHECK_OK(co_await rewrite(node, region, region + region_size, false));
    co_return Result<>{};
}

Task<Result<>> Sealer::seal(NodePtr node, Instant cold_since) {
    {
        std::lock_guard lock(node->mutex);
        if (node->dead || node->data == nullptr) co_return Result<>{};
        if (node->data->changed_at > cold_since) {
            std::lock_guard queue(mutex_);
            ragged_.push_back(node);
            co_return Result<>{};
        }
        node->data->ragged = false;
    }
    co_return co_await rewrite(node, 0, UINT64_MAX, true);
}

Task<Result<>> Sealer::pass(Instant resting_since, Instant cold_since, bool everything) {
    std::deque<std::weak_ptr<Node>> crowded, ragged;
    {
        std::lock_guard lock(mutex_);
        crowded.swap(crowded_);
        const Instant now = core_.clock().now();
        if (now >= seal_again_ || everything) {
            ragged.swap(ragged_);
            seal_again_ = now + core_.config.seal_age / 16;  // most of them are not cold yet
        }
    }
    Result<> outcome;
    for (const auto& weak : crowded) {
        if (auto node = weak.lock()) {
            if (auto merged = co_await merge(node, resting_since); !merged && outcome) outcome = std::move(merged);
        }
    }
    for (const auto& weak : ragged) {
        if (auto node = weak.lock()) {
            if (auto sealed = co_await seal(node, cold_since); !sealed && outcome) outcome = std::move(sealed);
        }
    }
    co_return outcome;
}

Task<> Sealer::run() {
    while (!core_.stopping) {
        (void)co_await core_.kick.wait(core_.kick.value() + 1, core_.clock(), core_.clock().now() + look_every);
        if (core_.stopping) break;
        const Instant now = core_.clock().now();
        auto done = co_await pass(Instant{now.ns - resting.count()}, Instant{now.ns - core_.config.seal_age.count()}, false);
        if (!done) core_.log.debug("merging and sealing goes on later", {{"error", to_string(done.error())}});
    }
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Reaper: bounded steps, each durable before the next.
#include "cluster/fs/reaper.h"

#include <algorithm>

#include "server/base/cancellation.h"

namespace strata::cluster {

namespace {

constexpr std::size_t rows_per_command = 1000;
constexpr std::size_t looks_at_once = 8;
constexpr Duration pause = 200ms;
constexpr Duration poll_first = 1ms, poll_longest = 50ms;

}  // namespace

void Reaper::dropped(std::vector<ChunkPtr> chunks, LogIndex index) {
    if (chunks.empty()) return;
    std::lock_guard lock(mutex_);
    for (auto& chunk : chunks) candidates_.push_back({.chunk = std::move(chunk), .index = index});
}

void Reaper::dropped(std::vector<ChunkPtr> chunks, NodePtr node) {
    if (chunks.empty()) return;
    std::lock_guard lock(mutex_);
    for (auto& chunk : chunks) candidates_.push_back({.chunk = std::move(chunk), .node = node});
}

void Reaper::expect(MapId map) {
    std::lock_guard lock(mutex_);
    expected_.insert(map);
}

bool Reaper::maps_left() {
    std::lock_guard lock(mutex_);
    return !looked_ || !expected_.empty();
}

LogIndex Reaper::resolve(Candidate& candidate) {
    if (candidate.node != nullptr) {
        const NodePtr node = std::move(candidate.node);
        std::lock_guard lock(node->mutex);
        candidate.index = node->pending_any;
    }
    return candidate.index;
}

Task<Result<>> Reaper::wait_applied(LogIndex index) {
    CO_CHECK_OK(co_await core_.meta().durable().wait(index, core_.clock(), Instant::max()));
    for (Duration wait = poll_first; core_.meta().applied() < index; wait = std::min(2 * wait, poll_longest)) {
        if (core_.stopping) co_return fail(Errc::cancelled);
        co_await core_.clock().sleep_for(wait);
        if (co_await is_cancelled()) co_return fail(Errc::cancelled);
    }
    co_return Result<>{};
}

Task<Result<bool>> Reaper::look_at(Candidate& candidate) {
    const ChunkPtr chunk = candidate.chunk;
    if (!candidate.dead) {
        CO_TRY(row, co_await core_.meta().chunk(core_.internal, chunk->id));
        if (row) co_return true;
        candidate.dead = true;
        candidate.readers = tickets_.next();
    }
    if (!tickets_.all_ended_before(candidate.readers)) co_return false;
    co_await core_.chunks().remove(core_.internal, *core_.reader.newest(chunk));
    core_.reader.forget(chunk->id);
    core_.cache.erase(chunk->id, chunk->length);
    co_return true;
}

Task<Result<>> Reaper::remove_dead_chunks() {
    std::deque<Candidate> work;
    {
        std::lock_guard lock(mutex_);
        work.swap(candidates_);
    }
    std::deque<Candidate> later;
    Result<> outcome;
    const LogIndex applied = core_.meta().applied();
    std::erase_if(work, [&](Candidate& candidate) {
        if (candidate.dead || resolve(candidate) <= applied) return false;
        later.push_back(std::move(candidate));
        return true;
    });
    std::mutex mutex;  // of `later` and `outcome`
    auto look = [&](std::size_t i) -> Task<> {
        const auto done = co_await look_at(work[i]);
        if (done && *done) co_return;
        std::lock_guard lock(mutex);
        later.push_back(std::move(work[i]));
        if (!done) outcome = fail(done.error());
    };
    co_await core_.run_all(work.size(), looks_at_once, look);
    std::lock_guard lock(mutex_);
    for (auto& candidate : later) candidates_.push_back(std::move(candidate));
    co_return outcome;
}

// Nobody else changes the rows of a map that no file names, so pages can follow each other by offset.
Task<Result<>> Reaper::reap(ReapRow row) {
    for (std::uint64_t from = row.from; !core_.stopping;) {
        CO_CHECK_OK(co_await core_.meta().admit(core_.internal));
        CO_TRY(page, co_await core_.meta().extents(core_.internal, row.map, from, UINT64_MAX, rows_per_command));
        Command command;
        References references;
        for (const auto& extent : page.extents) {
            command.push_back(DeleteExtent{{row.map, extent.offset}});
            if (extent.chunk != ChunkId{}) --references.delta[extent.chunk];
        }
        adjust(command, references, {});
        const bool end = page.extents.size() < rows_per_command;
        if (end) command.push_back(DeleteReap{row.map});
        reaped_ = core_.meta().submit(std::move(command));
        std::vector<ChunkPtr> chunks;
        for (const auto& chunk : page.chunks) chunks.push_back(std::make_shared<const Chunk>(chunk.chunk));
        dropped(std::move(chunks), reaped_);
        if (end) {
            std::lock_guard lock(mutex_);
            expected_.erase(row.map);
            break;
        }
        from = page.extents.back().offset + page.extents.back().length;
    }
    co_return Result<>{};
}

Task<Result<>> Reaper::reap_maps() {
    constexpr std::size_t maps_per_look = 64;
    while (maps_left() && !core_.stopping) {
        CO_CHECK_OK(co_await wait_applied(reaped_));  // or the look would find rows that are being deleted
        CO_TRY(rows, co_await core_.meta().reaps(core_.internal, maps_per_look));
        for (const auto& row : rows) CO_CHECK_OK(co_await reap(row));
        if (rows.size() < maps_per_look) {
            std::lock_guard lock(mutex_);
            looked_ = true;
            break;
        }
    }
    co_return Result<>{};
}

Task<Result<>> Reaper::pass() {
    while (passing_.exchange(true)) {
        co_await core_.clock().sleep_for(poll_first);
        if (co_await is_cancelled()) co_return fail(Errc::cancelled);
    }
    Result<> outcome = co_await reap_maps();
    if (outcome) outcome = co_await remove_dead_chunks();
    passing_ = false;
    co_return outcome;
}

Task<> Reaper::run() {
    while (!core_.stopping) {
        (void)co_await core_.kick.wait(core_.kick.value() + 1, core_.clock(), core_.clock().now() + pause);
        if (core_.stopping) break;
        if (auto done = co_await pass(); !done) {
            core_.log.debug("freeing what is no longer named goes on later", {{"error", to_string(done.error())}});
            co_await core_.clock().sleep_for(1s);
        }
    }
}

}  // namespace strata::cluster

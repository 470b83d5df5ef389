// SPDX-License-Identifier: Apache-2.0
// VolumeCatalog over the MetaStore.
#include "cluster/fs/volume_catalog.h"

#include "server/base/cancellation.h"

namespace strata::cluster {

namespace {
constexpr Duration look_again = 2ms, patience = 60s;
}

Task<Result<>> VolumeCatalog::catch_up(const Context& ctx) {
    const LogIndex wanted = meta_.submitted();
    const Instant give_up = std::min(ctx.deadline, runtime_.clock->now() + patience);
    CO_CHECK_OK(co_await meta_.durable().wait(wanted, *runtime_.clock, give_up));
    while (meta_.applied() < wanted) {
        if (runtime_.clock->now() >= give_up) co_return fail(Errc::timed_out);
        co_await runtime_.clock->sleep_for(look_again);
        if (co_await is_cancelled()) co_return fail(Errc::cancelled);
    }
    co_return Result<>{};
}

Task<Result<std::optional<Chunk>>> VolumeCatalog::get(const Context& ctx, ChunkId id) {
    CO_CHECK_OK(co_await catch_up(ctx));
    CO_TRY(row, co_await meta_.chunk(ctx, id));
    if (!row) co_return std::optional<Chunk>();
    co_return std::optional(std::move(row->chunk));
}

Task<Result<std::map<ChunkId, Chunk>>> VolumeCatalog::get_all(const Context& ctx, std::vector<ChunkId> ids) {
    CO_CHECK_OK(co_await catch_up(ctx));
    std::map<ChunkId, Chunk> records;
    for (const auto& id : ids) {
        CO_TRY(row, co_await meta_.chunk(ctx, id));
        if (row) records.emplace(id, std::move(row->chunk));
    }
    co_return records;
}

// Only the repairer moves chunks, one move a chunk at a time, so nothing can come between the look and the command but the chunk's end,
// and of a chunk that is gone the command does nothing.
Task<Result<bool>> VolumeCatalog::replace(const Context& ctx, const Chunk& before, const Chunk& after) {
    CO_TRY(now, co_await get(ctx, before.id));
    if (!now || !(*now == before)) co_return false;
    const LogIndex index = meta_.submit({MoveChunk{after}});
    CO_CHECK_OK(co_await meta_.durable().wait(index, *runtime_.clock, ctx.deadline));
    CO_TRY(moved, co_await get(ctx, before.id));
    const bool done = moved.has_value() && *moved == after;
    if (done && on_moved_) on_moved_(after);
    co_return done;
}

Task<Result<std::vector<Chunk>>> VolumeCatalog::list(const Context& ctx, ChunkId after, std::size_t limit) {
    if (after == ChunkId{}) CO_CHECK_OK(co_await catch_up(ctx));
    CO_TRY(rows, co_await meta_.chunks(ctx, after, limit));
    std::vector<Chunk> chunks;
    chunks.reserve(rows.size());
    for (auto& row : rows) chunks.push_back(std::move(row.chunk));
    co_return chunks;
}

std::optional<std::uint32_t> VolumeCatalog::epoch(std::uint32_t volume) const {
    if (volume != meta_.volume().number) return std::nullopt;
    return meta_.volume().epoch;
}

}  // namespace strata::cluster

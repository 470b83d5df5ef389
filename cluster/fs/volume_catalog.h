// SPDX-License-Identifier: Apache-2.0
// VolumeCatalog: the chunk records of one volume, as healing sees them.
#pragma once

#include <functional>
#include <utility>

#include "cluster/meta/meta_store.h"
#include "cluster/repair/chunk_catalog.h"
#include "server/base/runtime.h"

namespace strata::cluster {

class VolumeCatalog final : public ChunkCatalog {
public:
    // `on_moved` is told of every chunk that has new places, once that is durable.
    VolumeCatalog(const Runtime& runtime, MetaStore& meta, std::function<void(const Chunk&)> on_moved = {})
        : runtime_(runtime), meta_(meta), on_moved_(std::move(on_moved)) {}

    Task<Result<std::optional<Chunk>>> get(const Context& ctx, ChunkId id) override;
    Task<Result<std::map<ChunkId, Chunk>>> get_all(const Context& ctx, std::vector<ChunkId> ids) override;
    Task<Result<bool>> replace(const Context& ctx, const Chunk& before, const Chunk& after) override;
    Task<Result<std::vector<Chunk>>> list(const Context& ctx, ChunkId after, std::size_t limit) override;
    std::optional<std::uint32_t> epoch(std::uint32_t volume) const override;

private:
    // Waits until all that was submitted is materialised, so that a read sees it.
    Task<Result<>> catch_up(const Context& ctx);

    const Runtime& runtime_;
    MetaStore& meta_;
    std::function<void(const Chunk&)> on_moved_;
};

}  // namespace strata::cluster

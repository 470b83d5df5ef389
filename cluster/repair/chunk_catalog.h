// SPDX-License-Identifier: Apache-2.0
// ChunkCatalog: what healing needs to know of metadata: which chunks there are, and the commit of a new record. The file system has one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/stripe/stripe.h"
#include "server/base/context.h"

namespace strata::cluster {

class ChunkCatalog {
public:
    virtual ~ChunkCatalog() = default;

    // The chunk's record, with every change that was submitted. nullopt: no extent names the chunk.
    virtual Task<Result<std::optional<Chunk>>> get(const Context& ctx, ChunkId id) = 0;
    // The same of many; those that no extent names are left out.
    virtual Task<Result<std::map<ChunkId, Chunk>>> get_all(const Context& ctx, std::vector<ChunkId> ids) {
        std::map<ChunkId, Chunk> records;
        for (const auto& id : ids) {
            CO_TRY(record, co_await get(ctx, id));
            if (record) records.emplace(id, std::move(*record));
        }
        co_return records;
    }
    // Puts `after` in the place of `before` if that is still the record; true: done, and durable. False: it changed or is gone.
    virtual Task<Result<bool>> replace(const Context& ctx, const Chunk& before, const Chunk& after) = 0;
    // Records in order of id, after `after`, at most `limit`; empty at the end. A walk from the beginning sees every change that was
    // submitted before it.
    virtual Task<Result<std::vector<Chunk>>> list(const Context& ctx, ChunkId after, std::size_t limit) = 0;
    // The allocator epoch of the volume's present opening. nullopt: the volume is not open here, and nothing of it may be judged.
    virtual std::optional<std::uint32_t> epoch(std::uint32_t volume) const = 0;
};

}  // namespace strata::cluster

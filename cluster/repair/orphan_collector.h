// SPDX-License-Identifier: Apache-2.0
// OrphanCollector: removes shards that no record names: what a crash left between data and metadata, removals that a power cut undid,
// and copies that repair has replaced.
//
// Only what looks like an orphan in two passes is removed, and of these only what cannot be on its way into a record: a chunk of an
// allocator epoch before the present opening, or one that has looked so for a long time.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "cluster/repair/chunk_catalog.h"
#include "server/base/runtime.h"
#include "server/base/task_group.h"

namespace strata::cluster {

struct OrphanConfig {
    Duration interval = 24h;                 // between passes
    Duration age = 24h;                      // for chunks of the present epoch, and for copies that were moved
    std::size_t candidates_max = 1'000'000;  // remembered from one pass to the next
};

struct OrphanReport {
    std::uint64_t examined = 0;    // shards
    std::uint64_t candidates = 0;  // look like orphans, and are left for now
    std::uint64_t removed = 0;
    std::uint64_t removed_bytes = 0;
};

class OrphanCollector {
public:
    OrphanCollector(const Runtime& runtime, OrphanConfig config, StoreSet& stores, ChunkCatalog& catalog);

    // A pass at each interval, until stop().
    void start();
    Task<> stop();
    // One pass over all usable stores. Not while start() is in force. Errors: of the stores and the catalog; what was found so far is kept.
    Task<Result<OrphanReport>> run_pass();

private:
    enum class Verdict { kept, orphan_of_closed_epoch, orphan_when_old };

    Task<> run();
    Task<Result<>> examine(const Context& ctx, const StoreSet::Member& member, OrphanReport& report);
    Task<Result<>> examine_page(const Context& ctx, const StoreSet::Member& member, const std::vector<ShardInfo>& page,
                                OrphanReport& report);
    Verdict judge(const ShardKey& key, StoreIndex store, const Chunk* record) const;
    // Whether the shard may go now; remembers it otherwise.
    bool ripe(StoreIndex store, const ShardKey& key, Verdict verdict);

    using Candidate = std::pair<StoreIndex, ShardKey>;

    Runtime runtime_;
    OrphanConfig config_;
    Log log_;
    StoreSet& stores_;
    ChunkCatalog& catalog_;
    std::map<Candidate, Instant> seen_;      // in earlier passes, since when
    std::map<Candidate, Instant> seen_now_;  // in this one
    TaskGroup tasks_;
};

}  // namespace strata::cluster

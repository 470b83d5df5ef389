// SPDX-License-Identifier: Apache-2.0
// Sealer: rewrites what lies in too many pieces. Regions that random writes cut into more than 64 extents are merged soon after the
// flush that did it; ragged and replicated extents of files that nobody writes any more become coded stripes.
//
// A rewrite runs beside flushes: its commit replaces only what still names the chunk and range that it read.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/fs/data_core.h"
#include "cluster/fs/reaper.h"

namespace strata::cluster {

constexpr std::uint64_t region_size = chunk_size_max;
constexpr std::size_t region_extents_max = 64;

class Sealer {
public:
    Sealer(DataCore& core, Reaper& reaper) : core_(core), reaper_(reaper) {}

    // The file has ragged extents: look at it when it is cold. mutex held.
    void consider(const NodePtr& node);
    // The region at `offset` has too many extents: merged when the file rests for a moment, or when it has very many. mutex held.
    void crowded(const NodePtr& node, std::uint64_t offset);

    // Merges crowded regions of files that were last changed at `resting_since` or before, and seals those last changed at `cold_since` or
    // before; ragged files are looked through only now and then, unless `everything`.
    Task<Result<>> pass(Instant resting_since, Instant cold_since, bool everything);
    Task<> run();  // until core.stopping
    // Makes coded stripes of the file's ragged extents if nobody changed it since `cold_since`; else it waits in the queue.
    Task<Result<>> seal(NodePtr node, Instant cold_since);

private:
    struct Source {
        std::uint64_t offset = 0;
        std::uint32_t length = 0;
        ChunkPtr chunk;
        std::uint32_t chunk_offset = 0;
    };
    using Run = std::vector<Source>;  // contiguous in the file

    static bool ragged(const MappedExtent& extent, const Policy& policy);
    // Contiguous runs of written extents in [from, to), of at most a chunk each, that are worth rewriting. mutex held.
    std::vector<Run> runs(const Node& node, std::uint64_t from, std::uint64_t to, bool only_ragged) const;
    Task<Result<>> rewrite(NodePtr node, std::uint64_t from, std::uint64_t to, bool only_ragged);
    Task<Result<>> rewrite_run(NodePtr node, const Run& run);
    bool commit(const NodePtr& node, const Run& run, const ChunkPtr& chunk);
    Task<Result<>> merge(NodePtr node, Instant resting_since);

    DataCore& core_;
    Reaper& reaper_;
    std::mutex mutex_;
    std::deque<std::weak_ptr<Node>> ragged_;
    Instant seal_again_;
    std::deque<std::weak_ptr<Node>> crowded_;
};

}  // namespace strata::cluster

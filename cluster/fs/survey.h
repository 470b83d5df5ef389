// SPDX-License-Identifier: Apache-2.0
// Survey: looks at every file once in a while, slowly, for what nobody remembers: ragged extents that the sealer lost sight of (a
// restart, an eviction), and chunks of which little is still in use, whose living rest is written anew so that they die.
#pragma once

#include <map>

#include "cluster/fs/data_core.h"
#include "cluster/fs/reaper.h"
#include "cluster/fs/sealer.h"

namespace strata::cluster {

class Survey {
public:
    Survey(DataCore& core, Reaper& reaper, Sealer& sealer) : core_(core), reaper_(reaper), sealer_(sealer) {}

    // Looks at the next files, of those not written for `age`. True: it has been at the last one, and begins anew. A file that cannot be
    // read is passed over.
    Task<bool> step(Duration age);
    Task<> run();  // until core.stopping

private:
    Task<Result<>> look_at(const InodeRow& row, Duration age);
    // Less than half of the chunk is named by extents.
    Task<Result<bool>> mostly_dead(const Chunk& chunk);
    // The extents' bytes become dirty data of the file, which a flush packs together with others'; unless they changed meanwhile.
    Task<Result<>> write_anew(NodePtr node, const std::vector<ExtentRow>& extents, const std::map<ChunkId, Chunk>& chunks);

    DataCore& core_;
    Reaper& reaper_;
    Sealer& sealer_;
    InodeNumber next_ = 1;
    std::map<ChunkId, bool> verdicts_;  // of this step
};

}  // namespace strata::cluster

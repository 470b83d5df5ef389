// SPDX-License-Identifier: Apache-2.0
// Reaper: work that outlives its command: maps that no file names are deleted in bounded steps; chunks that no extent names lose their
// shards.
//
// A chunk that a map stopped naming may be named by others (clones, packed chunks), so nobody counts references in memory: once the
// command that stopped naming it is applied, the store is asked whether the chunk's row is still there. If it is not, no durable extent
// names it, and whoever drops the last one later asks again. Maps change before their commands are submitted, so reads that begin after the
// row was found gone cannot meet the chunk; those that began before are waited for.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <set>
#include <vector>

#include "cluster/fs/data_core.h"

namespace strata::cluster {

class Reaper {
public:
    explicit Reaper(DataCore& core) : core_(core) {}

    ReadTickets& tickets() { return tickets_; }
    // Chunks that a map named no more by the command `index`. Any thread, never blocks.
    void dropped(std::vector<ChunkPtr> chunks, LogIndex index);
    // The same where the command is being put together: it is submitted before the mutex of `node`, held now, is released.
    void dropped(std::vector<ChunkPtr> chunks, NodePtr node);
    // A command under way carries a ReapRow for `map`.
    void expect(MapId map);

    // Does all that can be done now; waits for commands to be applied, and for a pass that is under way. Errors: io and what the store
    // says; the rest is done next time.
    Task<Result<>> pass();
    Task<> run();  // until core.stopping

private:
    struct Candidate {
        ChunkPtr chunk;
        LogIndex index = 0;  // 0: not known yet
        NodePtr node;
        bool dead = false;          // its row is gone
        std::uint64_t readers = 0;  // dead: reads with lower tickets may have found it in a map
    };
    Task<Result<>> remove_dead_chunks();
    // True: done with it; false: look again later.
    Task<Result<bool>> look_at(Candidate& candidate);
    Task<Result<>> reap_maps();
    Task<Result<>> reap(ReapRow row);
    bool maps_left();
    Task<Result<>> wait_applied(LogIndex index);
    static LogIndex resolve(Candidate& candidate);

    DataCore& core_;
    ReadTickets tickets_;
    std::mutex mutex_;
    std::deque<Candidate> candidates_;
    std::atomic<bool> passing_{false};
    std::set<MapId> expected_;  // reap rows that will be applied soon
    bool looked_ = false;       // after a restart there may be some, too
    LogIndex reaped_ = 0;       // newest command of ours: before the next look it must be applied
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Scrubber: reads everything from the disks once a cycle and reports what is damaged before somebody needs it.
#pragma once

#include <cstdint>
#include <mutex>

#include "cluster/repair/chunk_catalog.h"
#include "cluster/repair/repairer.h"
#include "cluster/repair/token_bucket.h"
#include "server/base/runtime.h"
#include "server/base/signal.h"
#include "server/base/task_group.h"

namespace strata::cluster {

struct ScrubConfig {
    Duration cycle = 14 * 24h;                     // all data are read once in it
    std::uint64_t bytes_per_second_min = 1 << 20;  // a small store is read faster than it would have to be
    unsigned cross_check_every = 16;               // of so many chunks one is encoded anew and compared; 0: none
    ChunkId resume_after{};                        // where an earlier process had got to
};

struct ScrubProgress {
    bool full_speed = false;          // asked for, and not done yet
    std::uint64_t passes = 0;         // finished
    std::uint64_t checked = 0;        // chunks, in this pass (or the last one, while waiting for the next)
    std::uint64_t checked_bytes = 0;  // of file data
    std::uint64_t bad_shards = 0;
    std::uint64_t inconsistent = 0;  // chunks whose data and parity disagree
    std::uint64_t repaired = 0;      // chunks, since the pass began
    ChunkId position{};              // worth keeping for resume_after
};

class Scrubber {
public:
    Scrubber(const Runtime& runtime, ScrubConfig config, StripeIo& stripes, StoreSet& stores, ChunkCatalog& catalog, Repairer& repairer);

    void start();
    Task<> stop();
    // Begins a pass over everything now, without a limit of speed. Any thread.
    void run_now();
    ScrubProgress progress() const;
    // Nobody is to wait for a pass any more: the end is near. Any thread.
    void refuse_waits() { passes_.fail_all(Errc::cancelled); }
    // Until the pass that run_now() asked for is done. Errors: timed_out, cancelled (refuse_waits(), stop()).
    Task<Result<>> wait_full_speed(Instant deadline);

private:
    Task<> run();
    Task<> pass(ChunkId after);
    struct Checked {};
    Task<Checked> walk(const std::vector<Chunk>& page, std::size_t& next);
    Task<> check(const Chunk& chunk);
    void begin_pass();
    bool is_over() const;
    std::uint64_t rate() const;

    Runtime runtime_;
    ScrubConfig config_;
    Log log_;
    StripeIo& stripes_;
    StoreSet& stores_;
    ChunkCatalog& catalog_;
    Repairer& repairer_;
    TokenBucket bucket_;

    mutable std::mutex mutex_;
    ScrubProgress progress_;
    std::uint64_t mended_before_ = 0;
    bool restart_ = false;  // run_now() was called during a pass

    Signal wanted_;  // calls of run_now()
    Signal passes_;  // full-speed passes finished, as the number of the call they answer
    TaskGroup tasks_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// StoreSpaceGauge: how much of its disk a store may still use, and what it must leave alone.
//
// Reserve = the metadata log's share (never touched by segments) + two segments (for compaction and removals only, so that a full
// store can always clean up).
#pragma once

#include <atomic>
#include <cstdint>

#include "server/base/clock.h"
#include "server/base/disk.h"
#include "server/base/result.h"

namespace strata::cluster {

// What the metadata's log, and SQLite's write-ahead log beside it, may each take on a disk of `total` bytes between two checkpoints.
std::uint64_t metadata_log_bytes(std::uint64_t total);

struct SegmentStoreConfig {
    std::uint64_t segment_bytes = 0;      // preallocated at once; 0: 256 MiB, on small disks a 64th of the disk but at least 16 MiB
    std::uint64_t capacity_bytes = 0;     // what the store's segments may take; 0: the whole disk
    std::uint64_t log_reserve_bytes = 0;  // kept free for the metadata; 0: by the size of the disk, 20 MiB .. 1 GiB
    unsigned compact_below_percent = 30;  // sealed segments with less alive are compacted
    int read_threads = 4;
    std::size_t batch_bytes_max = 32u << 20;   // put into one write
    std::size_t queue_bytes_max = 256u << 20;  // waiting puts; past it put() waits before it queues
    std::size_t open_segments_max = 256;       // files of sealed segments that are kept open
    Duration upkeep_interval = 5s;
};

class StoreSpaceGauge {
public:
    StoreSpaceGauge(Disk& disk, const SegmentStoreConfig& config) : disk_(disk), config_(config) {}

    // Asks the disk. The first call fixes the sizes that the configuration left open. Errors: io.
    Result<> refresh();
    // Segment files grew or shrank by so much.
    void segments_changed(std::int64_t bytes) { segments_ += static_cast<std::uint64_t>(bytes); }

    std::uint64_t segment_bytes() const { return segment_bytes_; }
    // Kept for compaction and removals.
    std::uint64_t upkeep_reserve() const { return 2 * segment_bytes_; }
    std::uint64_t total_bytes() const;
    // What new segments may take as of the last refresh(): for puts, and for compaction and removals. May be stale by what others
    // wrote to the disk meanwhile.
    std::uint64_t free_for_puts() const;
    std::uint64_t free_for_upkeep() const;
    // What puts may take of a segment that upkeep made out of its reserve, and of which `unused` bytes are left: what is not needed for
    // the reserve to be whole.
    std::uint64_t spare_of_reserve(std::uint64_t unused) const;
    // The shortest segment worth making: less than that counts as nothing.
    std::uint64_t segment_bytes_min() const { return segment_bytes_ / 16; }

private:
    std::uint64_t free_after(std::uint64_t reserve) const;

    Disk& disk_;
    SegmentStoreConfig config_;
    std::atomic<std::uint64_t> segment_bytes_{0}, log_reserve_{0};
    std::atomic<std::uint64_t> disk_total_{0}, disk_free_{0};
    std::atomic<std::uint64_t> segments_{0};
};

}  // namespace strata::cluster

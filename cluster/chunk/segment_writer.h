// SPDX-License-Identifier: Apache-2.0
// SegmentWriter: appends records to the active segment, seals full ones and opens the next. One thread at a time (the flusher's).
//
// It never appends to a segment that an earlier run wrote: behind an unknown tail nothing could be told from rubbish.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/chunk/segment_files.h"
#include "cluster/chunk/store_space.h"
#include "server/base/buffer.h"

namespace strata::cluster {

// One record to be written, and what became of it.
struct AppendRecord {
    RecordKind kind = RecordKind::shard;
    ShardKey key;
    BufferChain data;
    ShardChecksums checksums;
    std::vector<Removal> removals;  // kind removals; the data are their encoding
    bool may_use_reserve = false;   // compaction and removals
    Result<> outcome;               // no_space, too_many, invalid_argument
    std::uint32_t segment = 0, block = 0;
};

class SegmentWriter {
public:
    SegmentWriter(Disk& disk, StoreSpaceGauge& space, const Uuid& store, std::uint32_t next_sequence)
        : disk_(disk), space_(space), store_(store), next_sequence_(next_sequence) {}

    // Segments that append() or seal() opened and finished since the last call; the store's table has to learn of both.
    struct Changes {
        std::vector<SegmentPtr> opened;
        std::vector<SegmentPtr> sealed;  // with their entries
    };
    Changes take_changes() { return std::exchange(changes_, {}); }

    // Writes the records whose outcome is ok; all of them are on stable storage when it returns.
    // Errors: io: nothing of this batch may be trusted, and the writer must not be used again.
    Result<> append(std::span<AppendRecord*> records);
    // Closes the active segment, if any: its unused space is given back. Errors: io.
    Result<> seal();

    std::uint32_t next_sequence() const { return next_sequence_; }
    // Bytes left in the active segment that puts may use. Any thread.
    std::uint64_t remaining_bytes() const { return reserved_ ? space_.spare_of_reserve(unused_) : unused_.load(); }

private:
    bool fits(const AppendRecord& record) const;
    // Makes room for a record that does not fit. Errors: no_space, io.
    Result<> open_next(const AppendRecord& record, std::vector<AppendRecord*>& group);
    Result<> write_group(std::vector<AppendRecord*>& group);
    void note(const AppendRecord& record);
    void publish_unused();

    Disk& disk_;
    StoreSpaceGauge& space_;
    Uuid store_;
    std::uint32_t next_sequence_;
    SegmentPtr active_;
    std::uint32_t position_ = 0;         // next block of the active segment, behind the group being formed
    std::uint32_t written_ = 0;          // and behind what has been written and synced
    std::vector<SegmentEntry> entries_;  // of the active segment
    Changes changes_;
    std::atomic<bool> reserved_{false};     // the active segment was taken from the reserve
    std::atomic<std::uint64_t> unused_{0};  // bytes left in it
};

}  // namespace strata::cluster

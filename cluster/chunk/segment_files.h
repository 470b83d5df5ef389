// SPDX-License-Identifier: Apache-2.0
// The files of a store: segments/SEQUENCE.seg and segments/SEQUENCE.index (its checkpoint), SEQUENCE in eight hexadecimal digits,
// never used twice.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/chunk/segment_scan.h"
#include "server/base/disk.h"

namespace strata::cluster {

constexpr std::string_view segment_folder = "segments";

std::string segment_path(std::uint32_t sequence);
std::string checkpoint_path(std::uint32_t sequence);

// One segment: its file, and what the store counts about it (guarded by the store's mutex; the file is not).
struct Segment {
    std::uint32_t sequence = 0;
    std::shared_ptr<File> file;     // while it is written; then null, see OpenSegments
    std::uint32_t size_blocks = 0;  // of the file
    std::uint32_t used_blocks = 0;
    std::uint32_t live_blocks = 0;  // of records whose shard is in the index
    std::uint32_t live_shards = 0;
    std::uint32_t removals = 0;  // entries that cancel records of other segments that still exist
    bool sealed = false;
    bool checkpointed = false;
    bool stuck = false;                 // parts of it cannot be read: not compacted
    std::vector<SegmentEntry> entries;  // until there is a checkpoint
};
using SegmentPtr = std::shared_ptr<Segment>;

// Sequences of the segment files in the folder, ascending. Errors: io.
Result<std::vector<std::uint32_t>> list_segments(Disk& disk);

// A new, preallocated segment whose name is durable. Errors: no_space (nothing is left behind), io.
Result<SegmentPtr> create_segment(Disk& disk, std::uint32_t sequence, std::uint64_t bytes);

// An existing one with its contents, from its checkpoint if that is sound, else by scanning. Errors: io, bad_version.
struct OpenedSegment {
    SegmentPtr segment;
    SegmentContents contents;
    bool scanned = false;
};
Result<OpenedSegment> open_segment(Disk& disk, const Uuid& store, std::uint32_t sequence);

Result<> write_checkpoint(Disk& disk, const Uuid& store, const SegmentContents& contents, std::uint32_t sequence);
// Its entries, from the checkpoint or by scanning.
Result<SegmentContents> read_contents(Disk& disk, const Uuid& store, std::uint32_t sequence);

// Removes segment and checkpoint; durable when it returns.
Result<> remove_segment(Disk& disk, std::uint32_t sequence);

}  // namespace strata::cluster

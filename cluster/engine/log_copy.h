// SPDX-License-Identifier: Apache-2.0
// LogCopy: the log's segment files on one store. All calls block and come one at a time: the log gives each copy a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/chunk/chunk_store.h"
#include "cluster/engine/log_record.h"
#include "server/base/disk.h"

namespace strata::cluster {

constexpr std::string_view meta_folder = "meta";

// A store's folder, by the store's identity.
struct StoreDisk {
    Uuid store{};
    std::shared_ptr<Disk> disk;
    std::uint64_t reserved_bytes = 0;  // of the disk, for others than the metadata
};

// A full disk, or no descriptor left: nothing is lost by it, and what was to be done is tried again.
inline bool passes(const Error& error) { return error == Errc::no_space || error == Errc::too_many; }

// A record where it lies.
struct PlacedRecord {
    LogRecord record;
    std::string segment;     // file name
    std::uint64_t salt = 0;  // the segment's
};

// What a store's segments hold, as found at opening.
struct LogCopyContent {
    std::vector<LogSegmentHeader> headers;
    std::vector<PlacedRecord> records;
    std::vector<std::uint64_t> lost;  // first indices of segments of which nothing can be read any more
};

class LogCopy {
public:
    // `segment_bytes`: of a new segment, unless a record needs more. `spares_max`: emptied segments kept for reuse: their blocks are
    // allocated and written, which makes each sync cheaper.
    LogCopy(StoreDisk place, std::size_t segment_bytes, int spares_max);

    // Reads and checks all segments; removes what a crash left half made. Errors: io.
    Result<LogCopyContent> scan(const Uuid& volume);
    // The bytes of a record, checked. Errors: corrupt, io, not_found.
    Result<std::vector<std::byte>> read(const PlacedRecord& placed);
    // Writes records, sealed with header.salt, into a segment of their own, durably.
    Result<> write_segment(const LogSegmentHeader& header, std::span<const std::vector<std::byte>> records, std::uint64_t last);
    // Appends a record durably; a new segment with `header` (first = `first`) is begun if none is open or the record does not fit.
    // After an error the copy takes no more, but for no_space and too_many: the same record may then be tried again. Errors: io, no_space,
    // too_many.
    Result<> append(LogSegmentHeader header, std::uint64_t first, std::uint64_t last, std::span<const std::byte> record);
    // Removes segments, oldest first, that hold nothing newer than `to`; the newest stays.
    Result<> trim(std::uint64_t to);
    // Removes all files of the log.
    static Result<> erase(Disk& disk);

    const Uuid& store() const { return store_; }
    const std::string& last_segment() const { return segments_.back().name; }  // after append()
    std::uint64_t last_offset() const { return last_offset_; }                 // of the record that append() wrote
    std::string description() const { return disk_->description(); }

private:
    struct Segment {
        std::string name;
        std::uint64_t first = 0, last = 0;
    };
    Result<> scan_segment(const std::string& name, const Uuid& volume, LogCopyContent& content);
    // Makes a segment of at least `bytes` under its final name, with a durable header.
    Result<std::unique_ptr<File>> make_segment(const LogSegmentHeader& header, std::uint64_t bytes, std::string& name);
    Result<> append_record(LogSegmentHeader header, std::uint64_t first, std::uint64_t last, std::span<const std::byte> record);
    Result<std::unique_ptr<File>> make_passing(const std::string& passing, const LogSegmentHeader& header, std::uint64_t bytes);
    Result<std::unique_ptr<File>> give_name(std::unique_ptr<File> file, const std::string& passing, const std::string& name);
    Result<std::unique_ptr<File>> make_spare(const std::string& path, std::uint64_t bytes);
    Result<> retire(const std::string& name);

    const Uuid store_;
    const std::shared_ptr<Disk> disk_;
    const std::size_t segment_bytes_;
    const int spares_max_;
    std::vector<Segment> segments_;    // by first index; if `file_` is set the last is open
    std::vector<std::string> spares_;  // file names
    std::unique_ptr<File> file_;
    std::uint64_t offset_ = 0, capacity_ = 0, last_offset_ = 0;
    std::uint64_t names_given_ = 0;
    bool broken_ = false;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The segment scanner.
#include "cluster/chunk/segment_scan.h"

#include <algorithm>

#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::size_t window_size = 1 << 20;
constexpr int read_attempts = 3;

// Sequential reading through a window; an unreadable block is only that block's loss.
class BlockReader {
public:
    BlockReader(File& file, std::uint64_t size) : file_(file), size_(size), window_(window_size) {}

    std::uint64_t size() const { return size_; }
    // Whether anything that was asked for at or behind `offset` could not be read.
    bool unreadable_from(std::uint64_t offset) const { return unreadable_end_ > offset; }

    // The bytes [offset, offset + count) as far as the file goes; empty if they cannot be read. count <= window_size / 2. Valid until
    // the next call.
    std::span<const std::byte> read(std::uint64_t offset, std::size_t count) {
        count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size_ - std::min(offset, size_)));
        if (offset < start_ || offset + count > start_ + filled_) fill(offset, count);
        if (offset < start_ || offset + count > start_ + filled_) return {};
        return std::span(window_).subspan(offset - start_, count);
    }

private:
    void fill(std::uint64_t offset, std::size_t count) {
        start_ = offset;
        filled_ = 0;
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(window_.size(), size_ - offset));
        if (auto n = file_.read_at(offset, std::span(window_).first(want))) {
            filled_ = *n;
            return;
        }
        for (int attempt = 0; attempt < read_attempts; ++attempt) {
            if (auto exact = file_.read_at(offset, std::span(window_).first(count))) {
                filled_ = *exact;
                return;
            }
        }
        unreadable_end_ = std::max(unreadable_end_, offset + count);
    }

    File& file_;
    std::uint64_t size_;
    std::vector<std::byte> window_;
    std::uint64_t start_ = 0;
    std::size_t filled_ = 0;
    std::uint64_t unreadable_end_ = 0;
};

class Scanner {
public:
    Scanner(File& file, std::uint64_t size, const Uuid& store, std::uint32_t segment)
        : reader_(file, size), store_(store), segment_(segment) {}

    Result<SegmentContents> run() {
        const auto end = static_cast<std::uint32_t>(reader_.size() / record_block);
        for (std::uint32_t block = 0; block < end;) {
            const auto head = head_at(block);
            if (!head) {
                if (head.error() == Errc::bad_version) return fail(head.error());
                note_stray(block);
                ++block;
                continue;
            }
            tail_start_ = std::max(tail_start_, head->header.synced_before);
            take(*head, block);
            block += record_blocks(head->header.length);
        }
        // What cannot be read there may be an acknowledged record, which to take for a torn tail would be to lose it.
        if (reader_.unreadable_from(std::uint64_t{tail_start_} * record_block)) {
            return fail(Errc::io, "segment " + std::to_string(segment_) + ": its tail cannot be read");
        }
        return finish();
    }

private:
    struct Found {
        std::uint32_t block = 0;
        bool sound = false;
        std::size_t first_entry = 0, entries = 0;
        std::uint32_t end_block = 0;
    };

    Result<RecordHead> head_at(std::uint32_t block) {
        const std::uint64_t offset = std::uint64_t{block} * record_block;
        const RecordPosition position{store_, segment_, block};
        const auto header = peek_head(reader_.read(offset, record_block), position);
        if (!header) return fail(Errc::corrupt);
        if (offset + std::uint64_t{record_blocks(header->length)} * record_block > reader_.size()) return fail(Errc::corrupt);
        return decode_head(reader_.read(offset, head_size(header->length)), position);
    }

    bool data_sound(const RecordHead& head, std::uint32_t block) {
        std::uint64_t offset = std::uint64_t{block} * record_block + data_offset(head.header.length);
        std::size_t left = head.header.length;
        for (const std::uint32_t expected : head.table) {
            const std::size_t n = std::min(left, checksum_block_size);
            const auto bytes = reader_.read(offset, n);
            if (bytes.size() != n || crc32c(bytes) != expected) return false;
            offset += n;
            left -= n;
        }
        return true;
    }

    void take(const RecordHead& head, std::uint32_t block) {
        Found found{block, data_sound(head, block), contents_.entries.size(), 0, block + record_blocks(head.header.length)};
        if (head.header.kind == RecordKind::shard) {
            contents_.entries.push_back({RecordKind::shard, head.header.key, block, head.header.length, head.header.digest});
        } else if (found.sound) {
            take_removals(head, block);
        }
        found.entries = contents_.entries.size() - found.first_entry;
        found_.push_back(found);
    }

    void take_removals(const RecordHead& head, std::uint32_t block) {
        const auto bytes = reader_.read(std::uint64_t{block} * record_block + data_offset(head.header.length), head.header.length);
        const auto removals = decode_removals(bytes);
        if (!removals) return;
        for (const Removal& r : *removals) contents_.entries.push_back({RecordKind::removals, r.key, r.segment, 0, 0});
    }

    // A block outside all records: zeros were never written; anything else was.
    void note_stray(std::uint32_t block) {
        const auto bytes = reader_.read(std::uint64_t{block} * record_block, record_block);
        const bool zero = !bytes.empty() && std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
        if (!zero) strays_.push_back(block);
    }

    SegmentContents finish() {
        std::vector<SegmentEntry> kept;
        kept.reserve(contents_.entries.size());
        for (const Found& f : found_) {
            if (!f.sound && f.block >= tail_start_) {
                ++contents_.torn_records;
                continue;
            }
            if (!f.sound) ++contents_.damaged_records;
            contents_.used_blocks = f.end_block;
            const auto first = contents_.entries.begin() + static_cast<std::ptrdiff_t>(f.first_entry);
            kept.insert(kept.end(), first, first + static_cast<std::ptrdiff_t>(f.entries));
        }
        contents_.entries = std::move(kept);
        contents_.damaged_blocks = static_cast<std::uint32_t>(std::ranges::count_if(strays_, [&](auto b) { return b < tail_start_; }));
        return std::move(contents_);
    }

    BlockReader reader_;
    Uuid store_;
    std::uint32_t segment_;
    std::uint32_t tail_start_ = 0;
    SegmentContents contents_;
    std::vector<Found> found_;
    std::vector<std::uint32_t> strays_;
};

}  // namespace

Result<SegmentContents> scan_segment(File& file, const Uuid& store, std::uint32_t segment) {
    TRY(size, file.size());
    return Scanner(file, size, store, segment).run();
}

}  // namespace strata::cluster

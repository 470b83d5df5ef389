// SPDX-License-Identifier: Apache-2.0
// Making, opening and removing segment files.
#include "cluster/chunk/segment_files.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "cluster/chunk/segment_checkpoint.h"

namespace strata::cluster {

namespace {

constexpr std::string_view segment_ending = ".seg";
constexpr std::size_t checkpoint_size_max = 1u << 30;

std::optional<std::uint32_t> sequence_of(std::string_view name) {
    if (name.size() != 8 + segment_ending.size() || !name.ends_with(segment_ending)) return std::nullopt;
    std::uint32_t sequence = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + 8, sequence, 16);
    if (error != std::errc{} || end != name.data() + 8) return std::nullopt;
    return sequence;
}

Result<SegmentContents> load_checkpoint(Disk& disk, const Uuid& store, std::uint32_t sequence) {
    TRY(bytes, read_file(disk, checkpoint_path(sequence), checkpoint_size_max));
    return decode_checkpoint(bytes, store, sequence);
}

}  // namespace

std::string segment_path(std::uint32_t sequence) { return fmt::format("{}/{:08x}{}", segment_folder, sequence, segment_ending); }
std::string checkpoint_path(std::uint32_t sequence) { return fmt::format("{}/{:08x}.index", segment_folder, sequence); }

Result<std::vector<std::uint32_t>> list_segments(Disk& disk) {
    TRY(names, disk.list(segment_folder));
    std::vector<std::uint32_t> sequences;
    for (const auto& name : names) {
        if (const auto sequence = sequence_of(name)) sequences.push_back(*sequence);
    }
    std::ranges::sort(sequences);
    return sequences;
}

Result<SegmentPtr> create_segment(Disk& disk, std::uint32_t sequence, std::uint64_t bytes) {
    const std::string path = segment_path(sequence);
    TRY(file, disk.open(path, OpenMode::create_new));
    auto reserved = file->allocate(0, bytes);
    if (reserved) reserved = file->sync();
    if (reserved) reserved = disk.sync_folder(segment_folder);
    if (!reserved) {
        file.reset();
        (void)disk.remove(path);
        return fail(std::move(reserved.error()));
    }
    auto segment = std::make_shared<Segment>();
    segment->sequence = sequence;
    segment->file = std::move(file);
    segment->size_blocks = static_cast<std::uint32_t>(bytes / record_block);
    return segment;
}

Result<OpenedSegment> open_segment(Disk& disk, const Uuid& store, std::uint32_t sequence) {
    TRY(file, disk.open(segment_path(sequence), OpenMode::read_write));
    TRY(bytes, file->size());
    OpenedSegment out;
    out.segment = std::make_shared<Segment>();
    out.segment->sequence = sequence;
    out.segment->file = std::move(file);
    out.segment->sealed = true;
    auto contents = load_checkpoint(disk, store, sequence);
    // A checkpoint that names more than the file holds is not this file's.
    if (contents && std::uint64_t{contents->used_blocks} * record_block <= bytes) {
        out.contents = std::move(*contents);
        out.segment->checkpointed = true;
    } else {
        TRY(scanned, scan_segment(*out.segment->file, store, sequence));
        out.contents = std::move(scanned);
        out.scanned = true;
    }
    out.segment->used_blocks = out.contents.used_blocks;
    out.segment->size_blocks = static_cast<std::uint32_t>(bytes / record_block);
    return out;
}

Result<> write_checkpoint(Disk& disk, const Uuid& store, const SegmentContents& contents, std::uint32_t sequence) {
    return replace_file(disk, checkpoint_path(sequence), encode_checkpoint(contents, store, sequence));
}

Result<SegmentContents> read_contents(Disk& disk, const Uuid& store, std::uint32_t sequence) {
    if (auto contents = load_checkpoint(disk, store, sequence)) return contents;
    TRY(file, disk.open(segment_path(sequence), OpenMode::read));
    return scan_segment(*file, store, sequence);
}

Result<> remove_segment(Disk& disk, std::uint32_t sequence) {
    if (auto removed = disk.remove(checkpoint_path(sequence)); !removed && !(removed.error() == Errc::not_found)) return removed;
    if (auto removed = disk.remove(segment_path(sequence)); !removed && !(removed.error() == Errc::not_found)) return removed;
    return disk.sync_folder(segment_folder);
}

}  // namespace strata::cluster

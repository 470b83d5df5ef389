// SPDX-License-Identifier: Apache-2.0
// Segment files: made under a passing name and renamed, so that a file called log-* always has a sound header; never shortened.
#include "cluster/engine/log_copy.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr std::string_view segment_prefix = "log-";  // log-<first>-<epoch>-<salt>-<number>: the header once more
constexpr std::string_view spare_prefix = "spare-";
constexpr std::string_view passing_prefix = "new-";
constexpr std::size_t segment_size_max = log_payload_size_max + (64u << 20);
constexpr std::size_t zeros_at_once = 1u << 20;
constexpr std::size_t short_segment_part = 16;  // of a whole one, when there is no space

std::string in_folder(std::string_view name) { return fmt::format("{}/{}", meta_folder, name); }

std::string segment_name(const LogSegmentHeader& header, std::uint64_t number) {
    return fmt::format("{}{:016x}-{:08x}-{:016x}-{}", segment_prefix, header.first, header.epoch, header.salt, number);
}

// What the name says, as the header was durable before the file got it.
std::optional<LogSegmentHeader> header_of(std::string_view name, const Uuid& volume) {
    LogSegmentHeader header{.volume = volume};
    name.remove_prefix(segment_prefix.size());
    const auto take = [&name](auto& value, std::size_t digits) {
        if (name.size() <= digits || name[digits] != '-') return false;
        const auto [end, error] = std::from_chars(name.data(), name.data() + digits, value, 16);
        if (error != std::errc{} || end != name.data() + digits) return false;
        name.remove_prefix(digits + 1);
        return true;
    };
    if (!take(header.first, 16) || !take(header.epoch, 8) || !take(header.salt, 16) || header.first == 0) return std::nullopt;
    return header;
}

// Real blocks, not just reserved ones: an fdatasync over blocks that were written before need not change the file's own metadata.
Result<> write_zeros(File& file, std::uint64_t bytes) {
    const std::vector<std::byte> zeros(std::min<std::uint64_t>(bytes, zeros_at_once));
    for (std::uint64_t at = 0; at < bytes;) {
        const auto count = std::min<std::uint64_t>(zeros.size(), bytes - at);
        CHECK_OK(file.write_at(at, std::span<const std::byte>(zeros).first(count)));
        at += count;
    }
    return {};
}

}  // namespace

LogCopy::LogCopy(StoreDisk place, std::size_t segment_bytes, int spares_max)
    : store_(place.store), disk_(std::move(place.disk)), segment_bytes_(segment_bytes), spares_max_(spares_max) {}

Result<LogCopyContent> LogCopy::scan(const Uuid& volume) {
    LogCopyContent content;
    CHECK_OK(disk_->make_folder(meta_folder));
    CHECK_OK(disk_->sync_folder(""));
    TRY(names, disk_->list(meta_folder));
    for (const auto& name : names) {
        if (name.starts_with(passing_prefix)) CHECK_OK(disk_->remove(in_folder(name)));
        if (name.starts_with(spare_prefix)) spares_.push_back(name);
        if (name.starts_with(segment_prefix)) CHECK_OK(scan_segment(name, volume, content));
    }
    std::ranges::sort(segments_, {}, &Segment::first);
    return content;
}

Result<> LogCopy::scan_segment(const std::string& name, const Uuid& volume, LogCopyContent& content) {
    TRY(bytes, read_file(*disk_, in_folder(name), segment_size_max));
    auto scan = scan_log_segment(bytes);
    if (!scan && scan.error() == Errc::bad_version) return fail(scan.error());
    if (const auto header = header_of(name, volume); !scan && header) {
        scan = scan_log_segment(bytes, *header);
        if (scan->records.empty()) {
            content.lost.push_back(header->first);
            scan = fail(Errc::bad_message);
        }
    }
    if (!scan || scan->header.volume != volume) {
        segments_.push_back({name, 0, 0});  // nothing in it can be used; the next trim removes it
        return {};
    }
    Segment segment{name, scan->header.first, scan->header.first - 1};
    for (const auto& record : scan->records) {
        segment.last = std::max(segment.last, record.last());
        content.records.push_back({record, name, scan->header.salt});
    }
    content.headers.push_back(scan->header);
    segments_.push_back(std::move(segment));
    return {};
}

Result<std::vector<std::byte>> LogCopy::read(const PlacedRecord& placed) {
    TRY(file, disk_->open(in_folder(placed.segment), OpenMode::read));
    std::vector<std::byte> bytes(placed.record.size);
    TRY(count, file->read_at(placed.record.offset, bytes));
    bytes.resize(count);
    const auto record = decode_log_record(bytes, placed.salt);
    if (!record || record->first != placed.record.first || record->count != placed.record.count) {
        return fail(Errc::corrupt,
                    fmt::format("the log record at {} in {} of {} is damaged", placed.record.offset, placed.segment, description()));
    }
    return bytes;
}

Result<std::unique_ptr<File>> LogCopy::make_spare(const std::string& path, std::uint64_t bytes) {
    TRY(file, disk_->open(path, OpenMode::create));
    CHECK_OK(file->allocate(0, bytes));
    CHECK_OK(write_zeros(*file, bytes));
    return std::move(file);
}

Result<std::unique_ptr<File>> LogCopy::make_segment(const LogSegmentHeader& header, std::uint64_t bytes, std::string& name) {
    name = segment_name(header, ++names_given_);
    const auto passing = in_folder(fmt::format("{}{}", passing_prefix, name));
    auto made = make_passing(passing, header, bytes);
    if (made) made = give_name(std::move(*made), passing, name);
    if (!made) (void)disk_->remove(passing);
    return made;
}

Result<std::unique_ptr<File>> LogCopy::make_passing(const std::string& passing, const LogSegmentHeader& header, std::uint64_t bytes) {
    std::unique_ptr<File> file;
    if (bytes <= segment_bytes_ && !spares_.empty()) {
        CHECK_OK(disk_->rename(in_folder(spares_.back()), passing));
        spares_.pop_back();
        TRY(reused, disk_->open(passing, OpenMode::read_write));
        file = std::move(reused);
    } else {
        auto fresh = make_spare(passing, std::max<std::uint64_t>(bytes, segment_bytes_));
        if (!fresh && fresh.error() == Errc::no_space) {  // a short one will do
            (void)disk_->remove(passing);
            fresh = make_spare(passing, std::max<std::uint64_t>(bytes, segment_bytes_ / short_segment_part));
        }
        if (!fresh) return fail(std::move(fresh.error()));
        file = std::move(*fresh);
    }
    const auto block = encode_segment_header(header);
    CHECK_OK(file->write_at(0, block));
    CHECK_OK(file->sync());
    return file;
}

Result<std::unique_ptr<File>> LogCopy::give_name(std::unique_ptr<File> file, const std::string& passing, const std::string& name) {
    CHECK_OK(disk_->rename(passing, in_folder(name)));
    CHECK_OK(disk_->sync_folder(meta_folder));
    return file;
}

Result<> LogCopy::write_segment(const LogSegmentHeader& header, std::span<const std::vector<std::byte>> records, std::uint64_t last) {
    std::uint64_t bytes = log_block_size;
    for (const auto& record : records) bytes += record.size();
    std::string name;
    TRY(file, make_segment(header, bytes, name));
    std::uint64_t offset = log_block_size;
    for (const auto& record : records) {
        CHECK_OK(file->write_at(offset, record));
        offset += record.size();
    }
    CHECK_OK(file->sync());
    segments_.push_back({name, header.first, last});
    return {};
}

Result<> LogCopy::append(LogSegmentHeader header, std::uint64_t first, std::uint64_t last, std::span<const std::byte> record) {
    if (broken_) return fail(Errc::io, "an earlier write to this copy of the log failed");
    broken_ = true;  // until all is done
    auto appended = append_record(header, first, last, record);
    // Nothing was promised, and the same bytes can be written to the same place again.
    broken_ = !appended && !passes(appended.error());
    return appended;
}

Result<> LogCopy::append_record(LogSegmentHeader header, std::uint64_t first, std::uint64_t last, std::span<const std::byte> record) {
    if (file_ == nullptr || offset_ + record.size() > capacity_) {
        header.first = first;
        std::string name;
        TRY(file, make_segment(header, log_block_size + record.size(), name));
        TRY(size, file->size());
        file_ = std::move(file);
        capacity_ = size;
        offset_ = log_block_size;
        segments_.push_back({name, first, first - 1});
    }
    CHECK_OK(file_->write_at(offset_, record));
    CHECK_OK(file_->sync());
    last_offset_ = offset_;
    offset_ += record.size();
    segments_.back().last = last;
    return {};
}

Result<> LogCopy::retire(const std::string& name) {
    const auto path = in_folder(name);
    if (static_cast<int>(spares_.size()) >= spares_max_) return disk_->remove(path);
    TRY(file, disk_->open(path, OpenMode::read));
    TRY(size, file->size());
    if (size != segment_bytes_) return disk_->remove(path);
    const auto spare = fmt::format("{}{}", spare_prefix, ++names_given_);
    TRY(taken, disk_->exists(in_folder(spare)));
    if (taken) return disk_->remove(path);
    CHECK_OK(disk_->rename(path, in_folder(spare)));
    spares_.push_back(spare);
    return {};
}

Result<> LogCopy::trim(std::uint64_t to) {
    bool removed = false;
    while (segments_.size() > 1 && segments_.front().last <= to) {
        CHECK_OK(retire(segments_.front().name));
        segments_.erase(segments_.begin());
        removed = true;
    }
    if (removed) return disk_->sync_folder(meta_folder);
    return {};
}

Result<> LogCopy::erase(Disk& disk) {
    CHECK_OK(disk.make_folder(meta_folder));
    CHECK_OK(disk.sync_folder(""));
    TRY(names, disk.list(meta_folder));
    for (const auto& name : names) {
        for (auto prefix : {segment_prefix, spare_prefix, passing_prefix}) {
            if (name.starts_with(prefix)) CHECK_OK(disk.remove(in_folder(name)));
        }
    }
    return disk.sync_folder(meta_folder);
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Appending records to segments.
#include "cluster/chunk/segment_writer.h"

#include <algorithm>
#include <array>

#include "server/base/assert.h"

namespace strata::cluster {

namespace {

const std::array<std::byte, record_block> zero_block{};

std::uint32_t blocks_of(const AppendRecord& record) { return record_blocks(record.data.size()); }

}  // namespace

bool SegmentWriter::fits(const AppendRecord& record) const {
    if (active_ == nullptr || position_ + blocks_of(record) > active_->size_blocks) return false;
    if (!reserved_ || record.may_use_reserve) return true;
    const std::uint64_t unused = std::uint64_t{active_->size_blocks - position_} * record_block;
    return std::uint64_t{blocks_of(record)} * record_block <= space_.spare_of_reserve(unused);
}

Result<> SegmentWriter::append(std::span<AppendRecord*> records) {
    std::vector<AppendRecord*> group;
    for (AppendRecord* record : records) {
        if (!fits(*record)) {
            if (auto opened = open_next(*record, group); !opened) {
                // No space, or no descriptor left: that may pass, and nothing was promised.
                if (opened.error() != Errc::no_space && opened.error() != Errc::too_many) return opened;
                record->outcome = std::move(opened);
                continue;
            }
        }
        record->segment = active_->sequence;
        record->block = position_;
        position_ += blocks_of(*record);
        group.push_back(record);
    }
    return write_group(group);
}

Result<> SegmentWriter::open_next(const AppendRecord& record, std::vector<AppendRecord*>& group) {
    CHECK_OK(space_.refresh());
    const std::uint64_t need = std::uint64_t{blocks_of(record)} * record_block;
    const std::uint64_t shortest = std::max(need, space_.segment_bytes_min());
    if (reserved_ && space_.free_for_puts() >= shortest) {
        reserved_ = false;
        if (fits(record)) return {};
    }
    // Near the end of the space puts get a shorter segment. Upkeep gets a whole one out of the reserve: shorter ones would only have to be
    // merged again.
    const bool at_ease = space_.free_for_puts() >= space_.segment_bytes();
    const bool reserve = record.may_use_reserve && !at_ease;
    const std::uint64_t budget = reserve ? space_.free_for_upkeep() : space_.free_for_puts();
    if (budget < shortest) return fail(Errc::no_space);
    const std::uint64_t size = std::max(need, std::min(space_.segment_bytes(), budget)) / record_block * record_block;
    CHECK_OK(write_group(group));
    auto created = create_segment(disk_, next_sequence_, size);
    if (!created) return fail(std::move(created.error()));
    CHECK_OK(seal());
    ++next_sequence_;
    active_ = std::move(*created);
    position_ = written_ = 0;
    reserved_ = reserve;
    space_.segments_changed(static_cast<std::int64_t>(size));
    (void)space_.refresh();
    changes_.opened.push_back(active_);
    publish_unused();
    return {};
}

Result<> SegmentWriter::write_group(std::vector<AppendRecord*>& group) {
    if (group.empty()) return {};
    std::vector<std::vector<std::byte>> heads;
    heads.reserve(group.size());
    std::vector<std::span<const std::byte>> pieces;
    for (const AppendRecord* record : group) {
        const auto length = static_cast<std::uint32_t>(record->data.size());
        RecordHeader header{record->kind, record->key, length, record->segment, record->block, record->checksums.digest, written_, store_};
        heads.push_back(encode_head(header, record->checksums.blocks));
        pieces.emplace_back(heads.back());
        for (const auto& slice : record->data.slices()) pieces.push_back(slice.span());
        const std::size_t end = data_offset(length) + length;
        pieces.push_back(std::span(zero_block).first(blocks_for(end) * record_block - end));
    }
    auto written = active_->file->write_at(std::uint64_t{written_} * record_block, pieces);
    if (!written && written.error() == Errc::no_space) {  // a disk that does not honour the reservation
        for (AppendRecord* record : group) record->outcome = fail(Errc::no_space);
        position_ = written_;
        group.clear();
        return {};
    }
    CHECK_OK(std::move(written));
    CHECK_OK(active_->file->sync());
    for (const AppendRecord* record : group) note(*record);
    written_ = position_;
    group.clear();
    publish_unused();
    return {};
}

void SegmentWriter::note(const AppendRecord& record) {
    if (record.kind == RecordKind::shard) {
        const auto length = static_cast<std::uint32_t>(record.data.size());
        entries_.push_back({RecordKind::shard, record.key, record.block, length, record.checksums.digest});
        return;
    }
    for (const Removal& r : record.removals) entries_.push_back({RecordKind::removals, r.key, r.segment, 0, 0});
}

Result<> SegmentWriter::seal() {
    if (active_ == nullptr) return {};
    STRATA_ASSERT(position_ == written_);
    const std::uint64_t unused = std::uint64_t{active_->size_blocks - written_} * record_block;
    if (unused > 0 && active_->file->truncate(std::uint64_t{written_} * record_block)) {
        space_.segments_changed(-static_cast<std::int64_t>(unused));
    }
    active_->entries = std::exchange(entries_, {});
    active_->used_blocks = written_;
    changes_.sealed.push_back(std::exchange(active_, nullptr));
    position_ = written_ = 0;
    reserved_ = false;
    publish_unused();
    return {};
}

void SegmentWriter::publish_unused() { unused_ = active_ == nullptr ? 0 : std::uint64_t{active_->size_blocks - written_} * record_block; }

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Record marking: one buffer for many small records, one of its own for a large one.
#include "nfs/rpc/record.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "nfs/wire/xdr.h"

namespace strata::nfs {

namespace {
constexpr std::uint32_t last_fragment = 0x80000000u;
constexpr std::size_t mark_size = 4;
}  // namespace

std::span<std::byte> RecordReader::space() {
    if (large_size_ != 0) return large_space();
    const auto unread = end_ - at_;
    const bool fits = end_ < buffer_.size() && at_ + wanted_ <= buffer_.size();
    if (!fits) {
        // The rest goes on in a fresh buffer: what was given out of the old one stays where it is.
        auto fresh = pool_->allocate(buffer_size);
        if (fresh.size() == 0) return {};
        auto* fresh_base = fresh.writable().data();
        if (unread != 0) std::memcpy(fresh_base, base_ + at_, unread);
        buffer_ = std::move(fresh);
        base_ = fresh_base;
        at_ = 0;
        end_ = unread;
    }
    return {base_ + end_, buffer_.size() - end_};
}

// A slab for a record that is not whole yet; empty: the pool's bound, or that of unfinished records, is reached.
Slice RecordReader::allocate(std::size_t bytes, Quota::Share& share) {
    if (unfinished_ == nullptr) return pool_->allocate(bytes);
    auto taken = unfinished_->take(bytes > buffer_size ? record_max_ : buffer_size);
    if (!taken) return {};
    auto slab = pool_->allocate(bytes);
    if (slab.size() != 0) share = std::move(*taken);
    return slab;
}

std::span<std::byte> RecordReader::large_space() {
    if (large_.size() == 0) {
        large_ = allocate(large_size_, large_share_);
        if (large_.size() == 0) return {};
        large_received_ = end_ - at_;
        std::memcpy(large_.writable().data(), base_ + at_, large_received_);
        buffer_ = Slice();
        base_ = nullptr;
        at_ = end_ = 0;
    }
    return large_.writable().subspan(large_received_);
}

void RecordReader::release() {
    if (!idle()) return;
    buffer_ = Slice();
    base_ = nullptr;
    at_ = end_ = wanted_ = 0;
}

RecordReader::Next RecordReader::next(Slice& record) {
    for (;;) {
        bool last = false;
        Slice fragment;
        if (stalled_) {
            fragment = std::exchange(held_, Slice());
            last = held_last_;
            stalled_ = false;
            --fragments_;  // it is counted already
        } else if (large_size_ != 0) {
            if (large_.size() == 0 || large_received_ < large_size_) return Next::need_more;
            fragment = std::exchange(large_, Slice());
            large_share_ = {};
            large_size_ = large_received_ = 0;
            last = large_last_;
        } else {
            wanted_ = mark_size;
            if (end_ - at_ < mark_size) return Next::need_more;
            const auto mark = load_be32(base_ + at_);
            const std::size_t size = mark & ~last_fragment;
            last = (mark & last_fragment) != 0;
            if (size > record_max_ - assembled_ || fragments_ >= fragments_max) return Next::bad;
            const auto present = end_ - at_ - mark_size;
            const bool large = size + mark_size > buffer_size;
            if (present < size && large && present >= large_present_min) {
                at_ += mark_size;
                large_size_ = size;
                large_last_ = last;
                return Next::need_more;
            }
            wanted_ = mark_size + (large ? large_present_min : size);
            if (present < size) return Next::need_more;
            fragment = buffer_.sub(at_ + mark_size, size);
            at_ += mark_size + size;
        }
        ++fragments_;
        const auto outcome = hand_over(std::move(fragment), last, record);
        if (outcome != Next::need_more) return outcome;
    }
}

// Room for so many bytes of the record in all.
bool RecordReader::reserve_assembly(std::size_t bytes) {
    if (assembly_.size() >= bytes) return true;
    Quota::Share share;
    auto larger = allocate(std::min(record_max_, std::max({bytes, buffer_size, 4 * assembly_.size()})), share);
    if (larger.size() == 0) return false;
    assembly_share_ = std::move(share);
    if (assembled_ != 0) std::memcpy(larger.writable().data(), assembly_.data(), assembled_);
    assembly_ = std::move(larger);
    return true;
}

// The fragment is the record, or is added to the others of its record. need_more: the record goes on.
RecordReader::Next RecordReader::hand_over(Slice fragment, bool last, Slice& record) {
    if (last && !assembling_) {
        record = std::move(fragment);
        fragments_ = 0;
        return Next::record;
    }
    if (!reserve_assembly(assembled_ + fragment.size())) {
        held_ = std::move(fragment);
        held_last_ = last;
        stalled_ = true;
        return Next::wait;
    }
    assembling_ = true;
    if (fragment.size() != 0) std::memcpy(assembly_.writable().data() + assembled_, fragment.data(), fragment.size());
    assembled_ += fragment.size();
    if (!last) return Next::need_more;
    record = assembly_.sub(0, assembled_);
    assembly_ = Slice();
    assembly_share_ = {};
    assembled_ = 0;
    fragments_ = 0;
    assembling_ = false;
    return Next::record;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// DirtyRanges: adding, overlapping and counting pieces.
#include "cluster/fs/write_back.h"

#include <cstring>
#include <vector>

#include "server/base/assert.h"

namespace strata::cluster {

namespace {

// Received slices are kept from here on, if at least half of the memory they pin is theirs.
constexpr std::size_t keep_min = 32 << 10;

std::size_t pinned_by(const DirtyPiece& piece) { return std::max<std::size_t>(piece.store.pinned_bytes(), piece.store.size()); }

}  // namespace

void DirtyRanges::count_in(const DirtyPiece& piece) {
    bytes_ += piece.length;
    if (piece.page) {
        pinned_ += pinned_by(piece);
    } else if (piece.store.slab() != nullptr && ++slabs_[piece.store.slab()] == 1) {
        pinned_ += piece.store.pinned_bytes();
    }
}

void DirtyRanges::count_out(const DirtyPiece& piece) {
    bytes_ -= piece.length;
    if (piece.page) {
        pinned_ -= pinned_by(piece);
    } else if (piece.store.slab() != nullptr) {
        const auto at = slabs_.find(piece.store.slab());
        if (--at->second == 0) {
            slabs_.erase(at);
            pinned_ -= piece.store.pinned_bytes();
        }
    }
}

DirtyRanges::Pieces::const_iterator DirtyRanges::first_touching(std::uint64_t from) const {
    auto it = pieces_.upper_bound(from);
    if (it != pieces_.begin()) {
        const auto before = std::prev(it);
        if (before->first + before->second.length > from) return before;
    }
    return it;
}

bool DirtyRanges::touches(std::uint64_t from, std::uint64_t to) const {
    const auto it = first_touching(from);
    return from < to && it != pieces_.end() && it->first < to;
}

std::uint64_t DirtyRanges::end() const {
    if (pieces_.empty()) return 0;
    const auto last = std::prev(pieces_.end());
    return last->first + last->second.length;
}

void DirtyRanges::clear() {
    pieces_.clear();
    slabs_.clear();
    bytes_ = 0;
    pinned_ = 0;
}

void DirtyRanges::erase(std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    const auto first = first_touching(from);
    auto it = pieces_.erase(first, first);  // the same position, mutable
    while (it != pieces_.end() && it->first < to) {
        const std::uint64_t begin = it->first;
        DirtyPiece whole = std::move(it->second);
        const std::uint64_t end = begin + whole.length;
        count_out(whole);
        it = pieces_.erase(it);
        if (begin < from) {
            DirtyPiece left = whole;
            left.length = static_cast<std::uint32_t>(from - begin);
            count_in(left);
            pieces_.emplace_hint(it, begin, std::move(left));
        }
        if (end > to) {
            whole.skip += static_cast<std::uint32_t>(to - begin);
            whole.length = static_cast<std::uint32_t>(end - to);
            count_in(whole);
            pieces_.emplace_hint(it, to, std::move(whole));
            break;
        }
    }
}

void DirtyRanges::put(std::uint64_t offset, DirtyPiece piece) {
    if (piece.length == 0) return;
    erase(offset, offset + piece.length);
    count_in(piece);
    pieces_.emplace(offset, std::move(piece));
}

void DirtyRanges::put_under(DirtyRanges& older) {
    if (pieces_.empty()) {
        std::swap(pieces_, older.pieces_);
        std::swap(slabs_, older.slabs_);
        std::swap(bytes_, older.bytes_);
        std::swap(pinned_, older.pinned_);
        return;
    }
    for (const auto& [offset, piece] : older.pieces_) {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> gaps;
        visit(
            offset, offset + piece.length, [](std::uint64_t, const Slice&) { return true; },
            [&](std::uint64_t from, std::uint64_t to) {
                gaps.emplace_back(from, to);
                return true;
            });
        for (const auto& [from, to] : gaps) {
            DirtyPiece part = piece;
            part.skip += static_cast<std::uint32_t>(from - offset);
            part.length = static_cast<std::uint32_t>(to - from);
            put(from, std::move(part));
        }
    }
    older.clear();
}

bool DirtyRanges::overwrite_in_place(std::uint64_t offset, std::span<const std::byte> bytes) {
    auto it = pieces_.upper_bound(offset);
    if (it == pieces_.begin()) return false;
    --it;
    DirtyPiece& piece = it->second;
    const std::uint64_t end = it->first + piece.length;
    if (!piece.page || offset > end || offset / data_page_size != it->first / data_page_size || !piece.store.unique()) return false;
    const std::uint64_t new_end = offset + bytes.size();
    if (new_end > end) {
        erase(end, new_end);
        piece.length += static_cast<std::uint32_t>(new_end - end);
        bytes_ += new_end - end;
    }
    std::memcpy(piece.store.writable().data() + offset % data_page_size, bytes.data(), bytes.size());
    return true;
}

void DirtyRanges::write_copied(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (bytes.size() >= keep_min) {
        Slice copy = allocate_heap(bytes.size());
        std::memcpy(copy.writable().data(), bytes.data(), bytes.size());
        put(offset, {std::move(copy), 0, static_cast<std::uint32_t>(bytes.size()), false});
        return;
    }
    while (!bytes.empty()) {
        const std::size_t in_page = offset % data_page_size;
        const std::size_t count = std::min<std::size_t>(data_page_size - in_page, bytes.size());
        const auto part = bytes.first(count);
        if (!overwrite_in_place(offset, part)) {
            Slice page = allocate_heap(data_page_size);
            std::memcpy(page.writable().data() + in_page, part.data(), count);
            put(offset, {std::move(page), static_cast<std::uint32_t>(in_page), static_cast<std::uint32_t>(count), true});
        }
        offset += count;
        bytes = bytes.subspan(count);
    }
}

void DirtyRanges::write(std::uint64_t offset, const BufferChain& data) {
    for (const auto& slice : data.slices()) {
        if (slice.size() >= keep_min && slice.pinned_bytes() <= 2 * slice.size()) {
            put(offset, {slice, 0, static_cast<std::uint32_t>(slice.size()), false});
        } else {
            write_copied(offset, slice.span());
        }
        offset += slice.size();
    }
}

}  // namespace strata::cluster

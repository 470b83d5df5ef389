// SPDX-License-Identifier: Apache-2.0
// DirtyRanges: bytes of one file that are in memory and not yet in chunks. Newest wins.
//
// Large pieces keep the slices they were received in. Small ones are copied into pages of our own, one page of memory for one page of
// the file, so that 4 KiB of dirty data never keep a megabyte of receive buffer alive, and the next small write to the page goes into the
// same memory while nobody else holds it.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "server/base/buffer.h"

namespace strata::cluster {

constexpr std::uint64_t data_page_size = 4096;

struct DirtyPiece {
    Slice store;             // the memory
    std::uint32_t skip = 0;  // of the piece's first byte inside `store`
    std::uint32_t length = 0;
    bool page = false;  // `store` is one page of ours and lies like the file's page

    Slice bytes() const { return store.sub(skip, length); }
};

// Not synchronised: its file's mutex guards it.
class DirtyRanges {
public:
    // Adds `data` at `offset`.
    void write(std::uint64_t offset, const BufferChain& data);
    // Adds a piece as it is.
    void put(std::uint64_t offset, DirtyPiece piece);
    // Adds what `older` has where this has nothing. `older` is empty afterwards.
    void put_under(DirtyRanges& older);
    void erase(std::uint64_t from, std::uint64_t to);
    void clear();

    bool empty() const { return pieces_.empty(); }
    std::uint64_t end() const;  // of the last piece; 0 if there is none
    std::uint64_t bytes() const { return bytes_; }
    // Memory kept alive, in bytes: whole slabs.
    std::size_t pinned() const { return pinned_; }
    std::size_t count() const { return pieces_.size(); }
    const std::map<std::uint64_t, DirtyPiece>& pieces() const { return pieces_; }
    bool touches(std::uint64_t from, std::uint64_t to) const;

    // Walks [from, to): on_piece(offset, slice) and on_gap(from, to), in order, until one returns false. Returns whether it came to the
    // end.
    template <class OnPiece, class OnGap>
    bool visit(std::uint64_t from, std::uint64_t to, OnPiece&& on_piece, OnGap&& on_gap) const {
        if (pieces_.empty()) return from >= to || on_gap(from, to);
        for (auto it = first_touching(from); from < to && it != pieces_.end() && it->first < to; ++it) {
            if (it->first > from) {
                if (!on_gap(from, it->first)) return false;
                from = it->first;
            }
            const std::uint64_t end = std::min(to, it->first + it->second.length);
            if (!on_piece(from, it->second.store.sub(it->second.skip + (from - it->first), end - from))) return false;
            from = end;
        }
        return from >= to || on_gap(from, to);
    }

private:
    using Pieces = std::map<std::uint64_t, DirtyPiece>;
    Pieces::const_iterator first_touching(std::uint64_t from) const;
    bool overwrite_in_place(std::uint64_t offset, std::span<const std::byte> bytes);
    void write_copied(std::uint64_t offset, std::span<const std::byte> bytes);
    void count_in(const DirtyPiece& piece);
    void count_out(const DirtyPiece& piece);

    Pieces pieces_;
    std::uint64_t bytes_ = 0;
    std::size_t pinned_ = 0;
    std::unordered_map<const void*, std::uint32_t> slabs_;  // pieces of each slab that is not a page of ours
};

}  // namespace strata::cluster

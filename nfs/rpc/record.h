// SPDX-License-Identifier: Apache-2.0
// Record marking (RFC 5531, 11): bytes of a stream in, whole records out, as slices of the buffer they were received into.
//
//   record := { last(1 bit) size(31 bits) bytes }*, the last fragment with `last` set
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nfs/state/quota.h"
#include "server/base/buffer.h"

namespace strata::nfs {

// Not thread-safe. Holds a buffer only while bytes of an incomplete record, or space offered by space(), need one.
class RecordReader {
public:
    // `record_max`: bytes of one record, all fragments together; at most the pool's largest slice. `unfinished`: what large records that
    // are not whole yet may take of the pool, on all connections together: who begins many and ends none leaves the rest to others.
    RecordReader(BufferPool& pool, std::size_t record_max, Quota* unfinished = nullptr)
        : pool_(&pool), record_max_(record_max), unfinished_(unfinished) {}

    // Where the next bytes of the stream are to be received. Empty: the pool's bound is reached; try again later.
    std::span<std::byte> space();
    // So many bytes were received into space().
    void received(std::size_t count) { (large_size_ != 0 ? large_received_ : end_) += count; }

    enum class Next : std::uint8_t {
        record,     // `record` is a whole one
        need_more,  // receive more first
        wait,       // the pool's bound is reached: call again later
        bad,        // larger than allowed, or of too many fragments: the stream cannot be followed any further
    };
    Next next(Slice& record);

    // Nothing of a record has been received that next() has not given out.
    bool idle() const { return at_ == end_ && large_size_ == 0 && !assembling_ && !stalled_; }
    // Gives the buffer back, if idle.
    void release();

private:
    Next hand_over(Slice fragment, bool last, Slice& record);
    bool reserve_assembly(std::size_t bytes);
    Slice allocate(std::size_t bytes, Quota::Share& share);
    std::span<std::byte> large_space();

    static constexpr std::size_t buffer_size = 64 * 1024;
    // So much of a large record has to be here before it gets a slab of its own: a word of four bytes alone pins no megabyte.
    static constexpr std::size_t large_present_min = 16 * 1024;
    static constexpr std::uint32_t fragments_max = 4096;  // some clients cut at 4 KiB

    BufferPool* pool_;
    std::size_t record_max_;
    Quota* unfinished_;
    Quota::Share large_share_, assembly_share_;  // of it
    Slice buffer_;
    std::byte* base_ = nullptr;
    std::size_t at_ = 0, end_ = 0;  // unread bytes of buffer_
    std::size_t wanted_ = 0;        // bytes from at_ on that must come to lie in one piece; 0: whatever there is room for
    // A fragment that no ordinary buffer can hold is received into a slab of just its size.
    Slice large_;
    std::size_t large_size_ = 0, large_received_ = 0;
    bool large_last_ = false;
    // A record of several fragments is put together here, in a slab that grows with it.
    Slice assembly_;
    std::size_t assembled_ = 0;
    std::uint32_t fragments_ = 0;
    bool assembling_ = false;
    // A fragment that waits for room in the assembly.
    Slice held_;
    bool held_last_ = false, stalled_ = false;
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// XDR: the growth of a reply's buffer.
#include "nfs/wire/xdr.h"

#include <algorithm>

namespace strata::nfs {

namespace {
// The pool's classes: one page for most replies, 64 KiB for directories, 1 MiB and a page at most.
constexpr std::size_t steps[] = {4096, 65536, (1 << 20) + 4096};
}  // namespace

void XdrWriter::grow(std::size_t bytes) {
    const auto needed = used_ + bytes;
    // Past the classes it doubles, so that a long reply is not copied for every word.
    std::size_t size = std::max(needed, 2 * buffer_.size());
    for (const auto step : steps) {
        if (needed <= step) {
            size = step;
            break;
        }
    }
    Slice larger = size <= steps[2] ? pool_->allocate(size) : Slice();
    // Past the pool's bound a reply still has to go out; the session's largest reply bounds it.
    if (larger.size() == 0) larger = allocate_heap(size);
    if (used_ != 0) std::memcpy(larger.writable().data(), base_, used_);
    buffer_ = std::move(larger);
    base_ = buffer_.writable().data();
}

}  // namespace strata::nfs

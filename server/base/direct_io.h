// SPDX-License-Identifier: Apache-2.0
// Large writes of whole blocks that go to the disk past the kernel's page cache (Linux, open(2), O_DIRECT), and reads that do.
//
// What is written to a segment is in our own block cache while it is hot: a second copy of it in the page cache costs its memory, and
// making those pages costs more processor time than all else that a large write does. Reads and small writes use the page cache as ever;
// the kernel keeps both views of a file equal, block by block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/types.h>

namespace strata {

enum class DirectWrite : std::uint8_t {
    written,     // like write(2): stable only after a sync
    unsuitable,  // nothing was done: small, not of whole blocks, or no descriptor is left
    impossible,  // this file system cannot; some bytes may be written
    failed,      // errno says why; some bytes may be written
};

// Writes the pieces, one after the other, at `offset` of the file that `fd` has open. Any thread.
DirectWrite write_directly(int fd, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces);

// Reads from the disk itself; fewer bytes only at the end of the file. -1: errno says why; EINVAL: not so on this file system, or not
// with this memory, size or offset. Any thread.
ssize_t read_directly(int fd, std::uint64_t offset, std::span<std::byte> out);

}  // namespace strata

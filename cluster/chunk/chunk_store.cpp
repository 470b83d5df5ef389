// SPDX-License-Identifier: Apache-2.0
// ShardChecksums: CRC-32C of each 4 KiB of a shard, and the digest over them.
#include "cluster/chunk/chunk_store.h"

#include <algorithm>

#include "cluster/chunk/little_endian.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

ShardChecksums ShardChecksums::of(const BufferChain& bytes) {
    ShardChecksums sums;
    sums.blocks.reserve((bytes.size() + checksum_block_size - 1) / checksum_block_size);
    std::uint32_t crc = 0;
    std::size_t filled = 0;
    for (const auto& slice : bytes.slices()) {
        for (std::size_t at = 0; at < slice.size();) {
            const std::size_t n = std::min(checksum_block_size - filled, slice.size() - at);
            crc = crc32c(slice.span().subspan(at, n), crc);
            at += n;
            filled += n;
            if (filled == checksum_block_size) {
                sums.blocks.push_back(crc);
                crc = 0;
                filled = 0;
            }
        }
    }
    if (filled > 0) sums.blocks.push_back(crc);
    sums.digest = digest_of(sums.blocks);
    return sums;
}

std::uint32_t ShardChecksums::digest_of(std::span<const std::uint32_t> blocks) {
    std::array<std::byte, 1024> table;
    std::uint32_t digest = 0;
    std::size_t filled = 0;
    for (const std::uint32_t crc : blocks) {
        store_le(table.data() + filled, crc);
        filled += sizeof(crc);
        if (filled == table.size()) {
            digest = crc32c(table, digest);
            filled = 0;
        }
    }
    return crc32c(std::span(table).first(filled), digest);
}

}  // namespace strata::cluster

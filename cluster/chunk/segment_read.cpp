// SPDX-License-Identifier: Apache-2.0
// Checked reads of shards.
#include "cluster/chunk/segment_read.h"

#include <algorithm>
#include <memory>

#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

std::uint64_t start_of(const ShardPosition& p) { return std::uint64_t{p.location.block} * record_block; }

Result<> read_exactly(File& file, std::uint64_t offset, std::span<std::byte> out) {
    TRY(n, file.read_at(offset, out));
    if (n != out.size()) return fail(Errc::corrupt);
    return {};
}

Result<RecordHead> checked_head(std::span<const std::byte> bytes, const ShardPosition& p, std::uint32_t digest) {
    auto head = decode_head(bytes, {p.store, p.location.segment, p.location.block});
    if (!head) return fail(Errc::corrupt);
    const RecordHeader& h = head->header;
    if (h.kind != RecordKind::shard || h.key != p.key || h.length != p.location.length) return fail(Errc::corrupt);
    if (digest != 0 && h.digest != digest) return fail(Errc::corrupt);
    return head;
}

bool blocks_sound(std::span<const std::byte> data, std::span<const std::uint32_t> crcs) {
    for (const std::uint32_t expected : crcs) {
        const auto block = data.first(std::min(data.size(), checksum_block_size));
        if (crc32c(block) != expected) return false;
        data = data.subspan(block.size());
    }
    return true;
}

}  // namespace

Result<BufferChain> read_shard(File& file, const ShardPosition& p, std::uint32_t offset, std::uint32_t length, std::uint32_t digest) {
    const std::size_t data_start = data_offset(p.location.length);
    const std::size_t first = offset / checksum_block_size;
    const std::size_t last = (std::size_t{offset} + length + checksum_block_size - 1) / checksum_block_size;
    const std::size_t from = first * checksum_block_size;
    const std::size_t to = std::min<std::size_t>(last * checksum_block_size, p.location.length);

    // Head and data adjoin if the range starts in the first block: one read.
    const bool together = first == 0;
    const std::size_t lead = together ? data_start : 0;
    Slice slab = allocate_heap(lead + to - from);
    Slice head_slab = together ? Slice() : allocate_heap(head_size(p.location.length));
    CHECK_OK(read_exactly(file, start_of(p) + (together ? 0 : data_start + from), slab.writable()));
    if (!together) CHECK_OK(read_exactly(file, start_of(p), head_slab.writable()));

    TRY(head, checked_head(together ? slab.span().first(lead) : head_slab.span(), p, digest));
    const auto crcs = std::span<const std::uint32_t>(head.table).subspan(first, last - first);
    if (!blocks_sound(slab.span().subspan(lead), crcs)) return fail(Errc::corrupt);
    return BufferChain(slab.sub(lead + offset - from, length));
}

Result<> verify_shard(File& file, const ShardPosition& p, std::uint32_t digest) {
    const std::size_t size = std::size_t{record_blocks(p.location.length)} * record_block;
    Slice slab = allocate_heap(size + record_block);
    void* memory = slab.writable().data();
    std::size_t space = size + record_block;
    const std::span record(static_cast<std::byte*>(std::align(record_block, size, memory, space)), size);
    TRY(count, file.read_from_disk(start_of(p), record));
    const std::size_t data_start = data_offset(p.location.length);
    if (count < data_start + p.location.length) return fail(Errc::corrupt);
    TRY(head, checked_head(record.first(data_start), p, digest));
    if (!blocks_sound(record.subspan(data_start, p.location.length), head.table)) return fail(Errc::corrupt);
    return {};
}

Result<RawShard> read_raw_shard(File& file, const ShardPosition& p) {
    const std::size_t data_start = data_offset(p.location.length);
    Slice slab = allocate_heap(data_start + p.location.length);
    CHECK_OK(read_exactly(file, start_of(p), slab.writable()));
    TRY(head, checked_head(slab.span().first(data_start), p, 0));
    RawShard raw;
    raw.data = BufferChain(slab.sub(data_start, p.location.length));
    raw.checksums.blocks = std::move(head.table);
    raw.checksums.digest = head.header.digest;
    return raw;
}

}  // namespace strata::cluster

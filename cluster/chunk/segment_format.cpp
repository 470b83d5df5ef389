// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of segment records.
#include "cluster/chunk/segment_format.h"

#include <algorithm>
#include <cstring>

#include "cluster/chunk/little_endian.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::size_t crc_at = 76;

std::uint32_t head_crc(std::span<const std::byte> head) {
    constexpr std::byte zero[4] = {};
    std::uint32_t crc = crc32c(head.first(crc_at));
    crc = crc32c(zero, crc);
    return crc32c(head.subspan(crc_at + 4), crc);
}

bool plausible_length(RecordKind kind, std::uint32_t length) {
    if (length == 0) return false;
    if (kind == RecordKind::shard) return length <= shard_size_max;
    return length % removal_entry_size == 0 && length / removal_entry_size <= removals_per_record_max;
}

}  // namespace

std::vector<std::byte> encode_head(const RecordHeader& header, std::span<const std::uint32_t> table) {
    std::vector<std::byte> head(data_offset(header.length));
    std::byte* out = head.data();
    store_le(out, record_magic);
    store_le(out + 8, record_format);
    store_le(out + 10, static_cast<std::uint8_t>(header.kind));
    store_le(out + 11, header.key.shard);
    store_le(out + 12, header.key.chunk.volume);
    store_le(out + 16, header.key.chunk.epoch);
    store_le(out + 20, header.length);
    store_le(out + 24, header.key.chunk.counter);
    store_le(out + 32, header.segment);
    store_le(out + 36, header.block);
    store_le(out + 40, header.digest);
    store_le(out + 44, header.synced_before);
    std::memcpy(out + 48, header.store.data(), header.store.size());
    store_le(out + 72, static_cast<std::uint32_t>(table.size()));
    for (std::size_t i = 0; i < table.size(); ++i) store_le(out + record_fixed_size + 4 * i, table[i]);
    store_le(out + crc_at, head_crc(std::span(head).first(head_size(header.length))));
    return head;
}

std::optional<RecordHeader> peek_head(std::span<const std::byte> fixed, const RecordPosition& expected) {
    if (fixed.size() < record_fixed_size) return std::nullopt;
    const std::byte* in = fixed.data();
    if (load_le<std::uint64_t>(in) != record_magic) return std::nullopt;
    RecordHeader header;
    const auto kind = load_le<std::uint8_t>(in + 10);
    if (kind != static_cast<std::uint8_t>(RecordKind::shard) && kind != static_cast<std::uint8_t>(RecordKind::removals))
        return std::nullopt;
    header.kind = static_cast<RecordKind>(kind);
    header.key.shard = load_le<std::uint8_t>(in + 11);
    header.key.chunk.volume = load_le<std::uint32_t>(in + 12);
    header.key.chunk.epoch = load_le<std::uint32_t>(in + 16);
    header.length = load_le<std::uint32_t>(in + 20);
    header.key.chunk.counter = load_le<std::uint64_t>(in + 24);
    header.segment = load_le<std::uint32_t>(in + 32);
    header.block = load_le<std::uint32_t>(in + 36);
    header.digest = load_le<std::uint32_t>(in + 40);
    header.synced_before = load_le<std::uint32_t>(in + 44);
    std::memcpy(header.store.data(), in + 48, header.store.size());
    if (!plausible_length(header.kind, header.length)) return std::nullopt;
    if (load_le<std::uint32_t>(in + 72) != table_entries(header.length)) return std::nullopt;
    if (header.store != expected.store || header.segment != expected.segment || header.block != expected.block) return std::nullopt;
    if (header.synced_before > header.block) return std::nullopt;
    return header;
}

Result<RecordHead> decode_head(std::span<const std::byte> bytes, const RecordPosition& expected) {
    const auto header = peek_head(bytes, expected);
    if (!header || bytes.size() < head_size(header->length)) return fail(Errc::corrupt);
    const auto head = bytes.first(head_size(header->length));
    if (head_crc(head) != load_le<std::uint32_t>(head.data() + crc_at)) return fail(Errc::corrupt);
    if (load_le<std::uint16_t>(head.data() + 8) != record_format) {
        return fail(Errc::bad_version, "a segment was written by a later release");
    }
    RecordHead out{*header, std::vector<std::uint32_t>(table_entries(header->length))};
    for (std::size_t i = 0; i < out.table.size(); ++i) out.table[i] = load_le<std::uint32_t>(head.data() + record_fixed_size + 4 * i);
    if (ShardChecksums::digest_of(out.table) != header->digest) return fail(Errc::corrupt);
    return out;
}

std::vector<std::byte> encode_removals(std::span<const Removal> removals) {
    std::vector<std::byte> bytes(removals.size() * removal_entry_size);
    std::byte* out = bytes.data();
    for (const Removal& r : removals) {
        store_le(out, r.key.chunk.volume);
        store_le(out + 4, r.key.chunk.epoch);
        store_le(out + 8, r.key.chunk.counter);
        store_le(out + 16, r.key.shard);
        store_le(out + 20, r.segment);
        out += removal_entry_size;
    }
    return bytes;
}

Result<std::vector<Removal>> decode_removals(std::span<const std::byte> bytes) {
    if (bytes.size() % removal_entry_size != 0) return fail(Errc::corrupt);
    std::vector<Removal> removals(bytes.size() / removal_entry_size);
    const std::byte* in = bytes.data();
    for (Removal& r : removals) {
        r.key.chunk = {load_le<std::uint32_t>(in), load_le<std::uint32_t>(in + 4), load_le<std::uint64_t>(in + 8)};
        r.key.shard = load_le<std::uint8_t>(in + 16);
        r.segment = load_le<std::uint32_t>(in + 20);
        in += removal_entry_size;
    }
    return removals;
}

}  // namespace strata::cluster

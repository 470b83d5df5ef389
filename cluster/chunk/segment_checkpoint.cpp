// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of segment checkpoints.
#include "cluster/chunk/segment_checkpoint.h"

#include <cstring>

#include "cluster/chunk/little_endian.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t checkpoint_magic = 0x5849524341525453;  // "STRACRIX"
constexpr std::uint16_t checkpoint_format = 1;
constexpr std::size_t header_size = 64;
constexpr std::size_t entry_size = 32;
constexpr std::size_t crc_at = 60;

std::uint32_t crc_of(std::span<const std::byte> bytes) {
    constexpr std::byte zero[4] = {};
    std::uint32_t crc = crc32c(bytes.first(crc_at));
    crc = crc32c(zero, crc);
    return crc32c(bytes.subspan(crc_at + 4), crc);
}

void encode_entry(std::byte* out, const SegmentEntry& e) {
    store_le(out, static_cast<std::uint8_t>(e.kind));
    store_le(out + 1, e.key.shard);
    store_le(out + 4, e.key.chunk.volume);
    store_le(out + 8, e.key.chunk.epoch);
    store_le(out + 12, e.place);
    store_le(out + 16, e.key.chunk.counter);
    store_le(out + 24, e.length);
    store_le(out + 28, e.digest);
}

SegmentEntry decode_entry(const std::byte* in) {
    SegmentEntry e;
    e.kind = static_cast<RecordKind>(load_le<std::uint8_t>(in));
    e.key.shard = load_le<std::uint8_t>(in + 1);
    e.key.chunk.volume = load_le<std::uint32_t>(in + 4);
    e.key.chunk.epoch = load_le<std::uint32_t>(in + 8);
    e.place = load_le<std::uint32_t>(in + 12);
    e.key.chunk.counter = load_le<std::uint64_t>(in + 16);
    e.length = load_le<std::uint32_t>(in + 24);
    e.digest = load_le<std::uint32_t>(in + 28);
    return e;
}

bool plausible(const SegmentEntry& e, std::uint32_t used_blocks) {
    if (e.kind == RecordKind::removals) return true;
    return e.kind == RecordKind::shard && e.length > 0 && e.length <= shard_size_max &&
           std::uint64_t{e.place} + record_blocks(e.length) <= used_blocks;
}

}  // namespace

std::vector<std::byte> encode_checkpoint(const SegmentContents& contents, const Uuid& store, std::uint32_t segment) {
    std::vector<std::byte> bytes(header_size + contents.entries.size() * entry_size);
    std::byte* out = bytes.data();
    store_le(out, checkpoint_magic);
    store_le(out + 8, checkpoint_format);
    store_le(out + 12, segment);
    std::memcpy(out + 16, store.data(), store.size());
    store_le(out + 32, static_cast<std::uint32_t>(contents.entries.size()));
    store_le(out + 36, contents.used_blocks);
    for (std::size_t i = 0; i < contents.entries.size(); ++i) encode_entry(out + header_size + i * entry_size, contents.entries[i]);
    store_le(out + crc_at, crc_of(bytes));
    return bytes;
}

Result<SegmentContents> decode_checkpoint(std::span<const std::byte> bytes, const Uuid& store, std::uint32_t segment) {
    if (bytes.size() < header_size) return fail(Errc::corrupt);
    const std::byte* in = bytes.data();
    if (load_le<std::uint64_t>(in) != checkpoint_magic || load_le<std::uint32_t>(in + crc_at) != crc_of(bytes)) return fail(Errc::corrupt);
    if (load_le<std::uint16_t>(in + 8) != checkpoint_format) return fail(Errc::bad_version);
    if (load_le<std::uint32_t>(in + 12) != segment || std::memcmp(in + 16, store.data(), store.size()) != 0) return fail(Errc::corrupt);
    const std::size_t count = load_le<std::uint32_t>(in + 32);
    if (bytes.size() != header_size + count * entry_size) return fail(Errc::corrupt);
    SegmentContents contents;
    contents.used_blocks = load_le<std::uint32_t>(in + 36);
    contents.entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        contents.entries.push_back(decode_entry(in + header_size + i * entry_size));
        if (!plausible(contents.entries.back(), contents.used_blocks)) return fail(Errc::corrupt);
    }
    return contents;
}

}  // namespace strata::cluster

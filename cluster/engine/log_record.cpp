// SPDX-License-Identifier: Apache-2.0
// Log segments and records to bytes and back.
#include "cluster/engine/log_record.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "server/base/assert.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t segment_magic = 0x31474f4c41525453;  // "STRALOG1"
constexpr std::uint32_t segment_version = 1;
constexpr std::uint32_t record_magic = 0x4352544c;  // "LTRC"
constexpr std::size_t segment_crc_offset = 8 + 4 + 16 + 8 + 4 + 8;
constexpr std::size_t record_crc_offset = log_record_header_size - 4;
static_assert(std::endian::native == std::endian::little);

template <class T>
void put(std::span<std::byte> out, std::size_t offset, T value) {
    std::memcpy(out.data() + offset, &value, sizeof value);
}

template <class T>
T get(std::span<const std::byte> in, std::size_t offset) {
    T value;
    std::memcpy(&value, in.data() + offset, sizeof value);
    return value;
}

std::size_t padded(std::size_t size) { return (size + log_block_size - 1) / log_block_size * log_block_size; }

std::uint32_t record_crc(std::span<const std::byte> record, std::size_t length, std::uint64_t salt) {
    auto crc = crc32c(std::as_bytes(std::span(&salt, 1)));
    crc = crc32c(record.first(record_crc_offset), crc);
    return crc32c(record.subspan(log_record_header_size, length), crc);
}

}  // namespace

std::vector<std::byte> encode_segment_header(const LogSegmentHeader& header) {
    std::vector<std::byte> block(log_block_size);
    put(block, 0, segment_magic);
    put(block, 8, segment_version);
    std::memcpy(block.data() + 12, header.volume.data(), header.volume.size());
    put(block, 28, header.first);
    put(block, 36, header.epoch);
    put(block, 40, header.salt);
    put(block, segment_crc_offset, crc32c(std::span(block).first(segment_crc_offset)));
    return block;
}

Result<LogSegmentHeader> decode_segment_header(std::span<const std::byte> bytes) {
    if (bytes.size() < log_block_size || get<std::uint64_t>(bytes, 0) != segment_magic) return fail(Errc::bad_message, "not a log segment");
    if (get<std::uint32_t>(bytes, segment_crc_offset) != crc32c(bytes.first(segment_crc_offset))) {
        return fail(Errc::bad_message, "a log segment's header is damaged");
    }
    if (const auto version = get<std::uint32_t>(bytes, 8); version != segment_version) {
        return fail(Errc::bad_version, "a log segment of version " + std::to_string(version) + "; this release knows 1");
    }
    LogSegmentHeader header;
    std::memcpy(header.volume.data(), bytes.data() + 12, header.volume.size());
    header.first = get<std::uint64_t>(bytes, 28);
    header.epoch = get<std::uint32_t>(bytes, 36);
    header.salt = get<std::uint64_t>(bytes, 40);
    if (header.first == 0) return fail(Errc::bad_message, "a log segment begins at index 0");
    return header;
}

std::size_t log_record_size(const LogBatch& batch) {
    std::size_t length = log_record_header_size;
    for (const auto& command : batch.commands) length += sizeof(std::uint32_t) + command.size();
    return padded(length);
}

std::vector<std::byte> encode_log_record(const LogBatch& batch, std::uint32_t epoch, std::uint64_t salt) {
    STRATA_ASSERT(batch.first != 0 && !batch.commands.empty());
    std::size_t length = 0;
    for (const auto& command : batch.commands) length += sizeof(std::uint32_t) + command.size();
    STRATA_ASSERT(length <= log_payload_size_max);
    std::vector<std::byte> record(padded(log_record_header_size + length));
    put(record, 0, record_magic);
    put(record, 4, epoch);
    put(record, 8, batch.first);
    put(record, 16, static_cast<std::uint32_t>(batch.commands.size()));
    put(record, 20, static_cast<std::uint32_t>(length));
    std::size_t at = log_record_header_size;
    for (const auto& command : batch.commands) {
        put(record, at, static_cast<std::uint32_t>(command.size()));
        std::memcpy(record.data() + at + sizeof(std::uint32_t), command.data(), command.size());
        at += sizeof(std::uint32_t) + command.size();
    }
    reseal_log_record(record, salt);
    return record;
}

void reseal_log_record(std::span<std::byte> record, std::uint64_t salt) {
    put(record, record_crc_offset, record_crc(record, get<std::uint32_t>(record, 20), salt));
}

std::optional<LogRecord> decode_log_record(std::span<const std::byte> bytes, std::uint64_t salt) {
    if (bytes.size() < log_block_size || get<std::uint32_t>(bytes, 0) != record_magic) return std::nullopt;
    LogRecord record;
    record.epoch = get<std::uint32_t>(bytes, 4);
    record.first = get<std::uint64_t>(bytes, 8);
    record.count = get<std::uint32_t>(bytes, 16);
    record.crc = get<std::uint32_t>(bytes, record_crc_offset);
    const std::size_t length = get<std::uint32_t>(bytes, 20);
    if (record.first == 0 || record.count == 0 || record.first > UINT64_MAX - record.count) return std::nullopt;
    if (length > log_payload_size_max || length / sizeof(std::uint32_t) < record.count) return std::nullopt;
    record.size = padded(log_record_header_size + length);
    if (record.size > bytes.size() || record.crc != record_crc(bytes, length, salt)) return std::nullopt;
    return record;
}

Result<LogBatch> decode_log_batch(std::span<const std::byte> record) {
    LogBatch batch;
    batch.first = get<std::uint64_t>(record, 8);
    const auto count = get<std::uint32_t>(record, 16);
    auto payload = record.subspan(log_record_header_size, get<std::uint32_t>(record, 20));
    batch.commands.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (payload.size() < sizeof(std::uint32_t)) return fail(Errc::bad_message, "a log record ends within a command");
        const std::size_t size = get<std::uint32_t>(payload, 0);
        payload = payload.subspan(sizeof(std::uint32_t));
        if (size > payload.size()) return fail(Errc::bad_message, "a log record ends within a command");
        batch.commands.emplace_back(reinterpret_cast<const char*>(payload.data()), size);
        payload = payload.subspan(size);
    }
    if (!payload.empty()) return fail(Errc::bad_message, "a log record holds more than its commands");
    return batch;
}

Result<LogSegmentScan> scan_log_segment(std::span<const std::byte> segment) {
    TRY(header, decode_segment_header(segment));
    return scan_log_segment(segment, header);
}

LogSegmentScan scan_log_segment(std::span<const std::byte> segment, const LogSegmentHeader& header) {
    LogSegmentScan scan;
    scan.header = header;
    // Past a damaged record the search goes on block by block: what follows may be sound, and the damaged one may be in another copy.
    for (std::size_t offset = log_block_size; offset + log_block_size <= segment.size();) {
        auto record = decode_log_record(segment.subspan(offset), header.salt);
        if (!record || record->first < header.first) {
            offset += log_block_size;
            continue;
        }
        record->offset = offset;
        offset += record->size;
        scan.records.push_back(*record);
    }
    return scan;
}

}  // namespace strata::cluster

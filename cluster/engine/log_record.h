// SPDX-License-Identifier: Apache-2.0
// The bytes of the local log: segments of records, each record one batch of commands.
//
//   segment = header block, then records and free space, all aligned to 4 KiB
//   header  = magic:u64 version:u32 volume:16 first:u64 epoch:u32 salt:u64 crc:u32          (little-endian)
//   record  = magic:u32 epoch:u32 first:u64 count:u32 length:u32 crc:u32 payload:length     then zeros up to 4 KiB
//   payload = (size:u32 bytes:size){count}
//
// A record's crc is CRC-32C over its header up to the crc and the payload, seeded by the segment's salt: neither what a reused segment
// held before nor what a client put into a file can be taken for a record. Records never share a 4 KiB block, so that a torn write
// cannot damage an older one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/engine/meta_log.h"

namespace strata::cluster {

constexpr std::size_t log_block_size = 4096;
constexpr std::size_t log_record_header_size = 28;
constexpr std::size_t log_payload_size_max = 256u << 20;

struct LogSegmentHeader {
    std::array<std::uint8_t, 16> volume{};
    std::uint64_t first = 1;  // no record in the segment is older; all older ones were durable when it was begun
    std::uint32_t epoch = 0;  // of the owner that began it
    std::uint64_t salt = 0;
};

struct LogRecord {
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t epoch = 0;
    std::uint32_t crc = 0;
    std::uint64_t offset = 0;  // in the segment
    std::uint64_t size = 0;    // in the segment: a multiple of log_block_size
    std::uint64_t last() const { return first + count - 1; }
};

// One block.
std::vector<std::byte> encode_segment_header(const LogSegmentHeader& header);
// Errors: bad_message (not a segment, or damaged), bad_version.
Result<LogSegmentHeader> decode_segment_header(std::span<const std::byte> bytes);

// The bytes of a record, padded. batch.commands is not empty.
std::vector<std::byte> encode_log_record(const LogBatch& batch, std::uint32_t epoch, std::uint64_t salt);
// How long that record will be.
std::size_t log_record_size(const LogBatch& batch);
// Puts another segment's salt into an encoded record.
void reseal_log_record(std::span<std::byte> record, std::uint64_t salt);
// The record that begins at bytes[0], if a whole and sound one does; `offset` of it is 0.
std::optional<LogRecord> decode_log_record(std::span<const std::byte> bytes, std::uint64_t salt);
// The commands of a record that decode_log_record() found sound. Errors: bad_message.
Result<LogBatch> decode_log_batch(std::span<const std::byte> record);

struct LogSegmentScan {
    LogSegmentHeader header;
    std::vector<LogRecord> records;  // the sound ones, by offset; what is torn or damaged is passed over
};
// Any bytes. Errors: bad_message, bad_version: the header's.
Result<LogSegmentScan> scan_log_segment(std::span<const std::byte> segment);
// The same with a header that is known from elsewhere.
LogSegmentScan scan_log_segment(std::span<const std::byte> segment, const LogSegmentHeader& header);

}  // namespace strata::cluster

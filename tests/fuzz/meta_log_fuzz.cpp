// SPDX-License-Identifier: Apache-2.0
// Fuzz: whatever lies in a log segment is scanned without harm. The header and the records' checksums are made right, as a random search
// would never find them: the first 4 bytes say at how many blocks.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "cluster/engine/log_record.h"
#include "server/base/assert.h"

using namespace strata::cluster;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)scan_log_segment(std::as_bytes(std::span(data, size)));
    if (size < 4) return 0;
    const LogSegmentHeader header{.first = 1, .epoch = 1, .salt = 7};
    auto segment = encode_segment_header(header);
    const std::size_t body = (size - 4 + log_block_size - 1) / log_block_size * log_block_size;
    segment.resize(segment.size() + body);
    std::memcpy(segment.data() + log_block_size, data + 4, size - 4);
    const auto all = std::span(segment);
    for (std::size_t offset = log_block_size, sealed = data[0]; sealed > 0 && offset < segment.size(); offset += log_block_size, --sealed) {
        std::uint32_t length = 0;
        std::memcpy(&length, segment.data() + offset + 20, sizeof length);
        const auto room = segment.size() - offset - log_record_header_size;
        length = std::min<std::uint32_t>(length, static_cast<std::uint32_t>(room));
        std::memcpy(segment.data() + offset + 20, &length, sizeof length);
        reseal_log_record(all.subspan(offset), header.salt);
    }
    const auto scan = scan_log_segment(segment);
    STRATA_ASSERT(scan.has_value());
    for (const auto& record : scan->records) {
        STRATA_ASSERT(record.offset + record.size <= segment.size());
        (void)decode_log_batch(all.subspan(record.offset, record.size));
    }
    return 0;
}

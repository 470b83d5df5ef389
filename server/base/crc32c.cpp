// SPDX-License-Identifier: Apache-2.0
// CRC-32C over pieces that ISA-L's int lengths can hold.
#include "server/base/crc32c.h"

#include <algorithm>

#include <isa-l/crc.h>

namespace strata {

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) {
    constexpr std::size_t piece_max = std::size_t(1) << 30;
    std::uint32_t state = ~seed;
    while (!bytes.empty()) {
        auto count = std::min(bytes.size(), piece_max);
        // ISA-L only reads; its parameter lacks the const.
        auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
        state = crc32_iscsi(data, static_cast<int>(count), state);
        bytes = bytes.subspan(count);
    }
    return ~state;
}

}  // namespace strata

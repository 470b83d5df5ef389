// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli; RFC 3720, B.4) by ISA-L.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strata {

// crc32c("123456789") == 0xe3069283. Pass an earlier result as `seed` to go on over a second piece.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace strata

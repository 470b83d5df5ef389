// SPDX-License-Identifier: Apache-2.0
// Little-endian integers in persistent records.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace strata::cluster {

template <std::unsigned_integral N>
void store_le(std::byte* out, N value) {
    for (std::size_t i = 0; i < sizeof(N); ++i) out[i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i));
}

template <std::unsigned_integral N>
N load_le(const std::byte* in) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(N); ++i) value |= static_cast<std::uint64_t>(in[i]) << (8 * i);
    return static_cast<N>(value);
}

}  // namespace strata::cluster

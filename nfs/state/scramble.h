// SPDX-License-Identifier: Apache-2.0
// Numbers that count inside and cannot be guessed outside: a permutation of the 32-bit numbers by a key (four rounds of a Feistel network).
#pragma once

#include <cstdint>

namespace strata::nfs {

namespace scramble_round {

constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}
constexpr std::uint32_t half(std::uint64_t key, std::uint32_t round, std::uint32_t value) {
    return static_cast<std::uint32_t>(mix(mix(key + round) ^ value) & 0xffff);
}

}  // namespace scramble_round

constexpr std::uint32_t scramble(std::uint64_t key, std::uint32_t number) {
    std::uint32_t left = number >> 16, right = number & 0xffff;
    for (std::uint32_t round = 0; round < 4; ++round) {
        const auto next = left ^ scramble_round::half(key, round, right);
        left = right;
        right = next;
    }
    return left << 16 | right;
}

constexpr std::uint32_t unscramble(std::uint64_t key, std::uint32_t number) {
    std::uint32_t left = number >> 16, right = number & 0xffff;
    for (std::uint32_t round = 4; round-- > 0;) {
        const auto previous = right ^ scramble_round::half(key, round, left);
        right = left;
        left = previous;
    }
    return left << 16 | right;
}

static_assert(unscramble(7, scramble(7, 12345)) == 12345);
static_assert(scramble(7, 1) != scramble(8, 1));

}  // namespace strata::nfs

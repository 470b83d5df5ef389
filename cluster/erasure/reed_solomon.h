// SPDX-License-Identifier: Apache-2.0
// Reed-Solomon over GF(2^8) with a Cauchy matrix, by ISA-L. k = 1 is plain replication and needs no matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "server/base/result.h"

namespace strata::cluster {

// Tables for one geometry; immutable, any thread.
class ReedSolomon {
public:
    // k 1..26, m 0..6, k+m <= 32.
    ReedSolomon(int k, int m);

    // Computes parity[0..m) from data[0..k); all of one length.
    void encode(std::span<const std::byte* const> data, std::span<std::byte* const> parity, std::size_t length) const;
    // Rebuilds the shards numbered `wanted` into `out` from exactly k shards `have_numbers`/`have`.
    // Errors: invalid_argument (fewer than k different shards).
    Result<> reconstruct(std::span<const int> have_numbers, std::span<const std::byte* const> have, std::span<const int> wanted,
                         std::span<std::byte* const> out, std::size_t length) const;

private:
    Result<> decode(std::span<const int> have_numbers, std::span<const std::byte* const> have, std::span<const int> wanted,
                    std::span<std::byte* const> out, std::size_t length) const;

    int k_, m_;
    std::vector<std::uint8_t> matrix_;  // (k+m) x k
    std::vector<std::uint8_t> encode_tables_;
};

}  // namespace strata::cluster

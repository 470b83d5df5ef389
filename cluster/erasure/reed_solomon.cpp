// SPDX-License-Identifier: Apache-2.0
// Reed-Solomon by ISA-L: a systematic code whose first k rows are the identity, the rest a Cauchy matrix; every k rows are invertible.
#include "cluster/erasure/reed_solomon.h"

#include <array>
#include <cstring>

#include <isa-l/erasure_code.h>

#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr int shards_total_max = 32;
constexpr std::size_t table_bytes = 32;  // of ISA-L, for each coefficient

// ISA-L takes pointers to non-const but only writes to the outputs.
std::uint8_t* bytes_of(const std::byte* p) { return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(p)); }

using Pointers = std::array<std::uint8_t*, shards_total_max>;

template <class Shards>
Pointers pointers_of(const Shards& shards) {
    Pointers out{};
    for (std::size_t i = 0; i < shards.size(); ++i) out[i] = bytes_of(shards[i]);
    return out;
}

}  // namespace

ReedSolomon::ReedSolomon(int k, int m) : k_(k), m_(m) {
    STRATA_ASSERT(k >= 1 && m >= 0 && k + m <= shards_total_max);
    if (k == 1 || m == 0) return;
    matrix_.resize(static_cast<std::size_t>((k + m) * k));
    gf_gen_cauchy1_matrix(matrix_.data(), k + m, k);
    encode_tables_.resize(table_bytes * static_cast<std::size_t>(k * m));
    ec_init_tables(k, m, matrix_.data() + k * k, encode_tables_.data());
}

void ReedSolomon::encode(std::span<const std::byte* const> data, std::span<std::byte* const> parity, std::size_t length) const {
    STRATA_ASSERT(data.size() == static_cast<std::size_t>(k_) && parity.size() == static_cast<std::size_t>(m_));
    if (k_ == 1) {
        for (std::byte* copy : parity) std::memcpy(copy, data[0], length);
        return;
    }
    if (m_ == 0 || length == 0) return;
    Pointers in = pointers_of(data), out = pointers_of(parity);
    ec_encode_data(static_cast<int>(length), k_, m_, const_cast<std::uint8_t*>(encode_tables_.data()), in.data(), out.data());
}

Result<> ReedSolomon::reconstruct(std::span<const int> have_numbers, std::span<const std::byte* const> have, std::span<const int> wanted,
                                  std::span<std::byte* const> out, std::size_t length) const {
    const auto k = static_cast<std::size_t>(k_);
    std::uint32_t seen = 0;
    for (const int number : have_numbers) {
        if (number < 0 || number >= k_ + m_ || (seen >> number & 1u) != 0) return fail(Errc::invalid_argument);
        seen |= 1u << number;
    }
    for (const int number : wanted) {
        if (number < 0 || number >= k_ + m_) return fail(Errc::invalid_argument);
    }
    if (have_numbers.size() != k || have.size() != k || wanted.size() != out.size()) return fail(Errc::invalid_argument);
    if (k_ == 1) {
        for (std::byte* copy : out) std::memcpy(copy, have[0], length);
        return {};
    }
    if (m_ == 0) return fail(Errc::invalid_argument);  // then everything is there
    if (wanted.empty() || length == 0) return {};
    return decode(have_numbers, have, wanted, out, length);
}

Result<> ReedSolomon::decode(std::span<const int> have_numbers, std::span<const std::byte* const> have, std::span<const int> wanted,
                             std::span<std::byte* const> out, std::size_t length) const {
    const auto k = static_cast<std::size_t>(k_);
    const auto row = [&](int number) { return matrix_.data() + static_cast<std::size_t>(number) * k; };
    // have = rows * data, so data = inverse * have, and a wanted shard = its row * inverse * have.
    std::vector<std::uint8_t> rows(k * k), inverse(k * k);
    for (std::size_t i = 0; i < k; ++i) std::memcpy(rows.data() + i * k, row(have_numbers[i]), k);
    if (gf_invert_matrix(rows.data(), inverse.data(), k_) != 0) return fail(Errc::invalid_argument);
    std::vector<std::uint8_t> coefficients(wanted.size() * k);
    for (std::size_t w = 0; w < wanted.size(); ++w) {
        for (std::size_t column = 0; column < k; ++column) {
            std::uint8_t sum = 0;
            for (std::size_t i = 0; i < k; ++i) sum ^= gf_mul(row(wanted[w])[i], inverse[i * k + column]);
            coefficients[w * k + column] = sum;
        }
    }
    std::vector<std::uint8_t> tables(table_bytes * coefficients.size());
    ec_init_tables(k_, static_cast<int>(wanted.size()), coefficients.data(), tables.data());
    Pointers in = pointers_of(have), to = pointers_of(out);
    ec_encode_data(static_cast<int>(length), k_, static_cast<int>(wanted.size()), tables.data(), in.data(), to.data());
    return {};
}

}  // namespace strata::cluster

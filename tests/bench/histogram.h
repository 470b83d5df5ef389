// SPDX-License-Identifier: Apache-2.0
// Counts of durations in buckets no wider than 1.6 % of their value.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace strata::bench {

class Histogram {
public:
    void add(std::uint64_t ns) {
        ++counts_[index_of(ns)];
        ++total_;
    }

    void merge(const Histogram& other) {
        for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
        total_ += other.total_;
    }

    [[nodiscard]] std::uint64_t total() const { return total_; }

    // The value (ns) that `share` of all durations do not exceed: the middle of its bucket. 0 without any.
    [[nodiscard]] std::uint64_t quantile(double share) const {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > rank || (seen == total_ && seen != 0)) return middle_of(i);
        }
        return 0;
    }

private:
    static constexpr int sub_bits = 6;
    static constexpr std::size_t sub = std::size_t{1} << sub_bits;

    static std::size_t index_of(std::uint64_t ns) {
        if (ns < sub) return ns;
        const int shift = std::bit_width(ns) - sub_bits - 1;
        return (static_cast<std::size_t>(shift) + 1) * sub + ((ns >> shift) & (sub - 1));
    }

    static std::uint64_t middle_of(std::size_t index) {
        if (index < sub) return index;
        const std::size_t shift = index / sub - 1;
        return ((sub + index % sub) << shift) + (std::uint64_t{1} << shift) / 2;
    }

    std::array<std::uint64_t, (64 - sub_bits + 1) * sub> counts_{};
    std::uint64_t total_ = 0;
};

}  // namespace strata::bench

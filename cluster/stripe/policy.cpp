// SPDX-License-Identifier: Apache-2.0
// Redundancy policies as people write them.
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "cluster/stripe/stripe.h"

namespace strata::cluster {

namespace {

std::optional<int> number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || text.front() == '-' || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

constexpr int copies_max = 8, k_max = 16, m_max = 6;

}  // namespace

std::string Policy::to_string() const {
    if (full.k > 1) return fmt::format("ec-{}+{}", full.k, full.m);
    return full.m == 0 ? "single" : fmt::format("mirror-{}", full.m + 1);
}

Result<Policy> Policy::parse(std::string_view text) {
    constexpr std::string_view mirror = "mirror-", coded = "ec-";
    if (text == "single") return Policy{{1, 0}};
    if (text.starts_with(mirror)) {
        const auto copies = number(text.substr(mirror.size()));
        if (copies && *copies >= 2 && *copies <= copies_max) return Policy{{1, static_cast<std::uint8_t>(*copies - 1)}};
    } else if (text.starts_with(coded)) {
        const auto rest = text.substr(coded.size());
        const auto plus = rest.find('+');
        const auto k = number(rest.substr(0, plus));
        const auto m = plus == std::string_view::npos ? std::nullopt : number(rest.substr(plus + 1));
        if (k && m && *k >= 2 && *k <= k_max && *m >= 1 && *m <= m_max) {
            return Policy{{static_cast<std::uint8_t>(*k), static_cast<std::uint8_t>(*m)}};
        }
    }
    return fail(Errc::config, fmt::format("\"{}\" is no policy: single, mirror-N (N copies, 2 to {}), or ec-K+M (K data shards, 2 to {}; "
                                          "M parity shards, 1 to {})",
                                          text, copies_max, k_max, m_max));
}

Policy Policy::default_for(int stores) {
    if (stores <= 1) return {{1, 0}};
    if (stores == 2) return {{1, 1}};
    if (stores <= 5) return {{2, 1}};
    return {{4, 2}};
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Credentials: who asks, after authentication and squashing.
#pragma once

#include <cstdint>

#include <boost/container/small_vector.hpp>

namespace strata {

struct Credentials {
    std::uint32_t uid = 65534;
    std::uint32_t gid = 65534;
    boost::container::small_vector<std::uint32_t, 16> groups;  // supplementary

    bool is_superuser() const { return uid == 0; }
    bool in_group(std::uint32_t g) const {
        if (g == gid) return true;
        for (auto member : groups) {
            if (member == g) return true;
        }
        return false;
    }
    static Credentials superuser() { return {.uid = 0, .gid = 0, .groups = {}}; }
    friend bool operator==(const Credentials&, const Credentials&) = default;
};

}  // namespace strata

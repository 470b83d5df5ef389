// SPDX-License-Identifier: Apache-2.0
// The names of the error words.
#include "server/base/result.h"

#include <array>

#include "server/base/assert.h"

namespace strata {

namespace {

constexpr std::array<std::string_view, errc_count> names = {
    "not_found",  "exists",         "not_empty",     "not_directory", "is_directory", "is_symlink",    "wrong_type",     "stale",
    "bad_handle", "permission",     "access",        "read_only",     "cross_domain", "name_too_long", "bad_name",       "invalid_argument",
    "too_big",    "too_many_links", "no_space",      "quota",         "bad_cookie",   "too_small",     "share_conflict", "locked",
    "lock_range", "deadlock",       "grace",         "no_grace",      "delay",        "not_supported", "not_same",       "no_xattr",
    "io",         "corrupt",        "store_missing", "fenced",        "timed_out",    "cancelled",     "closed",         "busy",
    "no_memory",  "too_many",       "bad_message",   "bad_version",   "config",       "internal",
};
static_assert(!names.back().empty());

}  // namespace

std::string_view to_string(Errc code) {
    auto index = static_cast<std::size_t>(code);
    STRATA_ASSERT(index < names.size());
    return names[index];
}

std::string to_string(const Error& error) {
    std::string text(to_string(error.code));
    if (!error.detail.empty()) text.append(": ").append(error.detail);
    return text;
}

}  // namespace strata

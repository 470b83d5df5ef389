// SPDX-License-Identifier: Apache-2.0
// The table of settings: each has its flag and its TOML key, so neither can have what the other lacks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/base/result.h"
#include "server/config.h"

namespace strata {

struct Setting {
    enum class Kind : std::uint8_t { text, number, texts };  // texts: a flag that may be repeated, an array of strings in TOML

    std::string_view flag;
    std::string_view key;       // dotted: "section.name", or a name alone
    std::string_view argument;  // as help shows it
    std::string_view help;
    Kind kind = Kind::text;
    Result<> (*set)(Config&, std::string_view) = nullptr;  // texts: adds one. Errors: any code; the detail says what was expected
};

std::span<const Setting> all_settings();

// The settings' flag or key that takes the fewest changes of a letter to reach from `name`.
std::string_view nearest_flag(std::string_view name);
std::string_view nearest_key(std::string_view name);
// "nfs", "limits", ...: what keys begin with.
bool is_section(std::string_view name);
std::string_view nearest_section(std::string_view name);

// In quotes, for a message: cut if it is long, and harmless to a terminal.
std::string quoted(std::string_view text);

}  // namespace strata

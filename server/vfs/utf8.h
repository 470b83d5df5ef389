// SPDX-License-Identifier: Apache-2.0
// UTF-8: what names and comments are (RFC 3629).
#pragma once

#include <string_view>

namespace strata::vfs {

// Whole characters in their shortest form, no surrogates.
bool is_utf8(std::string_view text);

// The same, and none of the control characters U+0000 to U+001F and U+007F: it can be shown in a line.
bool is_line_of_text(std::string_view text);

}  // namespace strata::vfs

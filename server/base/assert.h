// SPDX-License-Identifier: Apache-2.0
// STRATA_ASSERT: a bug ends the process, with where and what; durable state is safe by design (kill -9 is a normal event).
#pragma once

namespace strata {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define STRATA_ASSERT(expression) (static_cast<bool>(expression) ? void(0) : ::strata::assertion_failed(#expression, __FILE__, __LINE__))

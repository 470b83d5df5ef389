// SPDX-License-Identifier: Apache-2.0
// The last words of a process that met a bug.
#include "server/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace strata {

void assertion_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "strata: assertion failed: %s (%s:%d)\n", expression, file, line);
    std::fflush(stderr);
    std::abort();
}

}  // namespace strata

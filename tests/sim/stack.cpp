// SPDX-License-Identifier: Apache-2.0
// With names and lines under the sanitizers, else with addresses.
#include "tests/sim/stack.h"

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#else
#include <execinfo.h>
#endif

namespace strata::sim {

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
void show_stack() { __sanitizer_print_stack_trace(); }
#else
void show_stack() {
    void* frames[64];
    backtrace_symbols_fd(frames, backtrace(frames, 64), 2);
}
#endif

}  // namespace strata::sim

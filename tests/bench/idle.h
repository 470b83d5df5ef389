// SPDX-License-Identifier: Apache-2.0
// How much memory an idle connection costs the server.
#pragma once

#include "tests/bench/options.h"

namespace strata::bench {

// Opens options.count connections, lets each be served once, and reads the server's resident memory with none, with half and with all
// of them open. Prints one line of JSON. Fewer connections than asked for are reported, with the reason, not hidden; throws Failure
// if there are fewer than two.
void run_idle(const Options& options);

}  // namespace strata::bench

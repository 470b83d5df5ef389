// SPDX-License-Identifier: Apache-2.0
// The caller's stack, for whoever reads the log of a run that does not end.
#pragma once

namespace strata::sim {

// To stderr; also from within a signal handler.
void show_stack();

}  // namespace strata::sim

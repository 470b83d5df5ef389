// SPDX-License-Identifier: Apache-2.0
// StripeParts: what writing, reading and rebuilding of stripes share.
#pragma once

#include <memory>

#include "cluster/stripe/coding.h"
#include "cluster/stripe/store_watch.h"
#include "cluster/stripe/stripe.h"
#include "server/base/pool.h"
#include "server/base/runtime.h"

namespace strata::cluster {

struct StripeParts {
    Runtime runtime;
    StoreSet& stores;
    DamageSink& damage;
    CodeTables& tables;
    Pool& pool;
    StoreWatch& watch;
};

// Runs `work` (CPU only) inline if it is about few bytes, else on the pool.
template <class F>
Task<std::invoke_result_t<F&>> code_on(Pool& pool, std::size_t bytes, F work) {
    if (bytes < inline_coding_max) co_return work();
    co_return co_await pool.run(std::move(work));
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// How many bytes of file data fit under a policy: what statfs may truthfully promise.
#pragma once

#include <cstdint>
#include <span>

#include "cluster/stripe/stripe.h"

namespace strata::cluster {

// Each stripe takes one shard from each of `geometry.shards()` different stores, so the largest stores' surplus cannot be used: the answer
// is k * T for the largest T with sum(min(free_i, T)) >= T * shards. With fewer stores than shards, what m+1 replicas could hold; with
// fewer than that, what one copy on each store could (such data are flagged as degraded). `free`: bytes, one number a store.
std::uint64_t placeable_bytes(std::span<const std::uint64_t> free, Geometry geometry);

}  // namespace strata::cluster

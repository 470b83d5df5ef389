// SPDX-License-Identifier: Apache-2.0
// `stratad check`: offline proof, by tracing, that metadata, chunks and checksums agree.
#pragma once

#include <string>
#include <vector>

#include "server/base/context.h"
#include "server/config.h"
#include "server/storage.h"

namespace strata {

// What is wrong, a line each, and what was looked at.
struct CheckReport {
    std::vector<std::string> problems;
    std::uint64_t inodes = 0, entries = 0, extents = 0, chunks = 0, shards = 0, orphan_shards = 0, replicas = 0;
};

// The whole tracing, over a storage that is open and serves nobody.
Task<CheckReport> check_storage(const Context& ctx, Storage& storage);

// Adds what is wrong with the metadata databases themselves, and between them. After an orderly close of the storage. Blocks.
void compare_replicas(const std::vector<cluster::StoreDisk>& places, Random& random, CheckReport& report);

// The verb: prints the report. Returns the exit status: 0 all agrees, 1 not, or it could not be opened.
int check(const Config& config);

}  // namespace strata

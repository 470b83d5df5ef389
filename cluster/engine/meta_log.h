// SPDX-License-Identifier: Apache-2.0
// MetaLog: one volume's ordered, durable batches of commands, with one proposer, fenced by its epoch.
//
// Implementations: LocalLog (one node: an append-only file on each of m+1 stores); EtcdLog in a cluster; SimLog in tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/base/context.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata::cluster {

// Commands first .. first + commands.size() - 1, encoded; written and replayed as one.
struct LogBatch {
    std::uint64_t first = 0;
    std::vector<std::string> commands;
};

class MetaLog {
public:
    virtual ~MetaLog() = default;

    // Returns once the batch can no longer be lost: it is durable on as many copies as the policy asks, or on all that are left and at
    // least one more loss is tolerable (copies that fail are dropped and told of). One call at a time, batches in order without a gap.
    // Errors: fenced, io, no_space, timed_out (the outcome is unknown: reopen, never retry).
    virtual Task<Result<>> propose(const Context& ctx, LogBatch batch) = 0;

    // The batches that hold index `from` and later, in order; empty at the end. For replay at opening. Errors: not_found (trimmed),
    // corrupt.
    virtual Task<Result<std::vector<LogBatch>>> read(const Context& ctx, std::uint64_t from, std::size_t bytes_max) = 0;

    // Forgets what lies wholly at or below `to`: applied and durable in every copy of the materialised state.
    virtual Task<Result<>> trim(const Context& ctx, std::uint64_t to) = 0;

    virtual std::uint64_t last() const = 0;  // newest durable index
    virtual std::uint32_t epoch() const = 0;
    virtual Task<> close() = 0;
};

}  // namespace strata::cluster

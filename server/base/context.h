// SPDX-License-Identifier: Apache-2.0
// Context: what a request carries down: who asks, until when, where to log, and what its reply depends on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "server/base/clock.h"
#include "server/base/credentials.h"
#include "server/base/log.h"

namespace strata {

// The newest metadata change that a request made or saw. Its reply may leave only when the log is durable up to here
// (FileSystem::settle): that is how a reply never promises what a power cut could take back. One request, one thread at a time.
struct CommitPoint {
    std::uint64_t index = 0;
    void raise(std::uint64_t i) {
        if (i > index) index = i;
    }
};

// Passed as `const Context&`, first argument. A child is awaited by its parent, so a reference is safe; whatever outlives its
// caller takes a Context by value.
struct Context {
    Clock* clock = nullptr;
    Log* log = nullptr;
    const Credentials* caller = nullptr;  // never null in requests; the superuser's for internal work
    CommitPoint* commit_point = nullptr;  // null: the caller does not reply to anybody
    Instant deadline = Instant::max();
    std::uint64_t trace_id = 0;

    bool expired() const { return clock != nullptr && clock->now() > deadline; }
    Context with_deadline(Instant d) const {
        Context c = *this;
        c.deadline = d < deadline ? d : deadline;
        return c;
    }
};

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// Listener over TCP: one socket an io thread (SO_REUSEPORT).
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "server/base/byte_stream.h"

namespace strata {

// An io thread as a place for streams.
struct StreamHome {
    Executor executor;
    std::shared_ptr<std::atomic<int>> live;  // streams that live there
};

// Errors: busy (names the address), access, invalid_argument.
Result<std::unique_ptr<Listener>> listen_tcp(const std::vector<StreamHome>& homes, const Endpoint& endpoint, OnStream on_stream);

}  // namespace strata

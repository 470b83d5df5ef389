// SPDX-License-Identifier: Apache-2.0
// ConnectionState: what the operations know of the connection that a request came over.
#pragma once

#include <cstdint>
#include <memory>

#include "nfs/share_view.h"
#include "server/base/byte_stream.h"

namespace strata::nfs {

struct Session;

// Used from the connection's home executor only.
struct ConnectionState {
    std::uint64_t id = 0;  // unique in the process
    Endpoint remote, local;
    std::shared_ptr<const ShareView> shares;
    std::shared_ptr<Session> last_session;  // the session of the last SEQUENCE: saves the table's look-up
    std::uint64_t last_client = 0;          // the client that spoke last: while it is known the connection may be silent
};

}  // namespace strata::nfs

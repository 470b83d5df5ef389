// SPDX-License-Identifier: Apache-2.0
// Local sockets: streams between processes of one machine, under a path, with the other side's user known from the kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/base/byte_stream.h"
#include "server/base/clock.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

struct LocalPeer {
    std::unique_ptr<ByteStream> stream;
    std::uint32_t uid = 0;  // as it was when the peer connected
};

class LocalListener {
public:
    virtual ~LocalListener() = default;
    // The next peer; its stream is at home where the listener is. One caller at a time. Errors: closed, cancelled; others pass (too_many:
    // no descriptor is left; the caller waits a little and tries again).
    virtual Task<Result<LocalPeer>> accept() = 0;
    // Stops listening and removes the path, unless it is another's by now.
    virtual void close() = 0;
};

// Listens under `path`, which nobody but the owner may connect to (0600 from the first instant, whatever the umask). A path of any
// length. A socket that was left there is replaced. Errors: busy (somebody listens there), exists (what is there is no socket), access,
// not_found (its folder), io.
Result<std::unique_ptr<LocalListener>> listen_local(Executor home, const std::string& path);

// Connects from the caller's executor, which becomes the stream's home. Errors: not_found (nobody listens there), access, timed_out,
// cancelled, io.
Task<Result<std::unique_ptr<ByteStream>>> connect_local(std::string path, Instant deadline);

}  // namespace strata

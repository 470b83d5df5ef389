// SPDX-License-Identifier: Apache-2.0
// ControlSocket: DATA/control.sock (mode 0600): one JSON request a line, one JSON reply a line, for the owner of the daemon alone.
//
// A reply with "error" (the name of an Errc) and "detail" is a refusal. Requests of a connection are answered one after the other.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "server/base/byte_stream.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

using ControlHandler = std::function<Task<Result<boost::json::object>>(const boost::json::object& request)>;

struct ControlLimits {
    std::size_t line_size_max = 64 << 10;  // bytes of one request; a longer one is refused and the connection closed
    std::size_t connections_max = 16;      // one more is refused at once
    Duration request_max = 60s;            // for one whole request to arrive, from when it may begin
    Duration reply_max = 30s;              // for one reply to be taken
};

class ControlSocket {
public:
    virtual ~ControlSocket() = default;  // after stop()
    // Takes no more requests, hangs up on who has none under way, and waits for the handlers that run. The path is gone when this returns.
    // Errors: timed_out (a handler still runs, and this object must outlive it).
    virtual Task<Result<>> stop(Instant deadline) = 0;
};

// `home` is where handlers run. Other users than root and the daemon's own are refused. Errors: as listen_local().
Result<std::unique_ptr<ControlSocket>> open_control_socket(Executor home, Clock& clock, const std::string& path, Log log,
                                                           ControlHandler handler, ControlLimits limits = {});

// One connection, until it ends.
Task<> serve_control(ByteStream& stream, Clock& clock, const ControlHandler& handler, const ControlLimits& limits);

// One request to a running stratad; blocks, at most for `timeout`.
// Errors: not_found (none runs), access, timed_out, closed, bad_message, and whatever the daemon answered.
Result<boost::json::object> ask_control_socket(const std::string& path, const boost::json::object& request, Duration timeout);

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// ControlSocket: DATA/control.sock (mode 0600): one JSON request a line, one JSON reply a line, for the owner of the daemon alone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata {

using ControlHandler = std::function<Task<Result<boost::json::object>>(const boost::json::object& request)>;

// Serves until destroyed. Requests of another user than root and the daemon's own are refused.
class ControlSocket {
public:
    virtual ~ControlSocket() = default;
    virtual void close() = 0;
};

// Errors: busy (a running stratad answers there: names it), io.
Result<std::unique_ptr<ControlSocket>> open_control_socket(Executor executor, const std::string& path, Log log, ControlHandler handler);

// One request to a running stratad; blocks. Errors: not_found (none runs), timed_out, and whatever the daemon answered.
Result<boost::json::object> ask_control_socket(const std::string& path, const boost::json::object& request, Duration timeout);

}  // namespace strata

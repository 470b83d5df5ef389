// SPDX-License-Identifier: Apache-2.0
// ServedVolume: the whole server inside the test's process: six stores at ec-4+2 in a folder of its own, NFS on a loopback port.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "server/appliance.h"
#include "tests/bench/session.h"

namespace strata::stress {

constexpr int store_count = 6;
constexpr Duration stop_limit = 9s;  // what stratad gives itself between SIGTERM and its end

struct ServedVolumeConfig {
    int lease_seconds = 60;
    int grace_seconds = 1;
    std::uint32_t connections_max = 1000;
};

// Used by the test's own thread, except where noted. Background work comes in fractions of a second instead of hours.
class ServedVolume {
public:
    // A new volume, served when this returns. Throws bench::Failure.
    explicit ServedVolume(ServedVolumeConfig config);
    ~ServedVolume();  // stops, if nobody did, and removes the folder

    // Any thread: how to connect to it, and to share "files".
    const bench::Target& target() const { return target_; }
    // Any thread: one request to the control socket.
    Result<boost::json::object> ask(const boost::json::object& request, Duration limit = 60s) const;

    // From now on every call of this store's disk fails. Any thread.
    void fail_store(int number) { failing_[static_cast<std::size_t>(number)]->store(true); }
    std::string store_folder(int number) const { return folder_ + "/store" + std::to_string(number); }

    // Ends as SIGTERM ends the daemon. Errors: timed_out, and whatever made the end no orderly one.
    Result<> stop();
    // Serves the same volume again, after stop(). Throws bench::Failure.
    void start();

private:
    ServedVolumeConfig config_;
    std::string folder_;
    bool made_ = false;
    std::array<std::shared_ptr<std::atomic<bool>>, store_count> failing_;
    bench::Target target_;
    std::unique_ptr<StreamLogSink> sink_;
    std::unique_ptr<SystemRuntime> system_;
    std::unique_ptr<Appliance> appliance_;
};

}  // namespace strata::stress

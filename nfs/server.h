// SPDX-License-Identifier: Apache-2.0
// Server: the NFS service of one server identity: its connections, its protocol state, its timers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "nfs/connection.h"
#include "nfs/service.h"
#include "server/base/byte_stream.h"
#include "server/base/result.h"
#include "server/base/task_group.h"

namespace strata::nfs {

// Any thread may call, except where noted. Order: construct, start(), own() the listeners; stop() before destruction.
class Server {
public:
    Server(Config config, Runtime runtime, Parts parts);
    ~Server();

    // Loads (or makes and stores) the key of the filehandles and the records of clients, begins grace if there are any, and starts the
    // timers. Errors: those of the record store.
    Task<Result<>> start();
    // Takes a listener whose streams come to serve(). It is paused while there are connections_max connections, and closed by stop().
    void own(std::unique_ptr<Listener> listener);
    // Serves the stream on its own executor until it ends.
    void serve(std::unique_ptr<ByteStream> stream);
    // Accepts no more, answers what is in flight, ends all connections; what has not ended in half of the time is cut off.
    // Errors: timed_out (something has not ended at `deadline`: the server must not be destroyed).
    Task<Result<>> stop(Instant deadline);

    Service& service() { return service_; }
    std::size_t connections() const { return count_.load(std::memory_order_relaxed); }

private:
    Task<Result<>> load_key(const Context& ctx);
    Task<Result<std::uint32_t>> next_epoch(const Context& ctx);
    Task<> keep_grace();
    Task<> keep_leases();
    Task<> visit_clients();
    void ended(std::uint64_t id);
    // What connections_ knows of one. A connection takes itself out, under the mutex, before it is gone: under the mutex it is there.
    struct Known {
        const Connection* connection;
        std::weak_ptr<Connection> owner;
    };
    std::vector<std::shared_ptr<Connection>> longest_idle(std::size_t count) const;

    Service service_;
    ConnectionMetrics metrics_;
    TaskGroup group_;
    std::atomic<std::uint64_t> next_id_{1};
    std::atomic<std::size_t> count_{0};
    std::mutex mutex_;  // guards what follows
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::unordered_map<std::uint64_t, Known> connections_;
    bool paused_ = false;
    bool stopping_ = false;
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Connection: one client's TCP stream: records in, COMPOUNDs run, all replies that are ready out in one gathered write.
//
// One coroutine at a time leads: it reads, parses and runs requests in the order of their arrival. When a request suspends (it waits for
// a disk or a log), a new leader takes over for the requests behind it, and the suspended one sends its own reply when it is done: replies
// may overtake each other (RFC 8881, 2.10.6 leaves order to the slots). Requests in flight are bounded in number and in bytes; past
// the bound, and while the client does not take its replies, nothing more is read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "nfs/compound.h"
#include "nfs/connection_state.h"
#include "nfs/rpc/record.h"
#include "nfs/service.h"
#include "server/base/byte_stream.h"
#include "server/base/task_group.h"

namespace strata::nfs {

// Counters that all connections share.
struct ConnectionMetrics {
    explicit ConnectionMetrics(Metrics& metrics);
    Counter& connections;  // open now
    Counter& requests;
    Counter& garbage;     // connections closed for what they sent
    Counter& slow;        // connections closed for not sending or not taking in time
    Counter& idle;        // connections closed for saying nothing for too long, without a lease
    Counter& taken_over;  // requests that suspended and let others pass
};

// Home executor only, except where noted. Kept alive by its own coroutines.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(Service& service, ConnectionMetrics& metrics, TaskGroup& group, std::unique_ptr<ByteStream> stream, std::uint64_t id);
    ~Connection();

    // Serves until the peer or an error ends the stream. Started once, in a task of the group that holds a shared_ptr.
    Task<> run();
    // Called by the destructor. Set before run().
    void on_end(std::function<void()> call) { on_end_ = std::move(call); }
    // Any thread: takes no further requests; ends when those in flight are answered.
    static void drain(std::shared_ptr<Connection> connection);
    // Any thread: since when it waits for a request, if no client with a lease has spoken; Instant::max(): it does not.
    Instant idle_since() const { return {idle_since_.load(std::memory_order_relaxed)}; }

private:
    struct Worker;

    Task<bool> lead(Worker& worker);
    Task<bool> receive(Worker& worker);
    Task<bool> wait_readable(bool idle);
    Task<bool> wait_for_memory();
    bool may_be_silent() const;
    Task<> serve(Worker& worker, Slice record);
    Task<Outcome> answer(Worker& worker, const Slice& record);
    void expect_takeover();
    void take_over();
    void collect(Worker& worker);
    Task<> flush();
    Task<> flush_together();
    bool may_lead() const;
    void close();

    Service& service_;
    ConnectionMetrics& metrics_;
    TaskGroup& group_;
    std::unique_ptr<ByteStream> stream_;
    Executor executor_;
    ConnectionState state_;
    std::function<void()> on_end_;
    RecordReader records_;
    Instant record_deadline_ = Instant::max();  // of the record whose first bytes are here
    Instant first_deadline_;                    // of the first request
    bool served_ = false;                       // it has come
    std::atomic<std::int64_t> idle_since_{Instant::max().ns};

    Worker* leader_ = nullptr;        // null: nobody reads
    bool takeover_expected_ = false;  // a look at whether the leader is stuck is queued on the executor
    bool draining_ = false;
    bool closed_ = false;
    std::size_t in_flight_ = 0, in_flight_bytes_ = 0;  // requests that suspended and were passed

    std::vector<Reply> replies_;  // ready to be sent
    std::size_t replies_bytes_ = 0;
    bool writing_ = false;
    bool flush_expected_ = false;
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Connection: the loop, the change of leaders, and the gathered sends.
#include "nfs/connection.h"

#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/container/small_vector.hpp>

#include "nfs/rpc/message.h"
#include "nfs/state/session.h"
#include "server/base/cancellation.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t proc_null = 0, proc_compound = 1;
constexpr std::uint32_t last_fragment = 0x80000000u;
// A reply starts in a fresh buffer unless this much is left of the last one's: most replies are smaller.
constexpr std::size_t reply_room = 1024;
// Replies collected beyond this are sent before more requests are run.
constexpr std::size_t gather_bytes_max = 1 << 20;
constexpr std::size_t gather_replies_max = 256;
// A client that always has more to say lets the others on its core speak after so many turns.
constexpr int turns_max = 16;
// Between looks for memory.
constexpr Duration memory_pause = 5ms;

}  // namespace

ConnectionMetrics::ConnectionMetrics(Metrics& m)
    : connections(m.counter("nfs_connections")),
      requests(m.counter("nfs_requests")),
      garbage(m.counter("nfs_connections_garbage")),
      slow(m.counter("nfs_connections_slow")),
      idle(m.counter("nfs_connections_idle")),
      taken_over(m.counter("nfs_requests_suspended")) {}

// One leader's request and reply under way.
struct Connection::Worker {
    Worker(Service& service, ConnectionState& state) : compound(service, state), out(*service.parts.buffers) {}
    Compound compound;
    XdrWriter out;
    XdrWriter::Mark finished;  // replies before it are complete
    bool leading = true;
    bool busy = false;      // inside a request
    bool detached = false;  // counted in in_flight_
    std::size_t record_bytes = 0;
};

Connection::Connection(Service& service, ConnectionMetrics& metrics, TaskGroup& group, std::unique_ptr<ByteStream> stream, std::uint64_t id)
    : service_(service),
      metrics_(metrics),
      group_(group),
      stream_(std::move(stream)),
      executor_(stream_->executor()),
      records_(*service.parts.buffers, record_size_max, &service.unfinished_bytes),
      first_deadline_(service.runtime.clock->now() + service.config.first_timeout) {
    state_.id = id;
    state_.remote = stream_->remote();
    state_.local = stream_->local();
    metrics_.connections.add();
}

Connection::~Connection() {
    metrics_.connections.sub();
    if (on_end_) on_end_();
}

void Connection::close() {
    if (closed_) return;
    closed_ = true;
    stream_->close();
    replies_.clear();
    replies_bytes_ = 0;
}

void Connection::drain(std::shared_ptr<Connection> connection) {
    auto executor = connection->executor_;
    // The last reference must go on the home executor: the stream belongs to it.
    boost::asio::post(executor, [self = std::move(connection)] {
        self->draining_ = true;
        // A leader that waits for a request has none to answer; with requests in flight the last one to be answered closes.
        const bool waiting = self->leader_ == nullptr || !self->leader_->busy;
        if (waiting && self->in_flight_ == 0 && !self->writing_ && !self->flush_expected_) self->close();
    });
}

bool Connection::may_lead() const {
    const auto& config = service_.config;
    return !closed_ && !draining_ && in_flight_ < config.in_flight_requests_max && in_flight_bytes_ < config.in_flight_bytes_max &&
           !(writing_ && replies_bytes_ > gather_bytes_max);
}

Task<> Connection::run() {
    Worker worker(service_, state_);
    // The task that was spawned to lead may find that it is not wanted any more.
    bool leading = leader_ == nullptr && may_lead();
    while (leading) {
        worker.leading = true;
        leader_ = &worker;
        leading = co_await lead(worker);
        if (worker.leading) leader_ = nullptr;
        // A worker that was passed while it waited has answered; it reads on if nobody else does.
        leading = leading && leader_ == nullptr && may_lead();
    }
    const bool nobody_reads = leader_ == nullptr || (draining_ && !leader_->busy);
    if (nobody_reads && in_flight_ == 0 && !writing_ && !flush_expected_) close();
}

// Reads and runs requests until another one leads (true: it may lead again) or the stream has ended (false).
Task<bool> Connection::lead(Worker& worker) {
    int turns = 0;
    while (!closed_) {
        Slice record;
        const auto next = records_.next(record);
        if (next == RecordReader::Next::bad) {
            metrics_.garbage.add();
            close();
            co_return false;
        }
        if (next == RecordReader::Next::record) {
            record_deadline_ = Instant::max();
            co_await serve(worker, std::move(record));
            if (!worker.leading) {
                collect(worker);
                co_await flush_together();
                co_return true;
            }
            if (worker.out.untaken() + replies_bytes_ < gather_bytes_max && replies_.size() < gather_replies_max) continue;
        }
        collect(worker);
        co_await flush();
        if (++turns % turns_max == 0) co_await boost::asio::post(executor_, boost::asio::use_awaitable_t<Executor>());
        if (closed_ || draining_) co_return false;
        if (writing_ && replies_bytes_ > gather_bytes_max) co_return true;
        if (next == RecordReader::Next::need_more && !co_await receive(worker)) co_return false;
        if (next == RecordReader::Next::wait && !co_await wait_for_memory()) co_return false;
    }
    co_return false;
}

// A client that holds a lease, or waits for an answer, may say nothing for as long as it likes: keepalive tells if it is there at all.
bool Connection::may_be_silent() const {
    if (in_flight_ != 0) return true;
    if (state_.last_client != 0 && service_.clients.find(state_.last_client) != nullptr) return true;
    return state_.last_session != nullptr && !state_.last_session->destroyed.load(std::memory_order_acquire);
}

// Until there is something to receive. False: there is not, and the connection is closed.
Task<bool> Connection::wait_readable(bool idle) {
    const auto& config = service_.config;
    for (;;) {
        auto deadline = record_deadline_;
        if (idle) {
            const auto now = service_.runtime.clock->now();
            deadline = served_ ? now + config.idle_timeout : first_deadline_;
            const bool leased = state_.last_client != 0 || state_.last_session != nullptr;
            idle_since_.store(leased || in_flight_ != 0 ? Instant::max().ns : now.ns, std::memory_order_relaxed);
        }
        const auto ready = co_await stream_->wait_readable(deadline);
        idle_since_.store(Instant::max().ns, std::memory_order_relaxed);
        if (ready) co_return true;
        const bool timed_out = ready.error() == Errc::timed_out;
        if (timed_out && idle && !closed_ && !draining_ && may_be_silent()) {
            served_ = true;
            continue;
        }
        if (timed_out) (idle ? metrics_.idle : metrics_.slow).add();
        close();
        co_return false;
    }
}

// The server's buffers are all in use: the client waits, its bytes in the kernel's. False: for too long.
Task<bool> Connection::wait_for_memory() {
    auto& clock = *service_.runtime.clock;
    if (record_deadline_ == Instant::max()) record_deadline_ = clock.now() + service_.config.record_timeout;
    co_await clock.sleep_for(memory_pause);
    if (co_await is_cancelled()) close();
    co_return !closed_ && clock.now() <= record_deadline_;
}

// Receives what there is, at least one byte. False: the stream has ended.
Task<bool> Connection::receive(Worker& worker) {
    const auto& config = service_.config;
    const bool idle = records_.idle();
    if (idle) {
        records_.release();
        worker.out.clear();
        worker.finished = {};
    }
    if (idle) {
        record_deadline_ = Instant::max();
    } else if (record_deadline_ == Instant::max()) {
        record_deadline_ = service_.runtime.clock->now() + config.record_timeout;
    }
    if (!co_await wait_readable(idle)) co_return false;
    auto space = records_.space();
    while (space.empty()) {
        if (!co_await wait_for_memory()) co_return false;
        space = records_.space();
    }
    bool would_block = false;
    const auto count = stream_->try_read(space, would_block);
    if (!count || (*count == 0 && !would_block)) {
        // With requests in flight the peer may still take their replies: only its side has ended.
        if (!count || in_flight_ == 0) close();
        co_return false;
    }
    records_.received(*count);
    co_return true;
}

Task<> Connection::serve(Worker& worker, Slice record) {
    metrics_.requests.add();
    served_ = true;
    worker.busy = true;
    worker.record_bytes = record.pinned_bytes() < 2 * record.size() ? record.pinned_bytes() : record.size();
    expect_takeover();
    if (worker.out.spare() < reply_room && worker.out.size() != 0) {
        collect(worker);
        worker.out.clear();
        worker.finished = {};
    }
    const auto outcome = co_await answer(worker, record);
    worker.busy = false;
    if (worker.detached) {
        worker.detached = false;
        --in_flight_;
        in_flight_bytes_ -= worker.record_bytes;
    }
    if (outcome == Outcome::replied && !closed_) {
        worker.finished = worker.out.mark();
    } else {
        worker.out.rewind(worker.finished);
        if (outcome == Outcome::dropped) close();
    }
}

// Appends the whole reply, record mark included. Dropped: nothing may be sent, the connection is to be closed.
Task<Outcome> Connection::answer(Worker& worker, const Slice& record) {
    auto& compound = worker.compound;
    auto& out = worker.out;
    XdrReader in(record);
    CallHeader call;
    std::swap(call.caller, compound.authenticated);
    const auto kind = read_header(in, call);
    std::swap(call.caller, compound.authenticated);
    if (kind == MessageKind::reply) co_return Outcome::replied;  // to nothing that we asked
    if (kind == MessageKind::garbage) {
        metrics_.garbage.add();
        co_return Outcome::dropped;
    }
    const auto start = out.mark();
    const auto mark_at = out.hole();
    if (call.rpc_version != 2) {
        write_rpc_mismatch(out, call.xid);
    } else if (call.auth != AuthStat::ok) {
        write_auth_error(out, call.xid, call.auth);
    } else if (call.program != nfs_program) {
        write_accepted(out, call.xid, AcceptStat::prog_unavail);
    } else if (call.version != nfs_version) {
        write_accepted(out, call.xid, AcceptStat::prog_mismatch);
    } else if (call.procedure == proc_null) {
        write_accepted(out, call.xid, AcceptStat::success);
    } else if (call.procedure != proc_compound) {
        write_accepted(out, call.xid, AcceptStat::proc_unavail);
    } else {
        compound.begin(call.xid, call.flavor);
        compound.request_bytes = record.size();
        compound.reply_base = start.used + start.attached + 4;
        write_accepted(out, call.xid, AcceptStat::success);
        const auto outcome = co_await run_compound(compound, in, out);
        if (compound.client != 0) state_.last_client = compound.client;
        if (outcome != Outcome::replied) co_return outcome;
    }
    const auto bytes = out.size() - start.used - start.attached - 4;
    out.patch(mark_at, static_cast<std::uint32_t>(bytes) | last_fragment);
    co_return Outcome::replied;
}

// Queues, once for a batch of requests, a look at whether one of them keeps the others waiting: it runs only when this thread is free.
void Connection::expect_takeover() {
    if (takeover_expected_) return;
    takeover_expected_ = true;
    boost::asio::post(executor_, [self = shared_from_this()] {
        self->takeover_expected_ = false;
        self->take_over();
    });
}

void Connection::take_over() {
    if (leader_ == nullptr || !leader_->busy || closed_) return;
    metrics_.taken_over.add();
    auto& stuck = *leader_;
    collect(stuck);
    stuck.leading = false;
    stuck.detached = true;
    ++in_flight_;
    in_flight_bytes_ += stuck.record_bytes;
    leader_ = nullptr;
    auto self = shared_from_this();
    group_.spawn(executor_, [self]() -> Task<> {
        co_await self->flush();
        co_await self->run();
    });
}

void Connection::collect(Worker& worker) {
    auto reply = worker.out.take_until(worker.finished);
    if (reply.size() == 0 || closed_) return;
    replies_bytes_ += reply.size();
    replies_.push_back(std::move(reply));
}

// Requests that waited for the same thing resume one after the other: the first one lets the others finish, and sends for all.
Task<> Connection::flush_together() {
    if (flush_expected_) co_return;
    flush_expected_ = true;
    co_await boost::asio::post(executor_, boost::asio::use_awaitable_t<Executor>());
    flush_expected_ = false;
    co_await flush();
}

// Sends all that is ready, unless somebody does already: then that one sends these, too.
Task<> Connection::flush() {
    if (writing_) co_return;
    writing_ = true;
    std::vector<Reply> batch;
    boost::container::small_vector<std::span<const std::byte>, 64> pieces;
    while (!replies_.empty() && !closed_) {
        batch.swap(replies_);
        pieces.clear();
        for (const auto& reply : batch) reply.for_each_piece([&pieces](Bytes piece) { pieces.push_back(piece); });
        const auto deadline = service_.runtime.clock->now() + service_.config.write_timeout;
        const auto sent = co_await stream_->write_all({pieces.data(), pieces.size()}, deadline);
        if (!closed_) {
            for (const auto& reply : batch) replies_bytes_ -= reply.size();
        }
        batch.clear();
        if (!sent) {
            if (sent.error() == Errc::timed_out) metrics_.slow.add();
            close();
        }
    }
    writing_ = false;
}

}  // namespace strata::nfs

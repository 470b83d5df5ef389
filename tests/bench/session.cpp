// SPDX-License-Identifier: Apache-2.0
// Sessions and blocking calls (RFC 8881, sections 18.34 to 18.37, 18.46, 18.50, 18.51).
#include "tests/bench/session.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::uint32_t message_max = (1U << 20) + 4096;
constexpr std::uint32_t cached_max = 4096;
constexpr auto retry_pause = std::chrono::milliseconds(50);
constexpr int retries_max = 2400;  // two minutes: a grace period may last one

void put_channel(XdrWriter& out, std::uint32_t size, std::uint32_t cached, std::uint32_t ops, std::uint32_t slots) {
    out.u32(0);  // header padding
    out.u32(size);
    out.u32(size);
    out.u32(cached);
    out.u32(ops);
    out.u32(slots);
    out.u32(0);  // no RDMA
}

// An operation that has no encoder in Ops: those of sessions, which stand alone in their COMPOUND.
class BareOps {
public:
    explicit BareOps(Op code) : out_(bytes_) { out_.u32(static_cast<std::uint32_t>(code)); }
    XdrWriter& out() { return out_; }
    [[nodiscard]] View bytes() const { return bytes_; }

private:
    Bytes bytes_;
    XdrWriter out_;
};

Reply call_bare(Socket& socket, const Prefix& prefix, std::uint32_t xid, const BareOps& op) {
    Bytes request(prefix.size());
    prefix.emit(request.data(), {.xid = xid, .ops = 1, .sequence = 0, .slot = 0, .cache_this = false, .body = op.bytes().size()});
    request.insert(request.end(), op.bytes().begin(), op.bytes().end());
    socket.send(request);
    Reply reply;
    reply.record = socket.receive_record();
    reply.results = XdrReader(reply.record);
    require(reply.results.u32() == xid, "a reply to another call");
    read_rpc_reply(reply.results);
    reply.status = read_compound_head(reply.results).status;
    return reply;
}

}  // namespace

Session::Session(const Target& target, std::string_view owner, std::uint32_t slots, std::uint32_t session_slots, std::uint32_t source)
    : socket_(target.address, source), bare_(Prefix::bare(target.credential, target.minor_version)) {
    exchange_id(owner);
    create_session(session_slots);
    prefix_ = Prefix::sequenced(target.credential, id_, session_slots - 1, target.minor_version);
    sequences_.assign(slots, 1);
    call(Ops().reclaim_complete());
}

Session::Session(const Target& target, const Session& first, std::uint32_t slot_base, std::uint32_t slots)
    : socket_(target.address),
      prefix_(first.prefix_),
      bare_(first.bare_),
      id_(first.id_),
      clientid_(first.clientid_),
      slot_base_(slot_base),
      request_max_(first.request_max_),
      response_max_(first.response_max_) {
    BareOps op(Op::bind_conn_to_session);
    op.out().fixed(id_);
    op.out().u32(1);  // CDFC4_FORE
    op.out().u32(0);  // no RDMA
    Reply reply = call_bare(socket_, bare_, ++xid_, op);
    expect_op(reply.results, Op::bind_conn_to_session);
    sequences_.assign(slots, 1);
}

void Session::exchange_id(std::string_view owner) {
    BareOps op(Op::exchange_id);
    op.out().u64(std::random_device{}() | std::uint64_t{1} << 40);  // this instance of the client
    op.out().text(owner);
    op.out().u32(0);  // flags
    op.out().u32(0);  // SP4_NONE
    op.out().u32(0);  // no implementation id
    Reply reply = call_bare(socket_, bare_, ++xid_, op);
    expect_op(reply.results, Op::exchange_id);
    clientid_ = reply.results.u64();
    create_sequence_ = reply.results.u32();
    require(reply.results.ok(), "EXCHANGE_ID: the result is cut short");
}

void Session::create_session(std::uint32_t slots) {
    BareOps op(Op::create_session);
    op.out().u64(clientid_);
    op.out().u32(create_sequence_);
    op.out().u32(0);  // no back channel
    put_channel(op.out(), message_max, cached_max, 16, slots);
    put_channel(op.out(), 4096, 0, 2, 1);
    op.out().u32(0x40000000);  // callback program
    op.out().u32(1);           // callbacks with
    op.out().u32(0);           // AUTH_NONE
    Reply reply = call_bare(socket_, bare_, ++xid_, op);
    XdrReader& in = reply.results;
    expect_op(in, Op::create_session);
    const View id = in.fixed(id_.size());
    in.u32();  // sequence
    in.u32();  // flags
    in.u32();  // header padding
    request_max_ = in.u32();
    response_max_ = in.u32();
    in.u32();  // cached
    const std::uint32_t ops_max = in.u32();
    const std::uint32_t slots_given = in.u32();
    require(in.ok(), "CREATE_SESSION: the result is cut short");
    require(ops_max >= 6, "CREATE_SESSION: too few operations a COMPOUND");
    if (slots_given < slots) fail("the server gives a session " + std::to_string(slots_given) + " slots, fewer than asked for");
    std::copy(id.begin(), id.end(), id_.begin());
}

void Session::send_on(std::uint32_t slot, std::uint32_t xid, const Ops& ops) {
    Bytes request(prefix_.size());
    prefix_.emit(
        request.data(),
        {.xid = xid, .ops = ops.count(), .sequence = sequences_[slot], .slot = slot_base_ + slot, .cache_this = false, .body = ops.size()});
    request.insert(request.end(), ops.bytes().begin(), ops.bytes().end());
    require(request.size() <= request_max_, "the server's sessions take no request as large as this row's");
    socket_.send(request);
}

// Reads the reply of a slot up to SEQUENCE's result; false if SEQUENCE itself must be repeated.
bool Session::read_on(std::uint32_t slot, Reply& reply) {
    read_rpc_reply(reply.results);
    reply.status = read_compound_head(reply.results).status;
    if (!read_sequence(reply.results, id_, slot_base_ + slot, sequences_[slot])) return false;
    ++sequences_[slot];
    return true;
}

Reply Session::call(const Ops& ops) {
    for (int attempt = 0; attempt < retries_max; ++attempt) {
        send_on(0, ++xid_, ops);
        Reply reply;
        reply.record = socket_.receive_record();
        reply.results = XdrReader(reply.record);
        require(reply.results.u32() == xid_, "a reply to another call");
        if (read_on(0, reply) && !is_not_yet(reply.status)) return reply;
        std::this_thread::sleep_for(retry_pause);
    }
    fail("the server still answers DELAY or GRACE after two minutes");
}

void Session::pipeline(std::size_t count, const std::function<Ops(std::size_t)>& make,
                       const std::function<void(std::size_t, XdrReader&)>& check) {
    int delays = 0;
    for (std::size_t begin = 0; begin < count; begin += slots()) {
        const std::uint32_t batch = static_cast<std::uint32_t>(std::min<std::size_t>(slots(), count - begin));
        const std::uint32_t first_xid = xid_ + 1;
        for (std::uint32_t i = 0; i < batch; ++i) send_on(i, ++xid_, make(begin + i));
        std::vector<std::uint32_t> delayed;
        for (std::uint32_t answered = 0; answered < batch; ++answered) {
            Reply reply;
            reply.record = socket_.receive_record();
            reply.results = XdrReader(reply.record);
            const std::uint32_t i = reply.results.u32() - first_xid;
            require(i < batch, "a reply to another call");
            if (!read_on(i, reply) || is_not_yet(reply.status)) {
                delayed.push_back(i);
            } else {
                check(begin + i, reply.results);
            }
        }
        for (const std::uint32_t i : delayed) {
            if (++delays > retries_max) fail("the server answers DELAY without end");
            Reply reply = call(make(begin + i));
            check(begin + i, reply.results);
        }
    }
}

void Session::destroy() {
    BareOps session(Op::destroy_session);
    session.out().fixed(id_);
    Reply reply = call_bare(socket_, bare_, ++xid_, session);
    for (int i = 0; i < retries_max && reply.status == nfs4err_delay; ++i) {  // another connection has a request under way
        std::this_thread::sleep_for(retry_pause);
        reply = call_bare(socket_, bare_, ++xid_, session);
    }
    expect_op(reply.results, Op::destroy_session);
    BareOps client(Op::destroy_clientid);
    client.out().u64(clientid_);
    call_bare(socket_, bare_, ++xid_, client);  // CLIENTID_BUSY while files are open: the lease ends it
}

Bytes look_up_path(Session& session, std::string_view path) {
    Ops ops;
    ops.putrootfh();
    std::size_t names = 0;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (name.empty()) continue;
        ops.lookup(name);
        ++names;
    }
    ops.getfh();
    Reply reply = session.call(ops);
    expect_op(reply.results, Op::putrootfh);
    for (std::size_t i = 0; i < names; ++i) expect_op(reply.results, Op::lookup);
    return read_getfh(reply.results);
}

Bytes make_directory(Session& session, View parent, std::string_view name) {
    Reply reply = session.call(Ops().putfh(parent).create_directory(name).getfh());
    expect_op(reply.results, Op::putfh);
    read_create(reply.results);
    return read_getfh(reply.results);
}

OpenFile open_file(Session& session, View directory, std::string_view owner, std::string_view name) {
    Reply reply = session.call(Ops().putfh(directory).open_existing(session.clientid(), owner, name).getfh());
    expect_op(reply.results, Op::putfh);
    OpenFile file;
    file.stateid = read_open(reply.results);
    file.handle = read_getfh(reply.results);
    return file;
}

std::vector<Bytes> create_files(Session& session, View directory, std::size_t count,
                                const std::function<std::string(std::size_t)>& name_of) {
    std::vector<Bytes> handles(count);
    session.pipeline(
        count,
        [&](std::size_t i) {
            const std::string owner = "set-up " + std::to_string(i % session.slots());
            return Ops().putfh(directory).open_new(session.clientid(), owner, name_of(i)).getfh().close(current_stateid);
        },
        [&](std::size_t i, XdrReader& in) {
            expect_op(in, Op::putfh);
            read_open(in);
            handles[i] = read_getfh(in);
            expect_op(in, Op::close);
        });
    return handles;
}

}  // namespace strata::bench

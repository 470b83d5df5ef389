// SPDX-License-Identifier: Apache-2.0
// Every request that an owner's sequence number is part of moves it, also one that is answered DENIED, DELAY or GRACE (9.1.7).
#include "tests/stress/client_v40.h"

#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "tests/bench/failure.h"

namespace strata::stress {

namespace {

using bench::Op;
using bench::XdrReader;
using bench::XdrWriter;

constexpr std::uint32_t err_delay = bench::nfs4err_delay, err_grace = bench::nfs4err_grace;
constexpr std::uint32_t write_lock = 2, result_confirm = 2;
constexpr auto retry_pause = std::chrono::milliseconds(50);
constexpr int retries_max = 1200;

// Asks until the answer is neither DELAY nor GRACE.
template <class Ask>
std::uint32_t ask_until_answered(Ask ask) {
    for (int i = 0; i < retries_max; ++i) {
        const std::uint32_t status = ask();
        if (!bench::is_not_yet(status)) return status;
        std::this_thread::sleep_for(retry_pause);
    }
    bench::fail("the server still answers DELAY or GRACE after a minute");
}

}  // namespace

ClientV40::ClientV40(const bench::Target& target, std::string name)
    : socket_(target.address), prefix_(bench::Prefix::bare(target.credential, 0)), name_(std::move(name)) {
    Ops set;
    XdrWriter out = set.op(Op::setclientid);
    out.u64(std::random_device{}());
    out.text(name_);
    out.u32(0x40000000);  // callback program
    out.text("tcp");
    out.text("127.0.0.1.0.9");  // nobody listens there
    out.u32(0);
    auto reply = call(set);
    expect_op(reply.results, Op::setclientid);
    clientid_ = reply.results.u64();
    const auto verifier = reply.results.u64();
    Ops confirm;
    XdrWriter arguments = confirm.op(Op::setclientid_confirm);
    arguments.u64(clientid_);
    arguments.u64(verifier);
    reply = call(confirm);
    expect_op(reply.results, Op::setclientid_confirm);
}

bench::Reply ClientV40::call(const Ops& ops) {
    Bytes request(prefix_.size());
    prefix_.emit(request.data(),
                 {.xid = ++xid_, .ops = ops.count(), .sequence = 0, .slot = 0, .cache_this = false, .body = ops.bytes().size()});
    request.insert(request.end(), ops.bytes().begin(), ops.bytes().end());
    socket_.send(request);
    bench::Reply reply;
    reply.record = socket_.receive_record();
    reply.results = XdrReader(reply.record);
    bench::require(reply.results.u32() == xid_, "a reply to another call");
    read_rpc_reply(reply.results);
    reply.status = read_compound_head(reply.results).status;
    return reply;
}

void ClientV40::open(View directory, std::string_view name) {
    std::uint32_t flags = 0;
    ask_until_answered([&] {
        Ops ops;
        XdrWriter out = ops.putfh(directory).op(Op::open);
        out.u32(open_sequence_++);
        out.u32(3);  // read and write
        out.u32(0);  // deny nothing
        out.u64(clientid_);
        out.text(name_);
        out.u32(0);  // OPEN4_NOCREATE
        out.u32(0);  // CLAIM_NULL
        out.text(name);
        auto reply = call(ops.getfh());
        XdrReader& in = reply.results;
        expect_op(in, Op::putfh);
        if (const auto status = status_of(in, Op::open, {err_delay, err_grace})) return status;
        file_.stateid = bench::read_stateid(in);
        in.u32();  // change_info: atomic
        in.u64();
        in.u64();
        flags = in.u32();
        const std::uint32_t words = in.u32();
        for (std::uint32_t i = 0; i < words && in.ok(); ++i) in.u32();
        bench::require(in.u32() == 0, "OPEN gave a delegation to a client without a callback path");
        file_.handle = bench::read_getfh(in);
        return ok;
    });
    lock_ = {};
    if ((flags & result_confirm) != 0) confirm_open();
}

void ClientV40::confirm_open() {
    Ops ops;
    XdrWriter out = ops.putfh(file_.handle).op(Op::open_confirm);
    put_stateid(out, file_.stateid);
    out.u32(open_sequence_++);
    auto reply = call(ops);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::open_confirm);
    file_.stateid = bench::read_stateid(reply.results);
}

void ClientV40::close() {
    ask_until_answered([&] {
        Ops ops;
        XdrWriter out = ops.putfh(file_.handle).op(Op::close);
        out.u32(open_sequence_++);
        put_stateid(out, file_.stateid);
        auto reply = call(ops);
        expect_op(reply.results, Op::putfh);
        return status_of(reply.results, Op::close, {err_delay});
    });
}

std::uint32_t ClientV40::lock(Lock range) {
    return ask_until_answered([&] {
        const bool new_owner = lock_.other == Stateid{}.other;
        Ops ops;
        XdrWriter out = ops.putfh(file_.handle).op(Op::lock);
        out.u32(write_lock);
        out.u32(0);  // no reclaim
        out.u64(range.offset);
        out.u64(range.length);
        out.u32(new_owner ? 1 : 0);
        if (new_owner) {
            out.u32(open_sequence_++);
            put_stateid(out, file_.stateid);
            out.u32(lock_sequence_++);
            out.u64(clientid_);
            out.text(name_);
        } else {
            put_stateid(out, lock_);
            out.u32(lock_sequence_++);
        }
        auto reply = call(ops);
        expect_op(reply.results, Op::putfh);
        const auto status = status_of(reply.results, Op::lock, {err_denied, err_delay, err_grace});
        if (status == ok) lock_ = bench::read_stateid(reply.results);
        return status;
    });
}

void ClientV40::unlock(Lock range) {
    ask_until_answered([&] {
        Ops ops;
        XdrWriter out = ops.putfh(file_.handle).op(Op::locku);
        out.u32(write_lock);
        out.u32(lock_sequence_++);
        put_stateid(out, lock_);
        out.u64(range.offset);
        out.u64(range.length);
        auto reply = call(ops);
        expect_op(reply.results, Op::putfh);
        const auto status = status_of(reply.results, Op::locku, {err_delay});
        if (status == ok) lock_ = bench::read_stateid(reply.results);
        return status;
    });
}

Bytes ClientV40::read(std::uint64_t offset, std::uint32_t count) {
    Bytes data;
    ask_until_answered([&] {
        auto reply = call(Ops().putfh(file_.handle).read(lock_, offset, count));
        expect_op(reply.results, Op::putfh);
        if (const auto status = status_of(reply.results, Op::read, {err_delay, err_grace})) return status;
        reply.results.u32();  // eof
        const View got = reply.results.opaque();
        bench::require(reply.results.ok() && got.size() == count, "READ: not as many bytes as were asked for");
        data.assign(got.begin(), got.end());
        return ok;
    });
    return data;
}

void ClientV40::write(std::uint64_t offset, View data) {
    ask_until_answered([&] {
        const auto count = static_cast<std::uint32_t>(data.size());
        auto reply = call(Ops().putfh(file_.handle).write_head(lock_, offset, bench::unstable4, count).append(data));
        expect_op(reply.results, Op::putfh);
        XdrReader ahead = reply.results;
        if (const auto status = status_of(ahead, Op::write, {err_delay, err_grace})) return status;
        bench::read_write(reply.results, count);
        return ok;
    });
}

void ClientV40::renew() {
    Ops ops;
    ops.op(Op::renew).u64(clientid_);
    auto reply = call(ops);
    expect_op(reply.results, Op::renew);
}

}  // namespace strata::stress

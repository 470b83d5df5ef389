// SPDX-License-Identifier: Apache-2.0
// Connections: pipelining, requests that wait, garbage, slowness, limits.
#include <algorithm>

#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

class Connections : public ServiceTest {
protected:
    std::uint64_t metric(const std::string& name) { return world.metrics().counter(name).value(); }
};

ByteVector null_call(std::uint32_t xid, std::uint32_t program = 100003, std::uint32_t version = 4, std::uint32_t procedure = 0) {
    return Wire::call_record(xid, {}, {}, procedure, program, version);
}

ByteVector root_getattr() {
    return Ops(0).putrootfh().add(op::getattr, [](XdrWriter& w) { write_mask(w, {Attribute::type}); }).arguments();
}

TEST_F(Connections, null_is_answered) {
    start();
    auto& wire = connect();
    wire.send(null_call(5));
    const auto answer = wire.answer();
    EXPECT_EQ(answer.xid, 5u);
    EXPECT_EQ(answer.accept_stat, 0u);
}

TEST_F(Connections, another_program_version_or_procedure_is_refused_by_rpc) {
    start();
    auto& wire = connect();
    wire.send(null_call(1, 100005));
    EXPECT_EQ(wire.answer().accept_stat, 1u);  // PROG_UNAVAIL
    wire.send(null_call(2, 100003, 3));
    auto mismatch = wire.answer();
    EXPECT_EQ(mismatch.accept_stat, 2u);  // PROG_MISMATCH, with the versions there are
    EXPECT_EQ(mismatch.in().u32(), 4u);
    EXPECT_EQ(mismatch.in().u32(), 4u);
    wire.send(null_call(3, 100003, 4, 9));
    EXPECT_EQ(wire.answer().accept_stat, 3u);  // PROC_UNAVAIL
}

TEST_F(Connections, an_unknown_flavor_is_an_auth_error) {
    start();
    auto& wire = connect();
    auto call = null_call(1);
    store_be32(&call[4 + 6 * 4], 6);  // RPCSEC_GSS
    wire.send(call);
    EXPECT_EQ(wire.answer().auth_stat, 2u);
}

TEST_F(Connections, pipelined_requests_are_all_answered) {
    start();
    auto& wire = connect();
    ByteVector burst;
    for (std::uint32_t xid = 1; xid <= 200; ++xid) {
        const auto record = Wire::call_record(xid, root_getattr(), {});
        burst.insert(burst.end(), record.begin(), record.end());
    }
    wire.send(burst);
    for (std::uint32_t xid = 1; xid <= 200; ++xid) {
        const auto answer = wire.answer();
        ASSERT_EQ(answer.xid, xid);
        ASSERT_EQ(answer.status, NfsStatus::ok);
    }
}

TEST_F(Connections, a_record_in_fragments_is_put_together) {
    start();
    auto& wire = connect();
    const auto record = Wire::call_record(77, root_getattr(), {});
    ByteVector pieces;
    for (std::size_t at = 4; at < record.size(); at += 10) {
        const auto size = std::min<std::size_t>(10, record.size() - at);
        const bool last = at + size == record.size();
        ByteVector mark(4);
        store_be32(mark.data(), static_cast<std::uint32_t>(size) | (last ? 0x80000000u : 0));
        pieces.insert(pieces.end(), mark.begin(), mark.end());
        pieces.insert(pieces.end(), record.begin() + static_cast<std::ptrdiff_t>(at),
                      record.begin() + static_cast<std::ptrdiff_t>(at + size));
    }
    wire.send(pieces);
    EXPECT_EQ(wire.answer().xid, 77u);
}

TEST_F(Connections, a_request_that_waits_does_not_hold_up_those_behind_it) {
    start();
    auto& wire = connect();
    fs.before_call = [this](std::string_view call) -> Task<> {
        if (call == "lookup") co_await world.clock().sleep_for(1s);
    };
    const auto began = world.clock().now();
    wire.send_call(1, Ops(0).putrootfh().lookup("data").lookup("nothing").arguments());
    wire.send_call(2, root_getattr());
    EXPECT_EQ(wire.answer().xid, 2u);
    EXPECT_LT(world.clock().now() - began, 1s);
    const auto late = wire.answer();
    EXPECT_EQ(late.xid, 1u);
    EXPECT_EQ(late.status, NfsStatus::noent);
    EXPECT_GE(world.clock().now() - began, 1s);
    EXPECT_EQ(metric("nfs_requests_suspended"), 1u);
}

TEST_F(Connections, replies_that_are_ready_do_not_wait_for_one_that_is_not) {
    start();
    auto& wire = connect();
    fs.before_call = [this](std::string_view call) -> Task<> {
        if (call == "lookup") co_await world.clock().sleep_for(1s);
    };
    auto burst = Wire::call_record(1, root_getattr(), {});
    const auto slow = Wire::call_record(2, Ops(0).putrootfh().lookup("data").lookup("x").arguments(), {});
    burst.insert(burst.end(), slow.begin(), slow.end());
    wire.send(burst);
    EXPECT_EQ(wire.answer(500ms).xid, 1u);
    EXPECT_EQ(wire.answer(5s).xid, 2u);
}

TEST_F(Connections, requests_in_flight_are_bounded_and_all_answered) {
    config.in_flight_requests_max = 4;
    start();
    auto& wire = connect();
    std::size_t running = 0, most = 0;
    fs.before_call = [&](std::string_view call) -> Task<> {
        if (call != "lookup") co_return;
        most = std::max(most, ++running);
        co_await world.clock().sleep_for(100ms);
        --running;
    };
    for (std::uint32_t xid = 1; xid <= 20; ++xid) wire.send_call(xid, Ops(0).putrootfh().lookup("data").lookup("x").arguments());
    std::vector<std::uint32_t> seen;
    for (int i = 0; i < 20; ++i) seen.push_back(wire.answer().xid);
    std::ranges::sort(seen);
    for (std::uint32_t xid = 1; xid <= 20; ++xid) EXPECT_EQ(seen[xid - 1], xid);
    EXPECT_GT(most, 1u);
    EXPECT_LE(most, 5u);
}

TEST_F(Connections, garbage_ends_the_connection_and_no_other) {
    start();
    auto& bad = connect();
    auto& good = connect();
    bad.send(ByteVector(64, std::byte{0x5a}));
    EXPECT_TRUE(bad.closed());
    EXPECT_EQ(metric("nfs_connections_garbage"), 1u);
    good.send(null_call(1));
    EXPECT_EQ(good.answer().xid, 1u);
}

TEST_F(Connections, a_record_larger_than_allowed_ends_the_connection) {
    start();
    auto& wire = connect();
    ByteVector mark(4);
    store_be32(mark.data(), 0x80000000u | (record_size_max + 1));
    wire.send(mark);
    EXPECT_TRUE(wire.closed());
}

TEST_F(Connections, fragments_without_end_end_the_connection) {
    start();
    auto& wire = connect();
    wire.send(ByteVector(4 * 5000, std::byte{0}));
    EXPECT_TRUE(wire.closed());
}

TEST_F(Connections, a_record_that_does_not_end_in_time_ends_the_connection) {
    config.record_timeout = 5s;
    start();
    auto& wire = connect();
    auto call = null_call(1);
    call.resize(call.size() - 4);
    wire.send(call);
    EXPECT_FALSE(wire.closed(4s));
    EXPECT_TRUE(wire.closed(2s));
    EXPECT_EQ(metric("nfs_connections_slow"), 1u);
}

TEST_F(Connections, the_idle_connection_of_a_client_with_state_stays_and_holds_no_buffer) {
    start();
    auto& wire = connect();
    TestClient client(wire, "idle");
    client.establish();
    EXPECT_EQ(open(client, {.create = true, .name = "f"}).status, NfsStatus::ok);
    pass(12h);
    EXPECT_EQ(pool.used_bytes(), 0u);
    EXPECT_EQ(client.call([](Ops& ops) { ops.putrootfh(); }).status, NfsStatus::ok);
}

TEST_F(Connections, who_has_no_lease_and_says_nothing_is_cut_off) {
    start();
    auto& silent = connect();
    EXPECT_FALSE(silent.closed(config.first_timeout - 1s));
    EXPECT_TRUE(silent.closed(2s));
    auto& known = connect();
    known.send(null_call(1));
    EXPECT_EQ(known.answer().xid, 1u);
    EXPECT_FALSE(known.closed(config.idle_timeout - 1s));
    EXPECT_TRUE(known.closed(2s));
    EXPECT_EQ(metric("nfs_connections_idle"), 2u);
    EXPECT_EQ(metric("nfs_connections_slow"), 0u);
}

TEST_F(Connections, at_the_bound_the_longest_idle_without_a_lease_goes) {
    config.connections_max = 4;
    start();
    auto& leased = connect();
    TestClient client(leased, "leased");
    client.establish();
    pass(1s);
    auto& oldest = connect();
    oldest.send(null_call(1));
    EXPECT_EQ(oldest.answer().xid, 1u);
    pass(1s);
    auto& newer = connect();
    newer.send(null_call(1));
    EXPECT_EQ(newer.answer().xid, 1u);
    pass(1s);
    auto& last = connect();
    last.send(null_call(2));
    EXPECT_EQ(last.answer().xid, 2u);
    EXPECT_TRUE(oldest.closed());
    EXPECT_EQ(client.call([](Ops& ops) { ops.putrootfh(); }).status, NfsStatus::ok);
}

TEST_F(Connections, when_the_peer_ends_nothing_is_left) {
    start();
    auto& wire = connect();
    wire.send(null_call(1));
    EXPECT_EQ(wire.answer().xid, 1u);
    EXPECT_EQ(server->connections(), 1u);
    wire.close();
    pass(1s);
    EXPECT_EQ(server->connections(), 0u);
    EXPECT_EQ(pool.used_bytes(), 0u);
}

TEST_F(Connections, stop_answers_what_is_in_flight_and_ends_all) {
    start();
    auto& idle = connect();
    auto& busy = connect();
    fs.before_call = [this](std::string_view call) -> Task<> {
        if (call == "lookup") co_await world.clock().sleep_for(500ms);
    };
    busy.send_call(9, Ops(0).putrootfh().lookup("data").lookup("x").arguments());
    pass(100ms);
    EXPECT_TRUE(world.run(server->stop(world.clock().now() + 10s)));
    EXPECT_EQ(busy.answer().xid, 9u);
    EXPECT_TRUE(busy.closed());
    EXPECT_TRUE(idle.closed());
    EXPECT_EQ(server->connections(), 0u);
}

TEST_F(Connections, a_reply_waits_until_what_it_says_is_durable) {
    start();
    auto& wire = connect();
    bool durable = false;
    fs.on_settle = [&]() -> Task<Result<>> {
        co_await world.clock().sleep_for(50ms);
        durable = true;
        co_return Result<>();
    };
    wire.send_call(1,
                   Ops(0).putrootfh().lookup("data").add(op::getattr, [](XdrWriter& w) { write_mask(w, {Attribute::type}); }).arguments());
    EXPECT_EQ(wire.answer().xid, 1u);
    EXPECT_TRUE(durable);
}

TEST_F(Connections, without_durability_there_is_no_reply) {
    start();
    auto& wire = connect();
    fs.on_settle = []() -> Task<Result<>> { co_return fail(Errc::fenced); };
    wire.send_call(1,
                   Ops(0).putrootfh().lookup("data").add(op::getattr, [](XdrWriter& w) { write_mask(w, {Attribute::type}); }).arguments());
    EXPECT_TRUE(wire.closed());
}

TEST_F(Connections, large_writes_arrive_whole) {
    start();
    auto& wire = connect();
    TestClient client(wire, "large");
    client.establish();
    const auto opened = open(client, {.create = true, .name = "big"});
    ASSERT_EQ(opened.status, NfsStatus::ok);
    const std::string data(1 << 20, 'x');
    auto written = client.call([&](Ops& ops) { ops.putfh(opened.handle).write(opened.stateid, 0, data); });
    EXPECT_EQ(written.next(op::putfh), NfsStatus::ok);
    ASSERT_EQ(written.next(op::write), NfsStatus::ok);
    EXPECT_EQ(written.in().u32(), data.size());
    auto answer = client.call([&](Ops& ops) { ops.putfh(opened.handle).read(opened.stateid, 100, 1 << 20); });
    EXPECT_EQ(answer.next(op::putfh), NfsStatus::ok);
    ASSERT_EQ(answer.next(op::read), NfsStatus::ok);
    EXPECT_TRUE(answer.in().boolean());
    EXPECT_EQ(answer.in().text(1 << 20), std::string_view(data).substr(100));
}

}  // namespace
}  // namespace strata::nfs

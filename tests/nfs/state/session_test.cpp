// SPDX-License-Identifier: Apache-2.0
// Sessions: exactly-once by slots, limits, binding, the end (RFC 8881, 2.10.6, 18.36, 18.46).
#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

class Sessions : public ServiceTest {
protected:
    void begin() {
        start();
        wire = &connect();
        client = std::make_unique<TestClient>(*wire, "sessions");
        client->establish();
    }
    Answers send(std::uint32_t sequence, const std::function<void(Ops&)>& more, bool cache_this = true, std::uint32_t slot = 0) {
        Ops ops;
        ops.sequence(client->session, sequence, slot, cache_this);
        more(ops);
        return wire->call(ops);
    }
    Wire* wire = nullptr;
    std::unique_ptr<TestClient> client;
};

const auto create_dir = [](Ops& ops) {
    ops.putrootfh().lookup("data").add(op::create, [](XdrWriter& w) {
        w.u32(2);
        w.text("dir");
        write_mask(w, {});
        w.u32(0);
    });
};

TEST_F(Sessions, a_retry_gets_the_first_reply_byte_by_byte) {
    begin();
    const auto first = send(2, create_dir);
    EXPECT_EQ(first.status, NfsStatus::ok);
    const auto calls = fs.calls();
    const auto retry = send(2, create_dir);
    EXPECT_EQ(retry.status, NfsStatus::ok);
    EXPECT_EQ(fs.calls(), calls);
    EXPECT_TRUE(std::equal(first.bytes().begin() + 4, first.bytes().end(), retry.bytes().begin() + 4, retry.bytes().end()));
    EXPECT_EQ(send(3, create_dir).status, NfsStatus::exist);
}

TEST_F(Sessions, a_cached_error_is_replayed_too) {
    begin();
    EXPECT_EQ(send(2, [](Ops& ops) { ops.putrootfh().lookup("nothing"); }).status, NfsStatus::noent);
    EXPECT_EQ(send(2, [](Ops& ops) { ops.putrootfh().lookup("nothing"); }).status, NfsStatus::noent);
}

TEST_F(Sessions, another_request_in_the_place_of_a_retry_is_found_out) {
    begin();
    EXPECT_EQ(send(2, create_dir).status, NfsStatus::ok);
    EXPECT_EQ(send(2, [](Ops& ops) { ops.putrootfh(); }).status, NfsStatus::seq_false_retry);
}

TEST_F(Sessions, a_retry_of_what_was_not_cached_is_told_so) {
    begin();
    EXPECT_EQ(send(2, create_dir, false).status, NfsStatus::ok);
    auto retry = send(2, create_dir, false);
    EXPECT_EQ(retry.status, NfsStatus::retry_uncached_rep);
    EXPECT_EQ(retry.count, 2u);
    EXPECT_EQ(send(3, [](Ops& ops) { ops.putrootfh(); }).status, NfsStatus::ok);
}

TEST_F(Sessions, sequences_out_of_order_are_refused) {
    begin();
    EXPECT_EQ(send(4, create_dir).status, NfsStatus::seq_misordered);
    EXPECT_EQ(send(0, create_dir).status, NfsStatus::seq_misordered);
    EXPECT_EQ(send(1, create_dir, true, 5).status, NfsStatus::ok);
}

TEST_F(Sessions, slots_past_the_last_are_refused) {
    begin();
    EXPECT_EQ(send(1, create_dir, true, 16).status, NfsStatus::badslot);
    Ops high;
    high.sequence(client->session, 2, 0, false, 16);
    EXPECT_EQ(wire->call(high).status, NfsStatus::bad_high_slot);
}

TEST_F(Sessions, a_retry_of_a_request_that_still_runs_is_delayed) {
    begin();
    fs.before_call = [this](std::string_view call) -> Task<> {
        if (call == "create") co_await world.clock().sleep_for(1s);
    };
    Ops ops;
    ops.sequence(client->session, 2, 0, true);
    create_dir(ops);
    wire->send_call(1, ops.arguments());
    wire->send_call(2, ops.arguments());
    const auto retry = wire->answer();
    EXPECT_EQ(retry.xid, 2u);
    EXPECT_EQ(retry.status, NfsStatus::delay);
    const auto first = wire->answer();
    EXPECT_EQ(first.xid, 1u);
    EXPECT_EQ(first.status, NfsStatus::ok);
}

TEST_F(Sessions, order_and_position_are_checked) {
    begin();
    EXPECT_EQ(wire->call(Ops().putrootfh()).status, NfsStatus::op_not_in_session);
    EXPECT_EQ(send(2, [this](Ops& ops) { ops.sequence(client->session, 3); }).status, NfsStatus::sequence_pos);
    Ops two;
    two.add(op::destroy_clientid, [](XdrWriter& w) { w.u64(0); }).putrootfh();
    EXPECT_EQ(wire->call(two).status, NfsStatus::not_only_op);
    SessionId unknown{};
    EXPECT_EQ(wire->call(Ops().sequence(unknown, 1)).status, NfsStatus::badsession);
}

TEST_F(Sessions, binding_a_connection_is_not_for_compounds_with_more) {
    begin();
    EXPECT_EQ(send(2,
                   [this](Ops& ops) {
                       ops.add(op::bind_conn, [this](XdrWriter& w) {
                           w.write(client->session);
                           w.u32(3);
                           w.boolean(false);
                       });
                   })
                  .status,
              NfsStatus::not_only_op);
}

TEST_F(Sessions, what_cannot_be_answered_is_not_done) {
    begin();
    client->max_response = 256;
    ASSERT_EQ(client->create_session(), NfsStatus::ok);
    const auto objects = fs.objects();
    EXPECT_EQ(send(
                  1,
                  [](Ops& ops) {
                      ops.putrootfh().lookup("data");
                      for (int i = 0; i < 15; ++i) ops.add(op::savefh);
                      ops.add(op::open, [](XdrWriter& w) { OpenRequest{.create = true, .name = "f"}.write(w); });
                  },
                  false)
                  .status,
              NfsStatus::rep_too_big);
    EXPECT_EQ(fs.objects(), objects);
    EXPECT_EQ(fs.pins(), 0u);
}

TEST_F(Sessions, a_session_serves_every_connection) {
    begin();
    auto& second = connect();
    Ops bind;
    bind.add(op::bind_conn, [this](XdrWriter& w) {
        w.write(client->session);
        w.u32(3);
        w.boolean(false);
    });
    auto bound = second.call(bind);
    ASSERT_EQ(bound.next(op::bind_conn), NfsStatus::ok);
    bound.in().fixed(16);
    EXPECT_EQ(bound.in().u32(), 3u);
    EXPECT_EQ(second.call(Ops().sequence(client->session, 1, 3)).status, NfsStatus::ok);
    auto& third = connect();
    EXPECT_EQ(third.call(Ops().sequence(client->session, 2, 3)).status, NfsStatus::ok);
}

TEST_F(Sessions, a_destroyed_session_is_gone_for_all_connections) {
    begin();
    auto& second = connect();
    EXPECT_EQ(second.call(Ops().sequence(client->session, 1, 3)).status, NfsStatus::ok);
    Ops destroy;
    destroy.add(op::destroy_session, [this](XdrWriter& w) { w.write(client->session); });
    EXPECT_EQ(wire->call(destroy).status, NfsStatus::ok);
    EXPECT_EQ(second.call(Ops().sequence(client->session, 2, 3)).status, NfsStatus::badsession);
    EXPECT_EQ(wire->call(destroy).status, NfsStatus::badsession);
}

TEST_F(Sessions, create_session_is_replayed_by_its_sequence) {
    begin();
    const auto first = client->session;
    --client->create_sequence;
    EXPECT_EQ(client->create_session(), NfsStatus::ok);
    EXPECT_EQ(client->session, first);
    EXPECT_EQ(client->create_session(), NfsStatus::ok);
    EXPECT_NE(client->session, first);
    client->create_sequence += 5;
    EXPECT_EQ(client->create_session(), NfsStatus::seq_misordered);
}

TEST_F(Sessions, a_client_cannot_have_sessions_without_bound) {
    config.sessions_per_client_max = 3;
    begin();
    EXPECT_EQ(client->create_session(), NfsStatus::ok);
    EXPECT_EQ(client->create_session(), NfsStatus::ok);
    EXPECT_EQ(client->create_session(), NfsStatus::nospc);
}

}  // namespace
}  // namespace strata::nfs

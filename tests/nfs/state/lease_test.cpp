// SPDX-License-Identifier: Apache-2.0
// Leases, courtesy, restarts and grace, on virtual time (RFC 8881, 8.3, 8.4).
#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

class Leases : public ServiceTest {
protected:
    std::size_t client_records() { return records.tables["nfs_clients"].size(); }
    void reconnect(TestClient& client) { client.wire = &connect(); }
};

TEST_F(Leases, a_silent_client_keeps_its_opens_until_somebody_wants_them) {
    start();
    auto& wire = connect();
    TestClient a(wire, "a"), b(wire, "b");
    a.establish();
    const auto held = open(a, {.deny = 3, .create = true, .name = "f"});
    pass(config.lease * 3);
    EXPECT_EQ(write(a, held.handle, held.stateid, "back again"), NfsStatus::ok);
    b.establish();
    EXPECT_EQ(open(b, {.name = "f"}).status, NfsStatus::share_denied);
    pass(config.lease * 3);
    b.establish();
    EXPECT_EQ(open(b, {.name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::badsession);
    EXPECT_EQ(client_records(), 1u);
}

TEST_F(Leases, the_locks_of_a_silent_client_give_way) {
    start();
    auto& wire = connect();
    TestClient a(wire, "a"), b(wire, "b");
    a.establish();
    const auto of_a = open(a, {.create = true, .name = "f"});
    EXPECT_EQ(lock(a, of_a.handle, {.stateid = of_a.stateid}), NfsStatus::ok);
    b.establish();
    const auto of_b = open(b, {.name = "f"});
    EXPECT_EQ(lock(b, of_b.handle, {.stateid = of_b.stateid}), NfsStatus::denied);
    for (int i = 0; i < 4; ++i) {
        pass(config.lease / 2);
        EXPECT_EQ(b.call([](Ops&) {}).status, NfsStatus::ok);
    }
    EXPECT_EQ(lock(b, of_b.handle, {.stateid = of_b.stateid}), NfsStatus::ok);
}

TEST_F(Leases, a_silent_client_without_state_is_forgotten) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    pass(config.lease * 2);
    EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::badsession);
    EXPECT_EQ(server->service().clients.size(), 0u);
}

TEST_F(Leases, courtesy_ends_some_time) {
    config.courtesy = 100s;
    start();
    TestClient a(connect(), "a");
    a.establish();
    EXPECT_EQ(open(a, {.create = true, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(client_records(), 1u);
    pass(90s);
    EXPECT_EQ(server->service().clients.size(), 1u);
    pass(30s);
    EXPECT_EQ(server->service().clients.size(), 0u);
    EXPECT_EQ(client_records(), 0u);
    EXPECT_EQ(fs.pins(), 0u);
}

TEST_F(Leases, the_record_is_written_by_the_first_open) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    EXPECT_EQ(client_records(), 0u);
    const auto opened = open(a, {.create = true, .name = "f"});
    EXPECT_EQ(client_records(), 1u);
    const auto puts = records.puts;
    EXPECT_EQ(open(a, {.create = true, .name = "g"}).status, NfsStatus::ok);
    EXPECT_EQ(records.puts, puts);
}

TEST_F(Leases, without_records_there_is_no_grace) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    restart();
    EXPECT_FALSE(server->service().grace.active());
}

TEST_F(Leases, after_a_restart_a_client_takes_back_what_it_had) {
    start();
    TestClient a(connect(), "a"), b(connect(), "b");
    a.establish();
    const auto before = open(a, {.deny = 2, .create = true, .name = "f"});
    restart();
    reconnect(a);
    reconnect(b);
    ASSERT_TRUE(server->service().grace.active());
    // Somebody new has to wait.
    b.establish();
    EXPECT_EQ(open(b, {.name = "f"}).status, NfsStatus::grace);
    EXPECT_EQ(write(b, before.handle, Stateid::anonymous(), "x"), NfsStatus::grace);
    // The client finds its session gone, and comes back.
    EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::badsession);
    a.establish(false);
    EXPECT_EQ(write(a, before.handle, before.stateid, "x"), NfsStatus::bad_stateid);
    auto answers = a.call(
        [&](Ops& ops) { ops.putfh(before.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.deny = 2, .claim = 1}.write(w); }); });
    EXPECT_EQ(answers.next(op::putfh), NfsStatus::ok);
    ASSERT_EQ(answers.next(op::open), NfsStatus::ok);
    Stateid again;
    answers.in().read(again);
    EXPECT_EQ(lock(a, before.handle, {.reclaim = true, .stateid = again}), NfsStatus::ok);
    EXPECT_EQ(lock(a, before.handle, {.offset = 0, .length = 1, .stateid = again, .owner = "new"}), NfsStatus::grace);
    // It was the only one: grace ends with its word.
    EXPECT_EQ(a.reclaim_complete(), NfsStatus::ok);
    EXPECT_FALSE(server->service().grace.active());
    EXPECT_EQ(open(b, {.name = "f"}).status, NfsStatus::share_denied);
    EXPECT_EQ(open(b, {.access = 1, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(client_records(), 2u);
}

TEST_F(Leases, a_reclaim_gives_nobody_a_right_that_he_has_not) {
    start();
    auto& wire = connect();
    TestClient owner(wire, "owner", {1000, 1000}), other(wire, "other", {2000, 2000});
    owner.establish();
    other.establish();
    const auto secret = open(owner, {.create = true, .mode = 0, .name = "secret"});
    ASSERT_EQ(secret.status, NfsStatus::ok);
    ASSERT_EQ(open(other, {.create = true, .name = "own"}).status, NfsStatus::ok);
    restart();
    for (auto* client : {&owner, &other}) {
        reconnect(*client);
        client->establish(false);
        auto answers =
            client->call([&](Ops& ops) { ops.putfh(secret.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.claim = 1}.write(w); }); });
        EXPECT_EQ(answers.status, client == &owner ? NfsStatus::ok : NfsStatus::access);
    }
}

TEST_F(Leases, who_had_nothing_cannot_reclaim) {
    start();
    TestClient a(connect(), "a"), b(connect(), "b");
    a.establish();
    const auto before = open(a, {.create = true, .name = "f"});
    restart();
    reconnect(b);
    b.establish(false);
    auto answers =
        b.call([&](Ops& ops) { ops.putfh(before.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.claim = 1}.write(w); }); });
    EXPECT_EQ(answers.status, NfsStatus::reclaim_bad);
}

TEST_F(Leases, grace_ends_by_time_and_forgets_who_did_not_come_back) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    const auto before = open(a, {.create = true, .name = "f"});
    restart();
    EXPECT_EQ(client_records(), 1u);
    pass(config.grace + 10s);
    EXPECT_FALSE(server->service().grace.active());
    EXPECT_EQ(client_records(), 0u);
    reconnect(a);
    a.establish(false);
    auto late = a.call([&](Ops& ops) { ops.putfh(before.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.claim = 1}.write(w); }); });
    EXPECT_EQ(late.status, NfsStatus::no_grace);
}

TEST_F(Leases, a_second_restart_in_grace_loses_nobody) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    const auto before = open(a, {.create = true, .name = "f"});
    restart();
    pass(5s);
    restart();
    reconnect(a);
    a.establish(false);
    auto answers =
        a.call([&](Ops& ops) { ops.putfh(before.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.claim = 1}.write(w); }); });
    EXPECT_EQ(answers.status, NfsStatus::ok);
}

TEST_F(Leases, who_took_back_only_a_part_could_not_after_another_restart) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    const auto before = open(a, {.create = true, .name = "f"});
    restart();
    reconnect(a);
    a.establish(false);
    auto answers =
        a.call([&](Ops& ops) { ops.putfh(before.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.claim = 1}.write(w); }); });
    EXPECT_EQ(answers.status, NfsStatus::ok);
    for (int i = 0; i < 6; ++i) {
        pass(config.lease / 2);
        EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::ok);
    }
    EXPECT_FALSE(server->service().grace.active());
    EXPECT_EQ(client_records(), 0u);
    // Its late word that this was all makes it a client like any other.
    EXPECT_EQ(a.reclaim_complete(), NfsStatus::ok);
    EXPECT_EQ(client_records(), 1u);
}

TEST_F(Leases, grace_forgets_all_the_lost_at_once_and_not_before_it_can) {
    start();
    auto& wire = connect();
    for (int i = 0; i < 20; ++i) {
        TestClient a(wire, "client" + std::to_string(i));
        a.establish();
        EXPECT_EQ(open(a, {.create = true, .name = "f"}).status, NfsStatus::ok);
    }
    restart();
    records.broken = true;
    pass(config.grace + 10s);
    EXPECT_TRUE(server->service().grace.active());
    EXPECT_EQ(client_records(), 20u);
    records.broken = false;
    const auto erases = records.erases;
    pass(10s);
    EXPECT_FALSE(server->service().grace.active());
    EXPECT_EQ(client_records(), 0u);
    EXPECT_EQ(records.erases, erases + 1);
}

TEST_F(Leases, a_client_whose_record_cannot_be_erased_keeps_what_it_holds) {
    start();
    auto& wire = connect();
    TestClient a(wire, "a"), b(wire, "b");
    a.establish();
    EXPECT_EQ(open(a, {.deny = 3, .create = true, .name = "f"}).status, NfsStatus::ok);
    pass(config.lease * 2);
    b.establish();
    EXPECT_EQ(open(b, {.create = true, .name = "g"}).status, NfsStatus::ok);
    records.broken = true;
    EXPECT_EQ(open(b, {.owner = "other", .name = "f"}).status, NfsStatus::delay);
    EXPECT_EQ(server->service().clients.size(), 2u);
    records.broken = false;
    EXPECT_EQ(open(b, {.owner = "other", .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(client_records(), 1u);
}

TEST_F(Leases, a_file_is_not_made_for_who_cannot_open_it) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    records.broken = true;
    EXPECT_EQ(open(a, {.create = true, .how = guarded, .name = "f"}).status, NfsStatus::delay);
    records.broken = false;
    EXPECT_EQ(open(a, {.create = true, .how = guarded, .name = "f"}).status, NfsStatus::ok);
}

TEST_F(Leases, what_a_silent_client_denies_the_anonymous_gives_way) {
    start();
    auto& wire = connect();
    TestClient a(wire, "a"), b(wire, "b");
    a.establish();
    const auto held = open(a, {.access = 1, .deny = 3, .create = true, .name = "f"});
    b.establish();
    EXPECT_EQ(write(b, held.handle, Stateid::anonymous(), "x"), NfsStatus::locked);
    pass(config.lease * 2);
    b.establish();
    EXPECT_EQ(write(b, held.handle, Stateid::anonymous(), "x"), NfsStatus::ok);
    EXPECT_EQ(fs.pins(), 0u);
}

TEST_F(Leases, an_id_that_was_never_confirmed_ends_nobodys_right_to_reclaim) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    const auto before = open(a, {.create = true, .name = "f"});
    restart();
    reconnect(a);
    TestClient stranger(*a.wire, "a", {2000, 2000});
    EXPECT_EQ(stranger.exchange_id(), NfsStatus::ok);
    EXPECT_EQ(a.wire->call(Ops().add(op::destroy_clientid, [&](XdrWriter& w) { w.u64(stranger.id); })).status, NfsStatus::ok);
    EXPECT_TRUE(server->service().grace.active());
    a.establish(false);
    auto answers =
        a.call([&](Ops& ops) { ops.putfh(before.handle).add(op::open, [](XdrWriter& w) { OpenRequest{.claim = 1}.write(w); }); });
    EXPECT_EQ(answers.status, NfsStatus::ok);
}

TEST_F(Leases, a_client_that_comes_back_for_nothing_leaves_no_record) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    EXPECT_EQ(open(a, {.create = true, .name = "f"}).status, NfsStatus::ok);
    restart();
    reconnect(a);
    a.establish();
    EXPECT_FALSE(server->service().grace.active());
    EXPECT_EQ(a.wire->call(Ops().add(op::destroy_session, [&](XdrWriter& w) { w.write(a.session); })).status, NfsStatus::ok);
    EXPECT_EQ(a.wire->call(Ops().add(op::destroy_clientid, [&](XdrWriter& w) { w.u64(a.id); })).status, NfsStatus::ok);
    EXPECT_EQ(client_records(), 0u);
}

TEST_F(Leases, handles_outlive_restarts) {
    start();
    TestClient a(connect(), "a");
    a.establish();
    const auto opened = open(a, {.create = true, .name = "f"});
    restart();
    reconnect(a);
    a.establish();
    EXPECT_EQ(a.call([&](Ops& ops) { ops.putfh(opened.handle).getfh(); }).status, NfsStatus::ok);
    auto altered = opened.handle;
    altered[20] ^= std::byte{1};
    EXPECT_EQ(a.call([&](Ops& ops) { ops.putfh(altered); }).status, NfsStatus::badhandle);
}

}  // namespace
}  // namespace strata::nfs

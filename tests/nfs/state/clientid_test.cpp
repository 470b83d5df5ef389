// SPDX-License-Identifier: Apache-2.0
// Client ids: the cases of EXCHANGE_ID (RFC 8881, 18.35.4) and the end of a client.
#include <memory>
#include <string>
#include <vector>

#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

constexpr std::uint32_t update = 0x40000000, confirmed = 0x80000000;

class ClientIds : public ServiceTest {
protected:
    void SetUp() override {
        start();
        wire = &connect();
    }
    NfsStatus destroy(ClientId id) {
        return wire->call(Ops().add(op::destroy_clientid, [&](XdrWriter& w) { w.u64(id); })).status;
    }
    Wire* wire = nullptr;
};

TEST_F(ClientIds, an_unconfirmed_client_that_asks_again_is_a_new_one) {
    TestClient a(*wire, "host"), b(*wire, "host");
    EXPECT_EQ(a.exchange_id(), NfsStatus::ok);
    EXPECT_EQ(b.exchange_id(), NfsStatus::ok);
    EXPECT_NE(a.id, b.id);
    EXPECT_EQ(a.create_session(), NfsStatus::stale_clientid);
    EXPECT_EQ(b.create_session(), NfsStatus::ok);
}

TEST_F(ClientIds, a_confirmed_client_that_asks_again_gets_its_id) {
    TestClient a(*wire, "host"), b(*wire, "host");
    a.establish();
    EXPECT_EQ(b.exchange_id(), NfsStatus::ok);
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(b.exchange_flags & confirmed, confirmed);
}

TEST_F(ClientIds, a_rebooted_client_ends_its_former_self_when_it_confirms) {
    TestClient a(*wire, "host"), b(*wire, "host");
    a.establish();
    const auto opened = open(a, {.deny = 3, .create = true, .name = "f"});
    EXPECT_EQ(opened.status, NfsStatus::ok);
    b.verifier = 8;
    EXPECT_EQ(b.exchange_id(), NfsStatus::ok);
    EXPECT_NE(a.id, b.id);
    EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::ok);
    b.establish();
    EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::badsession);
    EXPECT_EQ(open(b, {.name = "f"}).status, NfsStatus::ok);
}

TEST_F(ClientIds, somebody_elses_owner_string_is_refused_while_it_is_in_use) {
    TestClient a(*wire, "host", {1000, 1000}), b(*wire, "host", {2000, 2000});
    a.establish();
    EXPECT_EQ(open(a, {.create = true, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(b.exchange_id(), NfsStatus::clid_inuse);
    pass(config.lease + 5s);
    EXPECT_EQ(b.exchange_id(), NfsStatus::ok);
    EXPECT_EQ(a.call([](Ops&) {}).status, NfsStatus::badsession);
}

TEST_F(ClientIds, an_update_needs_a_confirmed_record_of_the_same_instance_and_principal) {
    TestClient a(*wire, "host", {1000, 1000});
    EXPECT_EQ(a.exchange_id(update), NfsStatus::noent);
    a.establish();
    EXPECT_EQ(a.exchange_id(update), NfsStatus::ok);
    TestClient other(*wire, "host", {2000, 2000});
    EXPECT_EQ(other.exchange_id(update), NfsStatus::perm);
    a.verifier = 99;
    EXPECT_EQ(a.exchange_id(update), NfsStatus::not_same);
}

TEST_F(ClientIds, undefined_flags_are_refused) {
    TestClient a(*wire, "host");
    EXPECT_EQ(a.exchange_id(0x8), NfsStatus::inval);
    EXPECT_EQ(a.exchange_id(confirmed), NfsStatus::inval);
}

TEST_F(ClientIds, a_client_with_sessions_is_not_destroyed) {
    TestClient a(*wire, "host");
    a.establish();
    EXPECT_EQ(destroy(a.id), NfsStatus::clientid_busy);
    EXPECT_EQ(wire->call(Ops().add(op::destroy_session, [&](XdrWriter& w) { w.write(a.session); })).status, NfsStatus::ok);
    EXPECT_EQ(destroy(a.id), NfsStatus::ok);
    EXPECT_EQ(destroy(a.id), NfsStatus::stale_clientid);
}

TEST_F(ClientIds, ids_of_before_a_restart_are_stale) {
    TestClient a(*wire, "host");
    EXPECT_EQ(a.exchange_id(), NfsStatus::ok);
    restart();
    a.wire = &connect();
    EXPECT_EQ(a.create_session(), NfsStatus::stale_clientid);
}

TEST_F(ClientIds, locking_before_reclaim_complete_meets_grace) {
    TestClient a(*wire, "host");
    a.establish(false);
    EXPECT_EQ(open(a, {.create = true, .name = "f"}).status, NfsStatus::grace);
    EXPECT_EQ(a.reclaim_complete(), NfsStatus::ok);
    EXPECT_EQ(open(a, {.create = true, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(a.reclaim_complete(), NfsStatus::complete_already);
}

class FewClients : public ServiceTest {
protected:
    FewClients() {
        config.clients_max = 3;
        config.state_bytes_max = 16 << 10;
        config.session_bytes_max = 64 << 10;
        config.sessions_per_client_max = 100;
        start();
        wire = &connect();
    }
    Wire* wire = nullptr;
};

TEST_F(FewClients, ids_that_nobody_confirms_keep_no_one_out) {
    TestClient real(*wire, "real");
    real.establish();
    TestClient first(*wire, "stranger");
    EXPECT_EQ(first.exchange_id(), NfsStatus::ok);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(TestClient(*wire, "stranger" + std::to_string(i)).exchange_id(), NfsStatus::ok);
    EXPECT_LE(server->service().clients.size(), 3u);
    EXPECT_EQ(first.create_session(), NfsStatus::stale_clientid);
    EXPECT_EQ(real.call([](Ops&) {}).status, NfsStatus::ok);
}

TEST_F(FewClients, the_silent_make_room_and_the_living_do_not) {
    std::vector<std::unique_ptr<TestClient>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<TestClient>(*wire, "client" + std::to_string(i)));
        clients.back()->establish();
        EXPECT_EQ(open(*clients.back(), {.create = true, .name = "f" + std::to_string(i)}).status, NfsStatus::ok);
    }
    TestClient next(*wire, "next");
    EXPECT_EQ(next.exchange_id(), NfsStatus::delay);
    for (int i = 0; i < 4; ++i) {
        pass(config.lease / 2);
        EXPECT_EQ(clients[0]->call([](Ops&) {}).status, NfsStatus::ok);
    }
    next.establish();
    EXPECT_EQ(clients[0]->call([](Ops&) {}).status, NfsStatus::ok);
    EXPECT_EQ(clients[1]->call([](Ops&) {}).status, NfsStatus::badsession);
    EXPECT_EQ(records.tables["nfs_clients"].size(), 1u);
}

TEST_F(FewClients, opens_of_all_clients_together_are_bounded) {
    TestClient greedy(*wire, "greedy"), other(*wire, "other");
    greedy.establish();
    other.establish();
    auto status = NfsStatus::ok;
    std::vector<OpenResult> opens;
    for (int i = 0; i < 100 && status == NfsStatus::ok; ++i) {
        opens.push_back(open(greedy, {.create = true, .name = "f" + std::to_string(i)}));
        status = opens.back().status;
    }
    EXPECT_EQ(status, NfsStatus::delay);
    opens.pop_back();
    EXPECT_LE(opens.size(), 20u);
    EXPECT_EQ(open(other, {.create = true, .name = "g"}).status, NfsStatus::delay);
    for (const auto& opened : opens) EXPECT_EQ(close(greedy, opened), NfsStatus::ok);
    EXPECT_EQ(server->service().state_bytes.used(), 0u);
    EXPECT_EQ(open(other, {.create = true, .name = "g"}).status, NfsStatus::ok);
}

TEST_F(FewClients, sessions_of_all_clients_together_are_bounded) {
    TestClient client(*wire, "client");
    ASSERT_EQ(client.exchange_id(), NfsStatus::ok);
    auto status = NfsStatus::ok;
    int made = 0;
    for (; made < 100 && status == NfsStatus::ok; ++made) status = client.create_session();
    EXPECT_EQ(status, NfsStatus::delay);
    EXPECT_GT(made, 35);  // the later ones are smaller: 34 of the first one's size would be all
    EXPECT_LE(server->service().session_bytes.used(), config.session_bytes_max);
}

TEST_F(FewClients, replies_are_kept_within_a_bound_and_what_could_not_be_kept_is_not_begun) {
    TestClient client(*wire, "client");
    client.establish();
    const auto send = [&](std::uint32_t slot, bool keep) {
        Ops ops;
        ops.sequence(client.session, client.slots[slot] + 1, slot, keep).putrootfh();
        const auto status = wire->call(ops).status;
        if (status == NfsStatus::ok) ++client.slots[slot];
        return status;
    };
    // What may be kept of one reply is 4 KiB; of this one it is 64 bytes.
    const auto idle = server->service().session_bytes.used();
    for (std::uint32_t slot = 0; slot < 16; ++slot) EXPECT_EQ(send(slot, true), NfsStatus::ok);
    const auto kept = server->service().session_bytes.used() - idle;
    EXPECT_GE(kept, 16u * 60);
    EXPECT_LE(kept, 16u * 100);

    auto others = server->service().session_bytes.take(config.session_bytes_max - server->service().session_bytes.used() - 1000);
    ASSERT_TRUE(others);
    EXPECT_EQ(send(3, true), NfsStatus::delay);
    EXPECT_EQ(send(3, false), NfsStatus::ok);
    EXPECT_EQ(send(4, true), NfsStatus::delay);
    others.reset();
    EXPECT_EQ(send(4, true), NfsStatus::ok);
    for (std::uint32_t slot = 0; slot < 16; ++slot) EXPECT_EQ(send(slot, false), NfsStatus::ok);
    EXPECT_EQ(server->service().session_bytes.used(), idle);
}

TEST_F(FewClients, ids_and_stateids_do_not_count_up) {
    TestClient a(*wire, "a"), b(*wire, "b");
    a.establish();
    b.establish();
    EXPECT_NE(static_cast<std::uint32_t>(b.id), static_cast<std::uint32_t>(a.id) + 1);
    const auto f = open(a, {.create = true, .name = "f"}), g = open(a, {.create = true, .name = "g"});
    EXPECT_NE(load_be32(&g.stateid.other[8]), load_be32(&f.stateid.other[8]) + 1);
}

TEST(ClientTable, who_found_a_client_before_another_replaced_it_sees_that_it_is_gone) {
    SessionTable sessions;
    vfs::FileStateTable files;
    ClientTable table(sessions, files, 10s, 10);
    table.begin(1, 42);
    const Instant now{1'000'000'000};
    const auto first = table.exchange_id({.owner = "host"}, now).client;
    const auto second = table.exchange_id({.owner = "host"}, now).client;
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(first->gone);
    EXPECT_EQ(table.confirm(first), nullptr);
    EXPECT_FALSE(first->confirmed);
    EXPECT_EQ(table.confirmed_of(1, "host"), nullptr);
    table.confirm(second);
    EXPECT_EQ(table.confirmed_of(1, "host"), second);
    EXPECT_TRUE(table.was_ours(first->id));
    const auto third = table.exchange_id({.owner = "host", .verifier = to_verifier(9)}, now).client;
    EXPECT_EQ(table.confirm(third), second);
    EXPECT_TRUE(second->gone);
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Minor version 0: client ids, owner sequences and their replays, the reply cache (RFC 7530, 9 and 16.33).
#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

class Version40 : public ServiceTest {
protected:
    void SetUp() override {
        start();
        wire = &connect();
        set_client();
    }
    void set_client() {
        auto set = wire->call(Ops(0).add(op::setclientid, [](XdrWriter& w) {
            w.write(to_verifier(1));
            w.text("host");
            w.u32(0);
            w.text("tcp");
            w.text("127.0.0.1.0.1");
            w.u32(0);
        }));
        ASSERT_EQ(set.next(op::setclientid), NfsStatus::ok);
        client = set.in().u64();
        Verifier confirm;
        set.in().read(confirm);
        EXPECT_EQ(confirm_with({}), NfsStatus::stale_clientid);
        EXPECT_EQ(confirm_with(confirm), NfsStatus::ok);
        EXPECT_EQ(confirm_with(confirm), NfsStatus::ok);
    }
    NfsStatus confirm_with(const Verifier& verifier) {
        return wire
            ->call(Ops(0).add(op::setclientid_confirm,
                              [&](XdrWriter& w) {
                                  w.u64(client);
                                  w.write(verifier);
                              }))
            .status;
    }
    Answers open_at(std::uint32_t seqid, const std::string& name = "f") {
        return wire->call(
            Ops(0)
                .putrootfh()
                .lookup("data")
                .add(op::open, [&](XdrWriter& w) { OpenRequest{.seqid = seqid, .client = client, .create = true, .name = name}.write(w); })
                .getfh());
    }
    OpenResult result_of(Answers answers) {
        OpenResult r;
        EXPECT_EQ(answers.next(op::putrootfh), NfsStatus::ok);
        EXPECT_EQ(answers.next(op::lookup), NfsStatus::ok);
        r.status = answers.next(op::open);
        if (r.status != NfsStatus::ok) return r;
        answers.in().read(r.stateid);
        answers.in().fixed(20);
        r.flags = answers.in().u32();
        read_mask(answers.in());
        answers.in().u32();
        EXPECT_EQ(answers.next(op::getfh), NfsStatus::ok);
        const auto handle = answers.in().opaque(fh_size_max);
        r.handle.assign(handle.begin(), handle.end());
        return r;
    }
    Answers with_stateid(std::uint32_t code, OpenResult& opened, std::uint32_t seqid) {
        auto answers = wire->call(Ops(0).putfh(opened.handle).add(code, [&](XdrWriter& w) {
            if (code == op::close) w.u32(seqid);
            w.write(opened.stateid);
            if (code != op::close) w.u32(seqid);
        }));
        return answers;
    }
    void confirm_open(OpenResult& opened, std::uint32_t seqid) {
        auto answers = with_stateid(op::open_confirm, opened, seqid);
        EXPECT_EQ(answers.next(op::putfh), NfsStatus::ok);
        ASSERT_EQ(answers.next(op::open_confirm), NfsStatus::ok);
        answers.in().read(opened.stateid);
    }
    NfsStatus write_it(const OpenResult& opened) { return wire->call(Ops(0).putfh(opened.handle).write(opened.stateid, 0, "x")).status; }

    Wire* wire = nullptr;
    ClientId client = 0;
};

TEST_F(Version40, a_new_owner_confirms_before_its_open_counts) {
    auto opened = result_of(open_at(5));
    ASSERT_EQ(opened.status, NfsStatus::ok);
    EXPECT_EQ(opened.flags & 2, 2u);
    EXPECT_EQ(write_it(opened), NfsStatus::bad_stateid);
    confirm_open(opened, 6);
    EXPECT_EQ(write_it(opened), NfsStatus::ok);
    const auto second = result_of(open_at(7, "g"));
    EXPECT_EQ(second.flags & 2, 0u);
}

TEST_F(Version40, a_retransmitted_open_gets_the_first_reply) {
    auto opened = result_of(open_at(5));
    confirm_open(opened, 6);
    const auto first = result_of(open_at(7, "g"));
    const auto calls = fs.calls();
    const auto again = result_of(open_at(7, "g"));
    EXPECT_EQ(again.stateid, first.stateid);
    EXPECT_EQ(again.handle, first.handle);
    EXPECT_EQ(fs.calls(), calls + 0u);
    EXPECT_EQ(result_of(open_at(9, "h")).status, NfsStatus::bad_seqid);
}

TEST_F(Version40, a_retransmitted_close_gets_the_first_reply) {
    auto opened = result_of(open_at(5));
    confirm_open(opened, 6);
    EXPECT_EQ(with_stateid(op::close, opened, 7).status, NfsStatus::ok);
    EXPECT_EQ(with_stateid(op::close, opened, 7).status, NfsStatus::ok);
    EXPECT_EQ(with_stateid(op::close, opened, 8).status, NfsStatus::bad_stateid);
}

TEST_F(Version40, an_owner_that_never_confirmed_starts_over) {
    EXPECT_EQ(result_of(open_at(5)).status, NfsStatus::ok);
    auto again = result_of(open_at(20));
    ASSERT_EQ(again.status, NfsStatus::ok);
    confirm_open(again, 21);
    EXPECT_EQ(write_it(again), NfsStatus::ok);
}

TEST_F(Version40, a_change_sent_again_over_another_connection_is_not_done_twice) {
    auto opened = result_of(open_at(5));
    confirm_open(opened, 6);
    const auto arguments = Ops(0).putrootfh().lookup("data").remove("f").arguments();
    wire->send_call(4711, arguments);
    EXPECT_EQ(wire->answer().status, NfsStatus::ok);
    auto& second = connect();
    second.send_call(4711, arguments);
    EXPECT_EQ(second.answer().status, NfsStatus::ok);
    second.send_call(4712, arguments);
    EXPECT_EQ(second.answer().status, NfsStatus::noent);
}

TEST_F(Version40, a_write_displaces_no_reply_that_a_retry_needs) {
    auto opened = result_of(open_at(5));
    confirm_open(opened, 6);
    EXPECT_EQ(write_it(opened), NfsStatus::ok);
    EXPECT_EQ(server->service().replies.size(), 0u);
}

TEST_F(Version40, a_retransmission_is_answered_no_sooner_than_the_first_reply_would_be) {
    auto opened = result_of(open_at(5));
    confirm_open(opened, 6);
    bool durable = false;
    fs.on_settle = [&]() -> Task<Result<>> {
        if (!durable) co_return fail(Errc::timed_out);
        co_return Result<>();
    };
    Ops open_g(0);
    open_g.putrootfh().lookup("data").add(
        op::open, [&](XdrWriter& w) { OpenRequest{.seqid = 7, .client = client, .create = true, .name = "g"}.write(w); });
    wire->send_call(1, open_g.arguments());
    EXPECT_TRUE(wire->closed());
    // Sent again by itself, so that only the owner's memory of it can answer.
    Ops again(0);
    again.putfh(opened.handle).add(op::open, [&](XdrWriter& w) {
        OpenRequest{.seqid = 7, .client = client, .create = true, .name = "g"}.write(w);
    });
    wire = &connect();
    wire->send_call(2, again.arguments());
    EXPECT_TRUE(wire->closed());
    durable = true;
    wire = &connect();
    EXPECT_EQ(wire->call(again).status, NfsStatus::ok);
}

TEST_F(Version40, renew_keeps_the_lease_and_stale_ids_are_told) {
    auto opened = result_of(open_at(5));
    const auto renew = [&](ClientId id) { return wire->call(Ops(0).add(op::renew, [&](XdrWriter& w) { w.u64(id); })).status; };
    for (int i = 0; i < 5; ++i) {
        pass(config.lease * 3 / 4);
        EXPECT_EQ(renew(client), NfsStatus::ok);
    }
    EXPECT_EQ(renew(client ^ (std::uint64_t{1} << 40)), NfsStatus::stale_clientid);
    restart();
    wire = &connect();
    EXPECT_EQ(renew(client), NfsStatus::stale_clientid);
    EXPECT_EQ(wire->call(Ops(0).putfh(opened.handle).write(opened.stateid, 0, "x")).status, NfsStatus::stale_stateid);
}

TEST_F(Version40, operations_of_later_versions_are_illegal) {
    auto answers = wire->call(Ops(0).add(op::exchange_id));
    EXPECT_EQ(answers.status, NfsStatus::op_illegal);
    EXPECT_EQ(answers.next(10044), NfsStatus::op_illegal);
    EXPECT_EQ(wire->call(Ops(9).putrootfh()).status, NfsStatus::minor_vers_mismatch);
}

TEST_F(Version40, a_client_that_asks_for_its_id_again_leaves_nothing_when_it_goes) {
    set_client();
    EXPECT_EQ(server->service().clients.size(), 1u);
    pass(config.lease * 2);
    EXPECT_EQ(server->service().clients.size(), 0u);
    set_client();
    EXPECT_EQ(server->service().clients.size(), 1u);
}

}  // namespace
}  // namespace strata::nfs

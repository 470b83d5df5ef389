// SPDX-License-Identifier: Apache-2.0
// Opens and stateids: create modes, share reservations, seqids, the right to read and write (RFC 8881, 8.2, 9, 18.16).
#include <array>
#include <set>

#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

class Opens : public ServiceTest {
protected:
    void SetUp() override {
        start();
        wire = &connect();
        a = std::make_unique<TestClient>(*wire, "a");
        b = std::make_unique<TestClient>(*wire, "b");
        a->establish();
        b->establish();
    }
    OpenResult downgrade(const OpenResult& opened, std::uint32_t access, std::uint32_t deny) {
        auto answers = a->call([&](Ops& ops) {
            ops.putfh(opened.handle).add(op::open_downgrade, [&](XdrWriter& w) {
                w.write(opened.stateid);
                w.u32(0);
                w.u32(access);
                w.u32(deny);
            });
        });
        OpenResult result{.handle = opened.handle};
        EXPECT_EQ(answers.next(op::putfh), NfsStatus::ok);
        result.status = answers.next(op::open_downgrade);
        if (result.status == NfsStatus::ok) answers.in().read(result.stateid);
        return result;
    }
    Wire* wire = nullptr;
    std::unique_ptr<TestClient> a, b;
};

TEST_F(Opens, a_missing_file_needs_create) {
    EXPECT_EQ(open(*a, {.name = "f"}).status, NfsStatus::noent);
    EXPECT_EQ(open(*a, {.create = true, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(open(*a, {.name = "f"}).status, NfsStatus::ok);
}

TEST_F(Opens, guarded_create_refuses_what_is_there) {
    EXPECT_EQ(open(*a, {.create = true, .how = guarded, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(open(*a, {.create = true, .how = guarded, .name = "f"}).status, NfsStatus::exist);
}

TEST_F(Opens, an_exclusive_create_is_known_again_by_its_verifier) {
    for (const std::uint32_t how : {2u, 3u}) {
        const auto name = "f" + std::to_string(how);
        EXPECT_EQ(open(*a, {.create = true, .how = how, .verifier = 11, .name = name}).status, NfsStatus::ok);
        EXPECT_EQ(open(*a, {.create = true, .how = how, .verifier = 11, .name = name}).status, NfsStatus::ok);
        EXPECT_EQ(open(*a, {.create = true, .how = how, .verifier = 12, .name = name}).status, NfsStatus::exist);
    }
}

TEST_F(Opens, a_guessed_verifier_opens_nobody_elses_file) {
    TestClient maker(*wire, "maker", {1000, 1000}), guesser(*wire, "guesser", {2000, 2000});
    maker.establish();
    guesser.establish();
    EXPECT_EQ(open(maker, {.create = true, .mode = 0600, .name = "plain"}).status, NfsStatus::ok);
    EXPECT_EQ(open(maker, {.create = true, .how = 3, .mode = 0600, .verifier = 11, .name = "exclusive"}).status, NfsStatus::ok);
    for (const std::uint64_t verifier : {0, 11}) {
        EXPECT_EQ(open(guesser, {.create = true, .how = 3, .verifier = verifier, .name = "plain"}).status, NfsStatus::exist);
    }
    EXPECT_EQ(open(guesser, {.create = true, .how = 3, .verifier = 11, .name = "exclusive"}).status, NfsStatus::access);
    EXPECT_EQ(open(guesser, {.create = true, .how = 2, .verifier = 11, .name = "exclusive"}).status, NfsStatus::access);
    EXPECT_EQ(open(maker, {.create = true, .how = 3, .verifier = 11, .name = "exclusive"}).status, NfsStatus::ok);
}

TEST_F(Opens, an_exclusive_create_takes_no_size) {
    EXPECT_EQ(open(*a, {.create = true, .how = 3, .size = 0, .verifier = 11, .name = "f"}).status, NfsStatus::inval);
}

TEST_F(Opens, size_zero_truncates_but_not_where_an_open_denies_writing) {
    const auto first = open(*a, {.create = true, .name = "f"});
    EXPECT_EQ(write(*a, first.handle, first.stateid, "bytes"), NfsStatus::ok);
    EXPECT_EQ(close(*a, first), NfsStatus::ok);
    const auto denying = open(*b, {.access = 1, .deny = 2, .name = "f"});
    EXPECT_EQ(open(*a, {.create = true, .size = 0, .name = "f"}).status, NfsStatus::share_denied);
    auto kept = a->call([&](Ops& ops) { ops.putfh(first.handle).read(Stateid::anonymous(), 0, 10); });
    EXPECT_EQ(kept.next(op::putfh), NfsStatus::ok);
    EXPECT_EQ(kept.next(op::read), NfsStatus::ok);
    EXPECT_TRUE(kept.in().boolean());
    EXPECT_EQ(kept.in().text(10), "bytes");
    EXPECT_EQ(close(*b, denying), NfsStatus::ok);
    const auto again = open(*a, {.create = true, .size = 0, .name = "f"});
    ASSERT_EQ(again.status, NfsStatus::ok);
    auto empty = a->call([&](Ops& ops) { ops.putfh(again.handle).read(again.stateid, 0, 10); });
    EXPECT_EQ(empty.next(op::putfh), NfsStatus::ok);
    EXPECT_EQ(empty.next(op::read), NfsStatus::ok);
    EXPECT_TRUE(empty.in().boolean());
    EXPECT_EQ(empty.in().u32(), 0u);
}

TEST_F(Opens, share_reservations_hold_between_clients) {
    const auto first = open(*a, {.access = 1, .deny = 2, .create = true, .name = "f"});
    EXPECT_EQ(open(*b, {.access = 2, .name = "f"}).status, NfsStatus::share_denied);
    EXPECT_EQ(open(*b, {.access = 1, .deny = 1, .name = "f"}).status, NfsStatus::share_denied);
    EXPECT_EQ(open(*b, {.access = 1, .name = "f"}).status, NfsStatus::ok);
    EXPECT_EQ(write(*b, first.handle, Stateid::anonymous(), "x"), NfsStatus::locked);
    EXPECT_EQ(close(*a, first), NfsStatus::ok);
    EXPECT_EQ(open(*b, {.access = 2, .owner = "other", .name = "f"}).status, NfsStatus::ok);
}

TEST_F(Opens, a_second_open_of_an_owner_widens_the_first) {
    const auto first = open(*a, {.access = 1, .create = true, .name = "f"});
    const auto second = open(*a, {.access = 2, .name = "f"});
    EXPECT_EQ(second.stateid.other, first.stateid.other);
    EXPECT_EQ(second.stateid.seqid, first.stateid.seqid + 1);
    EXPECT_EQ(write(*a, second.handle, second.stateid, "x"), NfsStatus::ok);
    EXPECT_EQ(read(*a, first.handle, first.stateid), NfsStatus::old_stateid);
    auto any = second.stateid;
    any.seqid = 0;
    EXPECT_EQ(read(*a, first.handle, any), NfsStatus::ok);
    any.seqid = 9;
    EXPECT_EQ(read(*a, first.handle, any), NfsStatus::bad_stateid);
}

TEST_F(Opens, a_downgrade_goes_back_to_what_was_opened_only) {
    const auto first = open(*a, {.access = 1, .create = true, .name = "f"});
    EXPECT_EQ(downgrade(first, 2, 0).status, NfsStatus::inval);
    const auto both = open(*a, {.access = 3, .name = "f"});
    EXPECT_EQ(downgrade(both, 2, 0).status, NfsStatus::inval);
    const auto narrowed = downgrade(both, 1, 0);
    ASSERT_EQ(narrowed.status, NfsStatus::ok);
    EXPECT_EQ(write(*a, both.handle, narrowed.stateid, "x"), NfsStatus::openmode);
    EXPECT_EQ(open(*b, {.access = 1, .deny = 2, .name = "f"}).status, NfsStatus::ok);
}

TEST_F(Opens, a_stateid_is_its_clients_and_its_files_only) {
    const auto f = open(*a, {.create = true, .name = "f"});
    const auto g = open(*b, {.create = true, .name = "g"});
    EXPECT_EQ(write(*b, f.handle, f.stateid, "x"), NfsStatus::bad_stateid);
    EXPECT_EQ(write(*a, g.handle, f.stateid, "x"), NfsStatus::bad_stateid);
    Stateid made_up = f.stateid;
    made_up.other[11] = std::byte{0x77};
    EXPECT_EQ(write(*a, f.handle, made_up, "x"), NfsStatus::bad_stateid);
    EXPECT_EQ(close(*a, f), NfsStatus::ok);
    EXPECT_EQ(write(*a, f.handle, f.stateid, "x"), NfsStatus::bad_stateid);
    EXPECT_EQ(close(*a, f), NfsStatus::bad_stateid);
}

TEST_F(Opens, the_current_stateid_is_the_last_one_made) {
    auto answers = a->call([&](Ops& ops) {
        ops.putrootfh().lookup("data");
        ops.add(op::open, [](XdrWriter& w) { OpenRequest{.create = true, .name = "f"}.write(w); });
        ops.write(Stateid::current(), 0, "abc").read(Stateid::current(), 0, 3);
        ops.add(op::close, [](XdrWriter& w) {
            w.u32(0);
            w.write(Stateid::current());
        });
    });
    EXPECT_EQ(answers.status, NfsStatus::ok);
    EXPECT_EQ(answers.count, 7u);
    EXPECT_EQ(fs.pins(), 0u);
    EXPECT_EQ(a->call([](Ops& ops) { ops.putrootfh().read(Stateid::current(), 0, 1); }).status, NfsStatus::isdir);
}

TEST_F(Opens, an_open_files_content_outlives_its_name) {
    const auto opened = open(*a, {.create = true, .name = "f"});
    EXPECT_EQ(write(*a, opened.handle, opened.stateid, "still"), NfsStatus::ok);
    EXPECT_EQ(b->call([](Ops& ops) { ops.putrootfh().lookup("data").remove("f"); }).status, NfsStatus::ok);
    EXPECT_EQ(read(*a, opened.handle, opened.stateid), NfsStatus::ok);
    const auto objects = fs.objects();
    EXPECT_EQ(close(*a, opened), NfsStatus::ok);
    EXPECT_EQ(fs.objects(), objects - 1);
    EXPECT_EQ(read(*a, opened.handle, Stateid::anonymous()), NfsStatus::stale);
}

TEST_F(Opens, the_creator_may_write_what_its_mode_forbids) {
    TestClient user(*wire, "user", {1000, 1000});
    user.establish();
    const auto opened = open(user, {.create = true, .mode = 0444, .name = "f"});
    ASSERT_EQ(opened.status, NfsStatus::ok);
    EXPECT_EQ(write(user, opened.handle, opened.stateid, "x"), NfsStatus::ok);
    EXPECT_EQ(close(user, opened), NfsStatus::ok);
    EXPECT_EQ(open(user, {.name = "f"}).status, NfsStatus::access);
    EXPECT_EQ(open(user, {.access = 1, .name = "f"}).status, NfsStatus::ok);
}

TEST_F(Opens, a_read_only_share_opens_for_reading_only) {
    auto answers = a->call([&](Ops& ops) {
        ops.putrootfh().lookup("docs").add(op::open, [](XdrWriter& w) { OpenRequest{.create = true, .name = "f"}.write(w); });
    });
    EXPECT_EQ(answers.status, NfsStatus::rofs);
}

TEST_F(Opens, test_and_free_stateid_tell_what_is_held) {
    const auto opened = open(*a, {.create = true, .name = "f"});
    Stateid locked;
    ASSERT_EQ(lock(*a, opened.handle, {.length = 10, .stateid = opened.stateid}, &locked), NfsStatus::ok);
    auto tested = a->call([&](Ops& ops) {
        ops.add(op::test_stateid, [&](XdrWriter& w) {
            w.u32(3);
            w.write(opened.stateid);
            w.write(locked);
            w.write(Stateid::anonymous());
        });
    });
    ASSERT_EQ(tested.next(op::test_stateid), NfsStatus::ok);
    EXPECT_EQ(tested.in().u32(), 3u);
    EXPECT_EQ(tested.in().u32(), 0u);
    EXPECT_EQ(tested.in().u32(), 0u);
    EXPECT_EQ(static_cast<NfsStatus>(tested.in().u32()), NfsStatus::bad_stateid);
    const auto free_it = [&] {
        return a->call([&](Ops& ops) { ops.add(op::free_stateid, [&](XdrWriter& w) { w.write(locked); }); }).status;
    };
    EXPECT_EQ(free_it(), NfsStatus::locks_held);
    auto unlocked = a->call([&](Ops& ops) {
        ops.putfh(opened.handle).add(op::locku, [&](XdrWriter& w) {
            w.u32(2);
            w.u32(0);
            w.write(locked);
            w.u64(0);
            w.u64(UINT64_MAX);
        });
    });
    EXPECT_EQ(unlocked.status, NfsStatus::ok);
    locked.seqid = 0;
    EXPECT_EQ(free_it(), NfsStatus::ok);
    EXPECT_EQ(free_it(), NfsStatus::bad_stateid);
}

TEST_F(Opens, opens_of_one_owner_that_race_share_one_state) {
    fs.before_call = [this](std::string_view call) -> Task<> {
        if (call == "pin") co_await world.clock().sleep_for(100ms);
    };
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
        Ops ops;
        ops.sequence(a->session, ++a->slots[slot], slot).putrootfh().lookup("data");
        ops.add(op::open, [](XdrWriter& w) { OpenRequest{.create = true, .name = "f"}.write(w); });
        wire->send_call(slot, ops.arguments());
    }
    std::set<std::array<std::byte, 12>> others;
    for (int i = 0; i < 4; ++i) {
        auto answers = wire->answer();
        ASSERT_EQ(answers.status, NfsStatus::ok);
        EXPECT_EQ(answers.next(op::sequence), NfsStatus::ok);
        answers.in().fixed(36);
        EXPECT_EQ(answers.next(op::putrootfh), NfsStatus::ok);
        EXPECT_EQ(answers.next(op::lookup), NfsStatus::ok);
        EXPECT_EQ(answers.next(op::open), NfsStatus::ok);
        Stateid stateid;
        answers.in().read(stateid);
        others.insert(stateid.other);
    }
    EXPECT_EQ(others.size(), 1u);
    EXPECT_EQ(fs.pins(), 1u);
}

}  // namespace
}  // namespace strata::nfs

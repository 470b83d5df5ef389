// SPDX-License-Identifier: Apache-2.0
// Byte-range locks (RFC 8881, 18.10 - 18.12).
#include "tests/nfs/service_fixture.h"

namespace strata::nfs {
namespace {

class Locks : public ServiceTest {
protected:
    void SetUp() override {
        start();
        wire = &connect();
        a = std::make_unique<TestClient>(*wire, "a");
        b = std::make_unique<TestClient>(*wire, "b");
        a->establish();
        b->establish();
        of_a = open(*a, {.create = true, .name = "f"});
        of_b = open(*b, {.name = "f"});
    }
    Answers test(TestClient& client, std::uint32_t type, std::uint64_t offset, std::uint64_t length, std::string_view owner = "tester") {
        return client.call([&](Ops& ops) {
            ops.putfh(of_a.handle).add(op::lockt, [&](XdrWriter& w) {
                w.u32(type);
                w.u64(offset);
                w.u64(length);
                w.u64(0);
                w.text(owner);
            });
        });
    }
    Wire* wire = nullptr;
    std::unique_ptr<TestClient> a, b;
    OpenResult of_a, of_b;
};

TEST_F(Locks, a_conflict_names_its_holder) {
    ASSERT_EQ(lock(*a, of_a.handle, {.offset = 10, .length = 20, .stateid = of_a.stateid, .owner = "mine"}), NfsStatus::ok);
    EXPECT_EQ(lock(*b, of_b.handle, {.offset = 0, .length = 11, .stateid = of_b.stateid}), NfsStatus::denied);
    auto answers = test(*b, 1, 25, UINT64_MAX);
    EXPECT_EQ(answers.next(op::putfh), NfsStatus::ok);
    ASSERT_EQ(answers.next(op::lockt), NfsStatus::denied);
    EXPECT_EQ(answers.in().u64(), 10u);
    EXPECT_EQ(answers.in().u64(), 20u);
    EXPECT_EQ(answers.in().u32(), 2u);
    EXPECT_EQ(answers.in().u64(), a->id);
    EXPECT_EQ(answers.in().text(opaque_limit), "mine");
    EXPECT_EQ(test(*b, 1, 30, 5).status, NfsStatus::ok);
    EXPECT_EQ(test(*a, 2, 0, 100, "mine").status, NfsStatus::ok);
}

TEST_F(Locks, shared_locks_go_together) {
    EXPECT_EQ(lock(*a, of_a.handle, {.type = 1, .stateid = of_a.stateid}), NfsStatus::ok);
    EXPECT_EQ(lock(*b, of_b.handle, {.type = 3, .stateid = of_b.stateid}), NfsStatus::ok);
    EXPECT_EQ(lock(*b, of_b.handle, {.type = 4, .stateid = of_b.stateid, .owner = "third"}), NfsStatus::denied);
}

TEST_F(Locks, a_denied_lock_leaves_no_state) {
    ASSERT_EQ(lock(*a, of_a.handle, {.stateid = of_a.stateid}), NfsStatus::ok);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(lock(*b, of_b.handle, {.stateid = of_b.stateid}), NfsStatus::denied);
    EXPECT_EQ(close(*a, of_a), NfsStatus::ok);
    EXPECT_EQ(lock(*b, of_b.handle, {.stateid = of_b.stateid}), NfsStatus::ok);
}

TEST_F(Locks, the_stateid_of_a_lock_counts_its_changes) {
    Stateid first, second;
    ASSERT_EQ(lock(*a, of_a.handle, {.length = 10, .stateid = of_a.stateid}, &first), NfsStatus::ok);
    ASSERT_EQ(lock(*a, of_a.handle, {.offset = 20, .length = 10, .new_owner = false, .stateid = first}, &second), NfsStatus::ok);
    EXPECT_EQ(second.other, first.other);
    EXPECT_EQ(second.seqid, first.seqid + 1);
    EXPECT_EQ(lock(*a, of_a.handle, {.length = 10, .new_owner = false, .stateid = first}), NfsStatus::old_stateid);
    EXPECT_EQ(lock(*a, of_a.handle, {.length = 10, .new_owner = false, .stateid = of_a.stateid}), NfsStatus::bad_stateid);
    EXPECT_EQ(write(*a, of_a.handle, second, "x"), NfsStatus::ok);
}

TEST_F(Locks, ranges_out_of_bounds_are_refused) {
    EXPECT_EQ(lock(*a, of_a.handle, {.length = 0, .stateid = of_a.stateid}), NfsStatus::inval);
    EXPECT_EQ(lock(*a, of_a.handle, {.offset = UINT64_MAX - 5, .length = 10, .stateid = of_a.stateid}), NfsStatus::inval);
    EXPECT_EQ(lock(*a, of_a.handle, {.offset = 5, .length = UINT64_MAX, .stateid = of_a.stateid}), NfsStatus::ok);
}

TEST_F(Locks, the_mode_of_the_open_bounds_the_kind_of_lock) {
    const auto reader = open(*a, {.access = 1, .owner = "reader", .name = "f"});
    EXPECT_EQ(lock(*a, reader.handle, {.type = 2, .stateid = reader.stateid}), NfsStatus::openmode);
    EXPECT_EQ(lock(*a, reader.handle, {.type = 1, .stateid = reader.stateid}), NfsStatus::ok);
}

TEST_F(Locks, close_releases_the_locks_taken_through_it) {
    ASSERT_EQ(lock(*a, of_a.handle, {.stateid = of_a.stateid}), NfsStatus::ok);
    EXPECT_EQ(close(*a, of_a), NfsStatus::ok);
    EXPECT_EQ(files->lock_count(), 0u);
}

TEST_F(Locks, reclaims_outside_grace_are_refused) {
    EXPECT_EQ(lock(*a, of_a.handle, {.reclaim = true, .stateid = of_a.stateid}), NfsStatus::no_grace);
}

class FewLocks : public Locks {
protected:
    FewLocks() { lock_limits = {.file = 100, .client = 100, .all = 4}; }
};

TEST_F(FewLocks, locks_without_bound_are_delayed_until_some_go) {
    for (std::uint64_t i = 0; i < 4; ++i) {
        const auto owner = "owner" + std::to_string(i);
        EXPECT_EQ(lock(*a, of_a.handle, {.offset = 10 * i, .length = 1, .stateid = of_a.stateid, .owner = owner}), NfsStatus::ok);
    }
    EXPECT_EQ(lock(*b, of_b.handle, {.offset = 100, .length = 1, .stateid = of_b.stateid}), NfsStatus::delay);
    EXPECT_EQ(files->lock_count(), 4u);
    EXPECT_EQ(close(*a, of_a), NfsStatus::ok);
    EXPECT_EQ(lock(*b, of_b.handle, {.offset = 100, .length = 1, .stateid = of_b.stateid}), NfsStatus::ok);
}

TEST_F(FewLocks, a_silent_clients_locks_make_room) {
    for (std::uint64_t i = 0; i < 4; ++i) {
        const auto owner = "owner" + std::to_string(i);
        EXPECT_EQ(lock(*a, of_a.handle, {.offset = 10 * i, .length = 1, .stateid = of_a.stateid, .owner = owner}), NfsStatus::ok);
    }
    for (int i = 0; i < 4; ++i) {
        pass(config.lease / 2);
        EXPECT_EQ(b->call([](Ops&) {}).status, NfsStatus::ok);
    }
    EXPECT_EQ(lock(*b, of_b.handle, {.offset = 100, .length = 1, .stateid = of_b.stateid}), NfsStatus::ok);
    EXPECT_EQ(files->lock_count(), 1u);
}

}  // namespace
}  // namespace strata::nfs

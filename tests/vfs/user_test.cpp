// SPDX-License-Identifier: Apache-2.0
// Users: the record, its names, and numbers that are never given out twice.
#include "server/vfs/user.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/task_group.h"
#include "tests/sim/memory_file_system.h"
#include "tests/sim/world.h"

namespace strata::vfs {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr auto some_argon2id = "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";
constexpr auto some_nt_hash = "8846f7eaee8fb117ad06bdd830b7586c";

User ada() {
    User user;
    user.name = "ada";
    user.full_name = "Ada \"L\" \xc3\x84";
    user.uid = 1815;
    user.gid = 100;
    user.rid = 1234;
    user.disabled = true;
    user.argon2id = some_argon2id;
    user.nt_hash = some_nt_hash;
    return user;
}

User named(std::string name, std::uint32_t uid = 0) {
    User user;
    user.name = std::move(name);
    user.uid = uid;
    user.gid = 100;
    return user;
}

TEST(MachineSid, its_text_is_read_again) {
    const MachineSid sid{1, 4294967295, 0};
    EXPECT_EQ(sid.to_string(), "S-1-5-21-1-4294967295-0");
    EXPECT_EQ(*MachineSid::parse(sid.to_string()), sid);
    EXPECT_EQ(sid.account(1000), "S-1-5-21-1-4294967295-0-1000");
}

TEST(MachineSid, what_is_none_is_refused) {
    for (const auto* text : {"", "S-1-5-21", "S-1-5-21-", "S-1-5-21-1-2", "S-1-5-21-1-2-3-4", "S-1-5-21-1-2-", "S-1-5-21-1-2-4294967296",
                             "S-1-5-21-01-2-3", "S-1-5-22-1-2-3", "s-1-5-21-1-2-3", "S-1-5-21-1-2--3", "S-1-5-21-1-2-3 "}) {
        EXPECT_FALSE(MachineSid::parse(text)) << text;
    }
}

TEST(UserRecord, what_was_written_is_read) {
    EXPECT_EQ(*User::parse(ada().serialize()), ada());
    User plain = ada();
    plain.argon2id = plain.nt_hash = std::nullopt;
    EXPECT_EQ(*User::parse(plain.serialize()), plain);
}

TEST(UserRecord, one_that_is_cut_short_or_lacks_a_member_is_refused) {
    const std::string good = ada().serialize();
    for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(User::parse(good.substr(0, size))) << size;
    for (std::size_t at = good.find(",\""); at != std::string::npos; at = good.find(",\"", at + 1)) {
        std::string without = good;
        without[at + 2] = '_';
        EXPECT_FALSE(User::parse(without)) << without;
    }
    std::string later = good;
    later.replace(later.find("\"version\":1"), 11, "\"version\":2");
    EXPECT_EQ(User::parse(later).error().code, Errc::bad_version);
}

TEST(UserRecord, no_message_shows_a_hash) {
    User user = ada();
    user.nt_hash = std::string(some_nt_hash) + "x";
    EXPECT_THAT(user.validate().error().detail, Not(HasSubstr("8846f7")));
    EXPECT_THAT(User::parse(user.serialize()).error().detail, Not(HasSubstr("8846f7")));
    user = ada();
    user.argon2id = "$argon2id$secret with spaces";
    EXPECT_THAT(user.validate().error().detail, Not(HasSubstr("secret")));
}

TEST(UserRecord, each_member_is_checked_and_named) {
    const auto wrong = [](auto change) {
        User user = ada();
        change(user);
        const auto valid = user.validate();
        return valid ? std::string("(valid)") : valid.error().detail;
    };
    EXPECT_EQ(wrong([](User&) {}), "(valid)");
    for (const auto* name : {"", "a b", "a/b", "a\\b", ".a", "-a", "a@b", "\xc3\xa4", "a\n"}) {
        EXPECT_THAT(wrong([&](User& u) { u.name = name; }), HasSubstr("name:")) << name;
    }
    EXPECT_THAT(wrong([](User& u) { u.name = std::string(33, 'a'); }), HasSubstr("name:"));
    EXPECT_EQ(wrong([](User& u) { u.name = "_A.b-9"; }), "(valid)");
    EXPECT_THAT(wrong([](User& u) { u.full_name = "a\nb"; }), HasSubstr("full_name:"));
    EXPECT_THAT(wrong([](User& u) { u.full_name = "\xff"; }), HasSubstr("full_name:"));
    for (const std::uint32_t uid : {0u, 65534u, 4294967295u}) EXPECT_THAT(wrong([&](User& u) { u.uid = uid; }), HasSubstr("uid:")) << uid;
    EXPECT_THAT(wrong([](User& u) { u.gid = 4294967295; }), HasSubstr("gid:"));
    EXPECT_THAT(wrong([](User& u) { u.rid = 500; }), HasSubstr("rid:"));
    EXPECT_THAT(wrong([](User& u) { u.nt_hash.reset(); }), HasSubstr("one without the other"));
    EXPECT_THAT(wrong([](User& u) { u.argon2id.reset(); }), HasSubstr("one without the other"));
    EXPECT_THAT(wrong([](User& u) { u.argon2id = "$2b$x"; }), HasSubstr("argon2id:"));
    EXPECT_THAT(wrong([](User& u) { u.nt_hash = "8846F7EAEE8FB117AD06BDD830B7586C"; }), HasSubstr("nt_hash:"));
}

// A store that fails the puts from the one after `puts_left` on.
class FailingRecords final : public RecordStore {
public:
    Task<Result<std::string>> get(const Context& ctx, std::string_view table, std::string_view key) override {
        co_return co_await inner.get(ctx, table, key);
    }
    Task<Result<>> put(const Context& ctx, std::string_view table, std::string_view key, std::string_view value) override {
        if (clock != nullptr) co_await clock->sleep_for(1ms);
        if (puts_left-- <= 0) co_return fail(Errc::closed);
        co_return co_await inner.put(ctx, table, key, value);
    }
    Task<Result<>> erase(const Context& ctx, std::string_view table, std::string_view key) override {
        co_return co_await inner.erase(ctx, table, key);
    }
    Task<Result<std::vector<std::pair<std::string, std::string>>>> scan(const Context& ctx, std::string_view table) override {
        co_return co_await inner.scan(ctx, table);
    }
    sim::MemoryRecordStore inner;
    int puts_left = 1'000'000;
    Clock* clock = nullptr;
};

class Users : public testing::Test {
protected:
    Users() { load(); }
    // As a restart does.
    void load() {
        table_ = std::make_unique<UserTable>(records_);
        ASSERT_TRUE(world_.run(table_->load(ctx_, world_.random())));
    }
    Result<> reload() {
        UserTable fresh(records_);
        return world_.run(fresh.load(ctx_, world_.random()));
    }
    Result<User> add(User user) { return world_.run(table_->add(ctx_, std::move(user))); }
    Result<> change(User user) { return world_.run(table_->change(ctx_, std::move(user))); }
    Result<> remove(std::uint32_t uid) { return world_.run(table_->remove(ctx_, uid)); }
    std::shared_ptr<const UserList> now() { return table_->snapshot(); }

    sim::World world_{1};
    Context ctx_{.clock = &world_.clock()};
    FailingRecords records_;
    std::unique_ptr<UserTable> table_;
};

TEST_F(Users, one_is_found_by_name_uid_and_sid) {
    const auto bob = *add(named("Bob"));
    const auto eve = *add(named("eve", 4000));
    EXPECT_EQ(*now()->find_name("bOB"), bob);
    EXPECT_EQ(*now()->find_uid(4000), eve);
    EXPECT_EQ(*now()->find_sid(now()->sid_of(eve)), eve);
    EXPECT_EQ(now()->sid_of(bob), now()->machine().to_string() + "-" + std::to_string(bob.rid));
    EXPECT_FALSE(now()->find_name("bo"));
    EXPECT_FALSE(now()->find_uid(1));
    EXPECT_FALSE(now()->find_sid(now()->machine().to_string()));
    EXPECT_FALSE(now()->find_sid(now()->machine().to_string() + "-0" + std::to_string(bob.rid)));
    EXPECT_FALSE(now()->find_sid("S-1-5-21-1-2-3-" + std::to_string(bob.rid)));
    ASSERT_EQ(now()->all().size(), 2u);
    EXPECT_EQ(now()->all()[0]->name, "Bob");
}

TEST_F(Users, a_restart_finds_the_same_ones_under_the_same_sids) {
    const auto bob = *add(named("bob"));
    User with = named("ada");
    with.argon2id = some_argon2id;
    with.nt_hash = some_nt_hash;
    const auto added = *add(with);
    const auto sid = now()->sid_of(bob);
    load();
    EXPECT_EQ(*now()->find_name("ada"), added);
    EXPECT_EQ(*now()->find_sid(sid), bob);
}

TEST_F(Users, two_appliances_have_different_sids) {
    FailingRecords others;
    UserTable table(others);
    ASSERT_TRUE(world_.run(table.load(ctx_, world_.random())));
    EXPECT_NE(table.snapshot()->machine(), now()->machine());
}

TEST_F(Users, a_name_or_uid_that_is_taken_is_refused) {
    ASSERT_TRUE(add(named("bob", 2000)));
    EXPECT_EQ(add(named("BOB")).error().code, Errc::exists);
    EXPECT_EQ(add(named("eve", 2000)).error().code, Errc::exists);
    EXPECT_EQ(add(named("")).error().code, Errc::invalid_argument);
    EXPECT_EQ(now()->all().size(), 1u);
}

TEST_F(Users, numbers_are_never_given_out_twice) {
    std::set<std::uint32_t> uids, rids;
    for (int i = 0; i < 10; ++i) {
        const auto user = add(named("bob"));
        ASSERT_TRUE(user);
        EXPECT_TRUE(uids.insert(user->uid).second) << user->uid;
        EXPECT_TRUE(rids.insert(user->rid).second) << user->rid;
        ASSERT_TRUE(remove(user->uid));
        if (i % 3 == 0) load();
    }
    ASSERT_TRUE(add(named("high", 5000)));
    ASSERT_TRUE(remove(5000));
    EXPECT_GT(add(named("next"))->uid, 5000u);
    ASSERT_TRUE(add(named("nobody-to-be", 65533)));
    EXPECT_EQ(add(named("after"))->uid, 65535u);
}

TEST_F(Users, numbers_are_not_given_out_twice_by_a_failure_either) {
    records_.puts_left = 1;  // what was given out is stored, the user is not
    EXPECT_FALSE(add(named("lost")));
    EXPECT_FALSE(now()->find_name("lost"));
    records_.puts_left = 1'000'000;
    load();
    const auto bob = add(named("bob"));
    ASSERT_TRUE(bob);
    EXPECT_EQ(bob->rid, user_rid_min + 1);
}

TEST_F(Users, a_change_keeps_uid_and_sid) {
    const auto bob = *add(named("bob"));
    const auto version = table_->version();
    User changed = bob;
    changed.name = "robert";
    changed.rid = 7777;
    changed.disabled = true;
    ASSERT_TRUE(change(changed));
    EXPECT_GT(table_->version(), version);
    EXPECT_FALSE(now()->find_name("bob"));
    EXPECT_EQ(now()->find_name("Robert")->rid, bob.rid);
    EXPECT_TRUE(now()->find_uid(bob.uid)->disabled);
    load();
    EXPECT_TRUE(now()->find_name("robert")->disabled);
}

TEST_F(Users, a_change_to_anothers_name_is_refused_and_to_the_own_in_other_case_not) {
    auto bob = *add(named("bob"));
    ASSERT_TRUE(add(named("eve")));
    bob.name = "EVE";
    EXPECT_EQ(change(bob).error().code, Errc::exists);
    bob.name = "BOB";
    EXPECT_TRUE(change(bob));
    EXPECT_EQ(change(named("x", 9999)).error().code, Errc::not_found);
    EXPECT_EQ(remove(9999).error().code, Errc::not_found);
}

TEST_F(Users, a_snapshot_stays_as_it_was) {
    const auto bob = *add(named("bob"));
    const auto before = now();
    ASSERT_TRUE(remove(bob.uid));
    EXPECT_TRUE(before->find_name("bob"));
    EXPECT_FALSE(now()->find_name("bob"));
    EXPECT_TRUE(records_.inner.tables["user"].empty());
}

TEST_F(Users, a_change_that_is_not_stored_is_not_seen) {
    auto bob = *add(named("bob"));
    records_.puts_left = 0;
    bob.disabled = true;
    EXPECT_EQ(change(bob).error().code, Errc::closed);
    EXPECT_FALSE(now()->find_name("bob")->disabled);
}

Task<> add_later(UserTable& table, const Context& ctx, std::string name, Result<User>& out) { out = co_await table.add(ctx, named(name)); }

Task<int> add_both(UserTable& table, const Context& ctx, Executor executor) {
    Result<User> first = fail(Errc::internal), second = fail(Errc::internal);
    TaskGroup tasks;
    tasks.spawn(executor, [&] { return add_later(table, ctx, "bob", first); });
    tasks.spawn(executor, [&] { return add_later(table, ctx, "BOB", second); });
    (void)co_await tasks.wait(*ctx.clock, Instant::max());
    const auto busy = [](const Result<User>& r) { return !r && r.error() == Errc::busy; };
    co_return (first ? 1 : 0) + (second ? 1 : 0) + (busy(first) || busy(second) ? 10 : 0);
}

TEST_F(Users, of_two_changes_at_once_one_is_told_to_wait) {
    records_.clock = &world_.clock();
    EXPECT_EQ(world_.run(add_both(*table_, ctx_, world_.executor())), 11);
    EXPECT_TRUE(add(named("eve")));
}

TEST_F(Users, records_that_contradict_each_other_are_named) {
    const auto bob = *add(named("bob"));
    auto& users = records_.inner.tables["user"];
    const std::string key = users.begin()->first;
    User twin = bob;
    twin.uid = 3000;
    twin.name = "twin";
    users["0000003000"] = twin.serialize();
    EXPECT_THAT(reload().error().detail, HasSubstr("0000003000"));
    users["0000003000"] = "{}";
    EXPECT_EQ(reload().error().code, Errc::bad_message);
    users.erase("0000003000");
    users["0000000001"] = users[key];
    EXPECT_EQ(reload().error().code, Errc::bad_message);
    users.erase("0000000001");
    EXPECT_TRUE(reload());
    records_.inner.tables["setting"].clear();
    EXPECT_THAT(reload().error().detail, HasSubstr("SIDs"));
}

}  // namespace
}  // namespace strata::vfs

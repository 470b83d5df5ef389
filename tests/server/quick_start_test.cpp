// SPDX-License-Identifier: Apache-2.0
// Quick start: shares that are made once, contradictions, crashes between directory and record, and the mount commands.
#include "server/quick_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/memory_file_system.h"
#include "tests/sim/world.h"

namespace strata {
namespace {

using testing::HasSubstr;
using testing::Not;

// A RecordStore that is cut off before the next put, if asked.
class CutRecords final : public vfs::RecordStore {
public:
    Task<Result<std::string>> get(const Context& ctx, std::string_view table, std::string_view key) override {
        co_return co_await inner.get(ctx, table, key);
    }
    Task<Result<>> put(const Context& ctx, std::string_view table, std::string_view key, std::string_view value) override {
        if (cut) co_return fail(Errc::closed);
        co_return co_await inner.put(ctx, table, key, value);
    }
    Task<Result<>> erase(const Context& ctx, std::string_view table, std::string_view key) override {
        co_return co_await inner.erase(ctx, table, key);
    }
    Task<Result<std::vector<std::pair<std::string, std::string>>>> scan(const Context& ctx, std::string_view table) override {
        co_return co_await inner.scan(ctx, table);
    }
    sim::MemoryRecordStore inner;
    bool cut = false;
};

class QuickStart : public testing::Test {
protected:
    Result<vfs::ShareList> ensure(const std::vector<std::string>& words) {
        std::vector<vfs::ShareSpec> specs;
        for (const auto& word : words) specs.push_back(*vfs::ShareSpec::parse(word));
        return world_.run(ensure_shares(ctx_, fs_, records_, specs, Owner{1000, 1001}));
    }
    vfs::ShareList made(const std::vector<std::string>& words) {
        auto shares = ensure(words);
        EXPECT_TRUE(shares) << to_string(shares.error());
        return shares ? *shares : vfs::ShareList{};
    }
    std::string refusal(const std::vector<std::string>& words, Errc code = Errc::config) {
        const auto shares = ensure(words);
        if (shares) return "(accepted)";
        EXPECT_EQ(shares.error().code, code) << shares.error().detail;
        return shares.error().detail;
    }
    vfs::Attributes root_of(const vfs::Share& share) { return *world_.run(fs_.get_attributes(ctx_, share.root)); }
    void set(const vfs::Share& share, const vfs::SetAttributes& attributes) {
        ASSERT_TRUE(world_.run(fs_.set_attributes(ctx_, share.root, attributes, false)));
    }
    std::string hints(const std::vector<std::string>& words, std::string_view nfs, const std::string& machine = "") {
        auto text = world_.run(mount_hints(ctx_, fs_, made(words), *Endpoint::parse(nfs), machine));
        EXPECT_TRUE(text);
        return text ? *text : "";
    }

    sim::World world_{1};
    Credentials superuser_ = Credentials::superuser();
    CommitPoint commit_point_;
    Context ctx_{.clock = &world_.clock(), .caller = &superuser_, .commit_point = &commit_point_};
    sim::MemoryFileSystem fs_{world_.clock()};
    CutRecords records_;
    int next_ = 0;
};

TEST_F(QuickStart, a_share_is_made_for_who_started_it) {
    const auto shares = made({"files"});
    ASSERT_EQ(shares.size(), 1u);
    const auto root = root_of(shares[0]);
    EXPECT_EQ(root.type, vfs::FileType::directory);
    EXPECT_EQ(root.uid, 1000u);
    EXPECT_EQ(root.gid, 1001u);
    EXPECT_EQ(root.mode, 0755u);
    EXPECT_EQ(root.domain, shares[0].domain);
    EXPECT_NE(root.domain, 0u);
    EXPECT_EQ(shares[0].squash, vfs::Squash::automatic);
    const auto entry = world_.run(fs_.lookup(ctx_, fs_.root(), "files"));
    EXPECT_EQ(entry->id, shares[0].root);
}

TEST_F(QuickStart, options_are_what_it_is_made_with) {
    const auto share = made({"a:owner=5:6,mode=2770,ro,squash=all,client=10.0.0.0/8,client=::1,comment=for all"})[0];
    const auto root = root_of(share);
    EXPECT_EQ(root.uid, 5u);
    EXPECT_EQ(root.gid, 6u);
    EXPECT_EQ(root.mode, 02770u);
    EXPECT_TRUE(share.read_only);
    EXPECT_EQ(share.squash, vfs::Squash::all);
    EXPECT_EQ(share.clients.size(), 2u);
    EXPECT_EQ(share.comment, "for all");
}

TEST_F(QuickStart, each_share_has_a_domain_of_its_own_and_they_come_sorted) {
    made({"b"});
    const auto shares = made({"c", "a"});
    ASSERT_EQ(shares.size(), 3u);
    EXPECT_EQ(shares[0].name, "a");
    EXPECT_EQ(shares[2].name, "c");
    EXPECT_EQ((std::set{shares[0].domain, shares[1].domain, shares[2].domain}).size(), 3u);
}

TEST_F(QuickStart, a_restart_finds_what_is_there) {
    const auto first = made({"a:mode=0700", "b"});
    const auto puts = records_.inner.puts;
    for (const auto& words : {std::vector<std::string>{}, {"a"}, {"a:mode=0700", "b"}}) {
        const auto again = made(words);
        ASSERT_EQ(again.size(), 2u);
        EXPECT_EQ(again[0].serialize(), first[0].serialize());
    }
    EXPECT_EQ(records_.inner.puts, puts);
}

TEST_F(QuickStart, a_contradiction_names_both_values) {
    made({"a:owner=5:6,mode=0700,squash=root,client=10.0.0.0/8"});
    EXPECT_THAT(refusal({"a:mode=0777"}), testing::AllOf(HasSubstr("\"a\""), HasSubstr("mode=0700"), HasSubstr("mode=0777")));
    EXPECT_THAT(refusal({"a:owner=7:6"}), testing::AllOf(HasSubstr("owner=5:6"), HasSubstr("owner=7:6"), HasSubstr("chown")));
    EXPECT_THAT(refusal({"a:squash=none"}), testing::AllOf(HasSubstr("squash=root"), HasSubstr("squash=none")));
    EXPECT_THAT(refusal({"a:client=10.0.0.0/16"}), testing::AllOf(HasSubstr("10.0.0.0/8"), HasSubstr("10.0.0.0/16")));
    EXPECT_THAT(refusal({"a:ro"}), testing::AllOf(HasSubstr("ro=no"), HasSubstr("ro=yes")));
    EXPECT_THAT(refusal({"a:comment=x"}), HasSubstr("comment=x"));
    made({"a:client=10.1.2.3/8"});
}

TEST_F(QuickStart, what_clients_did_to_owner_and_mode_contradicts_nothing) {
    const auto share = made({"a:owner=5:6,mode=0700"})[0];
    vfs::SetAttributes changed;
    changed.mode = 0775;
    changed.uid = 77;
    set(share, changed);
    made({"a:owner=5:6,mode=0700"});
    made({"a:owner=77:6,mode=0775"});
    EXPECT_EQ(root_of(share).mode, 0775u);
    EXPECT_THAT(refusal({"a:mode=0711"}), HasSubstr("mode=0775"));
}

TEST_F(QuickStart, a_name_that_differs_in_case_only_is_refused) {
    made({"Data"});
    EXPECT_THAT(refusal({"data"}), testing::AllOf(HasSubstr("\"data\""), HasSubstr("\"Data\"")));
}

TEST_F(QuickStart, a_directory_without_its_record_is_taken_over_as_asked_now) {
    records_.cut = true;
    EXPECT_FALSE(ensure({"a:mode=0700"}));
    records_.cut = false;
    const auto left = world_.run(fs_.lookup(ctx_, fs_.root(), "a"));
    ASSERT_TRUE(left);
    // Another share that is made before it must not get its domain.
    const auto b = made({"b"})[0];
    const auto a = made({"a:mode=0750,owner=9:9"})[0];
    EXPECT_EQ(a.root, left->id);
    EXPECT_NE(a.domain, b.domain);
    EXPECT_EQ(root_of(a).domain, a.domain);
    EXPECT_EQ(root_of(a).mode, 0750u);
    EXPECT_EQ(root_of(a).uid, 9u);
    made({"a:mode=0750,owner=9:9"});
}

TEST_F(QuickStart, something_else_of_that_name_is_not_taken_over) {
    vfs::CreateRequest request;
    request.type = vfs::FileType::directory;
    ASSERT_TRUE(world_.run(fs_.create(ctx_, fs_.root(), "plain", request)));
    EXPECT_THAT(refusal({"plain"}), HasSubstr("no share"));
}

TEST_F(QuickStart, a_damaged_record_is_named) {
    made({"a"});
    records_.inner.tables["share"]["a"] = "{";
    EXPECT_THAT(refusal({}, Errc::bad_message), HasSubstr("share \"a\""));
    records_.inner.tables["share"]["a"] = R"({"version":99})";
    EXPECT_THAT(refusal({}, Errc::bad_version), HasSubstr("share \"a\""));
}

TEST_F(QuickStart, a_share_whose_directory_is_gone_is_named) {
    made({"a"});
    ASSERT_TRUE(world_.run(fs_.remove(ctx_, fs_.root(), "a", vfs::RemoveKind::directory)));
    EXPECT_THAT(refusal({"a"}, Errc::stale), HasSubstr("share \"a\""));
}

TEST_F(QuickStart, the_mount_command_is_exact) {
    EXPECT_THAT(hints({"a"}, "127.0.0.1:12049"), HasSubstr("mount: sudo mount -t nfs4 -o port=12049 127.0.0.1:/a /mnt\n"));
    EXPECT_THAT(hints({"a"}, "[2001:db8::1]:2049"), HasSubstr("mount: sudo mount -t nfs4 [2001:db8::1]:/a /mnt\n"));
    EXPECT_THAT(hints({"a"}, "0.0.0.0:2049"), HasSubstr("mount: sudo mount -t nfs4 SERVER:/a /mnt\n"));
    EXPECT_THAT(hints({"a"}, "[::]:2050"), HasSubstr("-o port=2050 SERVER:/a /mnt\n"));
    EXPECT_THAT(hints({"a"}, "[::]:2050"), HasSubstr("SERVER is a name or address of this machine\n"));
    EXPECT_THAT(hints({"a"}, "0.0.0.0:2049", "192.0.2.7"), HasSubstr("mount: sudo mount -t nfs4 192.0.2.7:/a /mnt\n"));
    EXPECT_THAT(hints({"a"}, "192.0.2.8:2049", "192.0.2.7"), HasSubstr("nfs4 192.0.2.8:/a /mnt\n"));
}

TEST_F(QuickStart, without_a_share_a_hint_tells_how_to_make_one) {
    EXPECT_THAT(hints({}, "127.0.0.1:2049"), HasSubstr("--share NAME"));
    EXPECT_THAT(hints({"a"}, "127.0.0.1:2049"), Not(HasSubstr("--share NAME")));
}

TEST_F(QuickStart, the_machines_address_is_one_that_others_can_use) {
    const auto address = default_address();
    if (address.empty()) return;  // a machine without a route
    const auto endpoint = Endpoint::parse(address + ":1");
    ASSERT_TRUE(endpoint) << address;
    EXPECT_FALSE(endpoint->is_loopback());
    EXPECT_THAT(endpoint->address_string(), testing::AllOf(Not("0.0.0.0"), Not("::")));
}

TEST_F(QuickStart, a_name_is_one_word_to_the_shell) {
    EXPECT_THAT(hints({"it's $HOME; rm -rf"}, "127.0.0.1:2049"), HasSubstr("nfs4 '127.0.0.1:/it'\\''s $HOME; rm -rf' /mnt\n"));
}

TEST_F(QuickStart, a_hint_tells_who_cannot_write) {
    const auto hint = [this](const std::string& spec, std::string_view nfs) {
        const auto name = "s" + std::to_string(next_++);
        const auto text = hints({name + ":" + spec}, nfs);
        const auto at = text.find("share " + name);
        return at == std::string::npos ? std::string() : text.substr(at, text.find('\n', at) - at);
    };
    constexpr auto lan = "192.0.2.1:2049", local = "127.0.0.1:2049";
    EXPECT_EQ(hint("mode=0777", lan), "");
    EXPECT_THAT(hint("ro,mode=0777", lan), HasSubstr("read-only"));
    EXPECT_THAT(hint("owner=0:0", lan), HasSubstr("nobody can write"));
    EXPECT_THAT(hint("owner=0:0", lan), HasSubstr("--share NAME:owner=1000:1000"));
    // The share is there by now: what it was not given when it was made must come from a client.
    EXPECT_THAT(hint("owner=0:0", "0.0.0.0:2049"), testing::AllOf(HasSubstr("127.0.0.1:/s"), HasSubstr("chown or chmod")));
    EXPECT_THAT(hint("owner=0:0", "[::]:2049"), HasSubstr("[::1]:/s"));
    EXPECT_THAT(hint("owner=0:0,squash=root", "0.0.0.0:2049"), HasSubstr("--share NAME:owner"));
    EXPECT_THAT(hint("owner=0:0", local), HasSubstr("only root can write"));
    EXPECT_THAT(hint("owner=0:0,squash=root", local), HasSubstr("nobody can write"));
    EXPECT_THAT(hint("owner=5:6", lan), HasSubstr("only uid 5 can write"));
    EXPECT_THAT(hint("owner=5:6", local), HasSubstr("only uid 5 and root can write"));
    EXPECT_THAT(hint("owner=5:6,mode=0770", lan), HasSubstr("only uid 5 and gid 6 can write"));
    EXPECT_THAT(hint("owner=5:6,mode=0555", lan), HasSubstr("nobody can write"));
    EXPECT_THAT(hint("owner=5:6,squash=all", lan), HasSubstr("nobody can write"));
    EXPECT_EQ(hint("owner=65534:65534,squash=all", lan), "");
}

}  // namespace
}  // namespace strata

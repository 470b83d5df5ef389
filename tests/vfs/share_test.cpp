// SPDX-License-Identifier: Apache-2.0
// Shares: specs as people write them, networks, squashing, records, and the table.
#include "server/vfs/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::vfs {
namespace {

using testing::HasSubstr;

Endpoint address(std::string_view text) { return *Endpoint::parse(text); }

std::string refusal(std::string_view spec) {
    const auto parsed = ShareSpec::parse(spec);
    if (parsed) return "(accepted)";
    EXPECT_EQ(parsed.error().code, Errc::config);
    return parsed.error().detail;
}

Credentials person(std::uint32_t uid, std::uint32_t gid, std::initializer_list<std::uint32_t> groups = {}) {
    Credentials who{.uid = uid, .gid = gid, .groups = {}};
    for (const auto group : groups) who.groups.push_back(group);
    return who;
}

TEST(Network, a_bare_address_is_that_address_alone) {
    const auto one = *Network::parse("192.0.2.7");
    EXPECT_EQ(one.prefix, 32);
    EXPECT_TRUE(one.contains(address("192.0.2.7:5")));
    EXPECT_FALSE(one.contains(address("192.0.2.6:5")));
    EXPECT_EQ(Network::parse("::1")->prefix, 128);
}

TEST(Network, the_prefix_decides_to_the_bit) {
    const auto net = *Network::parse("10.32.0.0/11");
    EXPECT_TRUE(net.contains(address("10.63.255.255:1")));
    EXPECT_TRUE(net.contains(address("10.32.0.0:1")));
    EXPECT_FALSE(net.contains(address("10.64.0.0:1")));
    EXPECT_FALSE(net.contains(address("10.31.255.255:1")));
    const auto v6 = *Network::parse("2001:db8::/33");
    EXPECT_TRUE(v6.contains(address("[2001:db8:7fff::1]:1")));
    EXPECT_FALSE(v6.contains(address("[2001:db8:8000::1]:1")));
}

TEST(Network, everybody_of_one_family_is_prefix_zero) {
    EXPECT_TRUE(Network::parse("0.0.0.0/0")->contains(address("203.0.113.9:1")));
    EXPECT_FALSE(Network::parse("0.0.0.0/0")->contains(address("[2001:db8::1]:1")));
    EXPECT_TRUE(Network::parse("::/0")->contains(address("[2001:db8::1]:1")));
}

TEST(Network, a_mapped_address_is_the_ipv4_address_it_maps) {
    EXPECT_TRUE(Network::parse("192.0.2.0/24")->contains(address("[::ffff:192.0.2.1]:1")));
    EXPECT_EQ(Network::parse("::ffff:192.0.2.1")->to_string(), "192.0.2.1/32");
}

TEST(Network, bits_past_the_prefix_do_not_count) {
    EXPECT_EQ(Network::parse("192.0.2.77/24")->to_string(), "192.0.2.0/24");
    EXPECT_EQ(Network::parse("10.255.255.255/9")->to_string(), "10.128.0.0/9");
    EXPECT_EQ(Network::parse("2001:db8:ffff::1/32")->to_string(), "2001:db8::/32");
    EXPECT_EQ(Network::parse("1.2.3.4/0")->to_string(), "0.0.0.0/0");
}

TEST(Network, what_is_none_is_refused) {
    for (const auto* text : {"", "/", "/24", "here", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8", "::/129",
                             "[::1]", "10.0.0.0/8/8", "10.0.0.1:5"}) {
        EXPECT_FALSE(Network::parse(text)) << text;
    }
}

TEST(ShareSpec, a_name_alone_has_the_defaults) {
    const auto spec = *ShareSpec::parse("files");
    EXPECT_EQ(spec.share.name, "files");
    EXPECT_TRUE(spec.given.empty());
    EXPECT_FALSE(spec.uid || spec.mode);
    EXPECT_EQ(spec.share.squash, Squash::automatic);
    EXPECT_TRUE(spec.share.clients.empty());
}

TEST(ShareSpec, every_option_is_taken) {
    const auto spec =
        *ShareSpec::parse("a b:owner=1000:100,mode=2770,ro,squash=none,client=10.0.0.0/8,client=2001:db8::/32,comment=x y=z: w");
    EXPECT_EQ(spec.share.name, "a b");
    EXPECT_EQ(spec.uid, 1000u);
    EXPECT_EQ(spec.gid, 100u);
    EXPECT_EQ(spec.mode, 02770u);
    EXPECT_TRUE(spec.share.read_only);
    EXPECT_EQ(spec.share.squash, Squash::none);
    ASSERT_EQ(spec.share.clients.size(), 2u);
    EXPECT_EQ(spec.share.clients[1].to_string(), "2001:db8::/32");
    EXPECT_EQ(spec.share.comment, "x y=z: w");
    EXPECT_EQ(spec.given.size(), 6u);
}

TEST(ShareSpec, an_owner_without_a_group_is_of_his_own_group) {
    const auto spec = *ShareSpec::parse("a:owner=1000");
    EXPECT_EQ(spec.gid, 1000u);
}

TEST(ShareSpec, names_that_no_protocol_could_show_are_refused) {
    for (const auto* name : {"", ".", "..", "a/b", "a\\b", "/", "a\nb", "a\x7f", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80"}) {
        EXPECT_NE(refusal(name), "(accepted)") << name;
    }
    EXPECT_EQ(refusal(std::string(80, 'n')), "(accepted)");
    EXPECT_THAT(refusal(std::string(81, 'n')), HasSubstr("1 to 80 bytes, not 81"));
    EXPECT_EQ(refusal("Grüße-\xf0\x9f\x92\xbe"), "(accepted)");
}

TEST(ShareSpec, a_wrong_option_is_named) {
    EXPECT_THAT(refusal("a:color=red"), HasSubstr("unknown option \"color\""));
    EXPECT_THAT(refusal("a:mode=888"), HasSubstr("mode=888: expected an octal mode"));
    EXPECT_THAT(refusal("a:mode=10000"), HasSubstr("mode=10000"));
    EXPECT_THAT(refusal("a:mode="), HasSubstr("mode=: expected"));
    EXPECT_THAT(refusal("a:mode=-1"), HasSubstr("mode=-1"));
    EXPECT_THAT(refusal("a:owner=root:users"), HasSubstr("owner=root:users: expected UID:GID in numbers"));
    EXPECT_THAT(refusal("a:owner=1000:"), HasSubstr("owner=1000:"));
    EXPECT_THAT(refusal("a:owner=4294967296:1"), HasSubstr("owner=4294967296:1"));
    EXPECT_THAT(refusal("a:owner=4294967295:1"), HasSubstr("owner=4294967295:1"));
    EXPECT_THAT(refusal("a:squash=some"), HasSubstr("squash=some: expected auto, none, root or all"));
    EXPECT_THAT(refusal("a:client=mars"), HasSubstr("client=mars"));
    EXPECT_THAT(refusal("a:ro=no"), HasSubstr("ro takes no value"));
    EXPECT_THAT(refusal("a:rw"), HasSubstr("unknown option \"rw\""));
    EXPECT_THAT(refusal("a:,ro"), HasSubstr("unknown option \"\""));
    EXPECT_THAT(refusal("a:comment=\xff"), HasSubstr("UTF-8"));
}

TEST(ShareSpec, an_option_twice_is_refused_but_for_clients) {
    EXPECT_THAT(refusal("a:mode=0700,mode=0777"), HasSubstr("mode is given twice"));
    EXPECT_THAT(refusal("a:ro,ro"), HasSubstr("ro is given twice"));
    EXPECT_EQ(refusal("a:client=10.0.0.1,client=10.0.0.2"), "(accepted)");
}

TEST(ShareNames, are_the_same_without_regard_to_case) {
    EXPECT_TRUE(same_share_name("Data-1", "dATA-1"));
    EXPECT_FALSE(same_share_name("data", "data2"));
    EXPECT_FALSE(same_share_name("[", "{"));
}

TEST(Share, admits_everybody_without_networks_and_only_them_with) {
    Share share;
    EXPECT_TRUE(share.admits(address("203.0.113.1:9")));
    share.clients = {*Network::parse("10.0.0.0/8"), *Network::parse("2001:db8::/32")};
    EXPECT_TRUE(share.admits(address("10.9.9.9:9")));
    EXPECT_TRUE(share.admits(address("[2001:db8::9]:9")));
    EXPECT_FALSE(share.admits(address("203.0.113.1:9")));
    EXPECT_FALSE(share.admits(address("127.0.0.1:9")));
}

TEST(Squash, automatic_spares_root_on_loopback_only) {
    Share share;
    EXPECT_EQ(share.apply_squash(person(0, 0), address("127.3.2.1:9")).uid, 0u);
    EXPECT_EQ(share.apply_squash(person(0, 0), address("[::1]:9")).uid, 0u);
    EXPECT_EQ(share.apply_squash(person(0, 0), address("192.0.2.1:9")), person(65534, 65534));
}

TEST(Squash, root_becomes_anonymous_in_every_place_it_may_stand) {
    Share share;
    share.squash = Squash::root;
    share.anonymous_uid = 7;
    share.anonymous_gid = 8;
    const auto local = address("127.0.0.1:9");
    EXPECT_EQ(share.apply_squash(person(0, 0, {0, 5}), local), person(7, 8, {8, 5}));
    EXPECT_EQ(share.apply_squash(person(1000, 0, {5, 0}), local), person(1000, 8, {5, 8}));
    EXPECT_EQ(share.apply_squash(person(1000, 100, {5}), local), person(1000, 100, {5}));
}

TEST(Squash, none_changes_nobody_and_all_everybody) {
    Share share;
    share.squash = Squash::none;
    EXPECT_EQ(share.apply_squash(person(0, 0, {1}), address("192.0.2.1:9")), person(0, 0, {1}));
    share.squash = Squash::all;
    EXPECT_EQ(share.apply_squash(person(1000, 100, {5}), address("127.0.0.1:9")), person(65534, 65534));
}

Share full_share() {
    Share share;
    share.name = "Gr\xc3\xbc\xc3\x9f\x65 \"1\"";
    share.root = {0xffff'ffff'ffff'fff0, 7};
    share.domain = 9;
    share.comment = "for \\ all";
    share.read_only = true;
    share.clients = {*Network::parse("10.0.0.0/8"), *Network::parse("2001:db8::/32")};
    share.squash = Squash::all;
    share.anonymous_uid = 70;
    share.anonymous_gid = 71;
    share.made_uid = 1000;
    share.made_gid = 1001;
    share.made_mode = 02770;
    return share;
}

TEST(ShareRecord, what_was_written_is_read) {
    const Share share = full_share();
    const auto again = Share::parse(share.serialize());
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_EQ(again->serialize(), share.serialize());
    EXPECT_EQ(again->name, share.name);
    EXPECT_EQ(again->root, share.root);
    EXPECT_EQ(again->domain, 9u);
    EXPECT_EQ(again->comment, share.comment);
    EXPECT_TRUE(again->read_only);
    EXPECT_EQ(again->clients.size(), 2u);
    EXPECT_EQ(again->squash, Squash::all);
    EXPECT_EQ(again->anonymous_gid, 71u);
    EXPECT_EQ(again->made_mode, 02770u);
}

TEST(ShareRecord, every_member_is_needed_and_has_its_type) {
    const std::string good = full_share().serialize();
    for (std::size_t at = good.find('"'); at != std::string::npos; at = good.find(",\"", at + 1)) {
        std::string without = good;
        const auto start = good[at] == ',' ? at + 1 : at;
        without[start + 1] = '_';  // the member has another name now
        EXPECT_FALSE(Share::parse(without)) << without;
    }
    for (std::size_t size = 0; size < good.size(); ++size) {
        const auto cut = Share::parse(good.substr(0, size));
        ASSERT_FALSE(cut) << size;
        EXPECT_EQ(cut.error().code, Errc::bad_message);
    }
}

TEST(ShareRecord, nonsense_in_it_is_bad_message_and_a_later_version_bad_version) {
    const auto with = [](std::string_view from, std::string_view to) {
        std::string text = full_share().serialize();
        text.replace(text.find(from), from.size(), to);
        const auto parsed = Share::parse(text);
        return parsed ? Errc::internal : parsed.error().code;
    };
    EXPECT_EQ(with("\"version\":1", "\"version\":2"), Errc::bad_version);
    EXPECT_EQ(with("10.0.0.0/8", "10.0.0.0/80"), Errc::bad_message);
    EXPECT_EQ(with("\"all\"", "\"most\""), Errc::bad_message);
    EXPECT_EQ(with("\"domain\":9", "\"domain\":-9"), Errc::bad_message);
    EXPECT_EQ(with("\"domain\":9", "\"domain\":99999999999"), Errc::bad_message);
    EXPECT_EQ(with("\"name\":\"", "\"name\":\"/"), Errc::bad_message);
    EXPECT_EQ(with("\"read_only\":true", "\"read_only\":1"), Errc::bad_message);
}

TEST(ShareTable, a_snapshot_stays_as_it_was) {
    ShareTable table;
    const auto before = table.snapshot();
    const auto version = table.version();
    Share b, a;
    b.name = "b";
    a.name = "a";
    table.replace({b, a});
    EXPECT_TRUE(before->empty());
    EXPECT_GT(table.version(), version);
    ASSERT_EQ(table.snapshot()->size(), 2u);
    EXPECT_EQ(table.snapshot()->front().name, "a");
}

}  // namespace
}  // namespace strata::vfs

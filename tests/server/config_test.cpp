// SPDX-License-Identifier: Apache-2.0
// Flags and TOML: both ways to each setting, what is refused, and what the refusal tells.
#include "server/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/settings.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Config parsed(const std::vector<std::string>& arguments) {
    auto line = parse_command_line(arguments);
    EXPECT_TRUE(line) << line.error().detail;
    return line ? line->config : Config{};
}

std::string refusal(const std::vector<std::string>& arguments) {
    const auto line = parse_command_line(arguments);
    if (line) return "(accepted)";
    EXPECT_EQ(line.error().code, Errc::config);
    return line.error().detail;
}

Config parsed_toml(std::string_view text) {
    Config config;
    const auto done = parse_toml(text, "s.toml", config);
    EXPECT_TRUE(done) << done.error().detail;
    return config;
}

std::string toml_refusal(std::string_view text) {
    Config config;
    const auto done = parse_toml(text, "s.toml", config);
    if (done) return "(accepted)";
    EXPECT_EQ(done.error().code, Errc::config);
    return done.error().detail;
}

// A configuration file in a folder of its own.
class ConfigFile : public testing::Test {
protected:
    ConfigFile() {
        auto name = (std::filesystem::temp_directory_path() / "strata-config-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
    }
    ~ConfigFile() override { std::filesystem::remove_all(folder_); }
    std::string write(std::string_view text) {
        const std::string path = folder_ + "/s.toml";
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }
    std::string folder_;
};

TEST(CommandLine, the_data_folder_alone_serves_on_loopback) {
    const auto line = parse_command_line({"--data", "/d"});
    ASSERT_TRUE(line) << line.error().detail;
    EXPECT_EQ(line->verb, Verb::serve);
    EXPECT_EQ(line->config.data, "/d");
    EXPECT_EQ(line->config.nfs.to_string(), "127.0.0.1:12049");
    EXPECT_TRUE(line->config.stores.empty());
    EXPECT_FALSE(line->config.policy);
    EXPECT_EQ(line->config.grace_seconds(), 60);
}

TEST(CommandLine, each_flag_sets_its_member) {
    const Config c = parsed({"--data=/d",
                             "--store",
                             "/s1",
                             "--store=/s2",
                             "--policy",
                             "ec-4+2",
                             "--share",
                             "a:mode=0770",
                             "--share",
                             "b",
                             "--nfs=[::1]:2049",
                             "--nfs-lease=5",
                             "--nfs-grace",
                             "7",
                             "--nfs-connections",
                             "10",
                             "--threads",
                             "3",
                             "--memory",
                             "512",
                             "--segment-mib=8",
                             "--log-level",
                             "debug"});
    EXPECT_THAT(c.stores, ElementsAre("/s1", "/s2"));
    EXPECT_EQ(c.policy->to_string(), "ec-4+2");
    ASSERT_EQ(c.shares.size(), 2u);
    EXPECT_EQ(c.shares[0].mode, 0770u);
    EXPECT_EQ(c.shares[1].share.name, "b");
    EXPECT_EQ(c.nfs.to_string(), "[::1]:2049");
    EXPECT_TRUE(c.nfs.v6);
    EXPECT_EQ(c.nfs_lease_seconds, 5);
    EXPECT_EQ(c.grace_seconds(), 7);
    EXPECT_EQ(c.nfs_connections_max, 10u);
    EXPECT_EQ(c.threads, 3);
    EXPECT_EQ(c.memory_mib, 512u);
    EXPECT_EQ(c.segment_mib, 8u);
    EXPECT_EQ(c.log_level, LogLevel::debug);
}

TEST(CommandLine, each_verb_is_known) {
    EXPECT_EQ(parse_command_line({"check", "--data", "/d"})->verb, Verb::check);
    EXPECT_EQ(parse_command_line({"--data", "/d", "status"})->verb, Verb::status);
    EXPECT_EQ(parse_command_line({"scrub", "--data=/d"})->verb, Verb::scrub);
    EXPECT_EQ(parse_command_line({"--version"})->verb, Verb::version);
    for (const auto* help : {"--help", "-h", "help"}) EXPECT_EQ(parse_command_line({help})->verb, Verb::help) << help;
    EXPECT_EQ(parse_command_line({"--nonsense", "--help"})->verb, Verb::help);
}

TEST(CommandLine, disk_replace_takes_two_folders) {
    const auto line = parse_command_line({"disk", "replace", "/old/", "/a/../new", "--data", "/d"});
    ASSERT_TRUE(line) << line.error().detail;
    EXPECT_EQ(line->verb, Verb::disk_replace);
    EXPECT_THAT(line->operands, ElementsAre("/old", "/new"));
    EXPECT_THAT(refusal({"disk", "replace", "/old", "--data", "/d"}), HasSubstr("unknown command \"disk replace /old\""));
}

TEST(CommandLine, an_unknown_flag_names_the_nearest) {
    EXPECT_THAT(refusal({"--data", "/d", "--shar", "a"}), HasSubstr("unknown flag \"--shar\"; did you mean --share?"));
    EXPECT_THAT(refusal({"--data", "/d", "--nfs-leese=4"}), HasSubstr("\"--nfs-leese\"; did you mean --nfs-lease?"));
    EXPECT_THAT(refusal({"-d", "/d"}), HasSubstr("unknown flag \"-d\""));
    EXPECT_THAT(refusal({"--data", "/d", "serve"}), HasSubstr("unknown command \"serve\""));
}

TEST(CommandLine, a_flag_without_its_value_does_not_eat_the_next_flag) {
    EXPECT_EQ(refusal({"--data"}), "--data needs a value");
    EXPECT_EQ(refusal({"--data", "--share", "a"}), "--data needs a value");
    EXPECT_THAT(refusal({"--data="}), HasSubstr("--data \"\": a folder was expected"));
}

TEST(CommandLine, without_a_data_folder_it_says_so) { EXPECT_THAT(refusal({}), HasSubstr("--data DIR is needed")); }

TEST(CommandLine, a_flag_given_twice_names_both_values) {
    EXPECT_EQ(refusal({"--data", "/a", "--data", "/b"}), "--data is given twice: \"/a\" and \"/b\"");
    EXPECT_THAT(refusal({"--data", "/a", "--nfs", "127.0.0.1:1", "--nfs", "127.0.0.1:2"}),
                HasSubstr("\"127.0.0.1:1\" and \"127.0.0.1:2\""));
    EXPECT_THAT(refusal({"--data=/d", "--config", "/a", "--config", "/b"}), HasSubstr("--config is given twice: \"/a\" and \"/b\""));
}

TEST(CommandLine, a_nonsense_value_stands_in_the_message) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"--nfs-lease=soon", "\"soon\" is not a number from 1 to 3600"},
        {"--nfs-lease=0", "\"0\" is not a number"},
        {"--nfs-lease=-5", "\"-5\" is not a number"},
        {"--nfs-lease=99999999999999999999", "\"99999999999999999999\" is not a number"},
        {"--nfs-lease=", "\"\" is not a number"},
        {"--threads=2x", "\"2x\" is not a number"},
        {"--nfs-connections=-1", "\"-1\" is not a number"},
        {"--segment-mib=1", "\"1\" is not a number from 8 to 4096"},
        {"--policy=raid5", "raid5"},
        {"--policy=ec-1+9", "ec-1+9"},
        {"--log-level=loud", "\"loud\" is not debug, info, warning or error"},
        {"--nfs=localhost:2049", "localhost"},
        {"--nfs=127.0.0.1", "no ':PORT'"},
        {"--nfs=::1:2049", "needs brackets"},
        {"--nfs=[::1:2049", "brackets"},
        {"--nfs=127.0.0.1:65536", "65535"},
        {"--share=a:mode=999", "mode=999"},
        {"--share=", "1 to 80 bytes"},
    };
    for (const auto& [flag, text] : cases) EXPECT_THAT(refusal({"--data=/d", flag}), HasSubstr(text)) << flag;
}

TEST(CommandLine, all_that_is_wrong_is_told_at_once) {
    const auto text = refusal({"--data=/d", "--threads=x", "--colour=red", "--policy=raid5"});
    EXPECT_THAT(text, HasSubstr("--threads \"x\""));
    EXPECT_THAT(text, HasSubstr("--colour"));
    EXPECT_THAT(text, HasSubstr("raid5"));
}

TEST(CommandLine, a_message_shows_no_control_characters) {
    EXPECT_THAT(refusal({"--data=/d", "--log-level=\x1b[31mred"}), Not(HasSubstr("\x1b")));
    EXPECT_LT(refusal({"--data=/d", "--" + std::string(100'000, 'x')}).size(), 1000u);
}

TEST(CommandLine, folders_become_absolute) {
    const Config c = parsed({"--data", "d/", "--store", "./s//1/"});
    const auto here = std::filesystem::current_path().string();
    EXPECT_EQ(c.data, here + "/d");
    EXPECT_THAT(c.stores, ElementsAre(here + "/s/1"));
}

TEST(CommandLine, the_same_store_in_two_spellings_is_refused) {
    EXPECT_EQ(refusal({"--data=/d", "--store=/s/1", "--store=/s/./1/"}), "store \"/s/1\" is given twice");
    EXPECT_EQ(refusal({"--data=/d", "--store=/d/"}), "\"/d\" cannot be both the data folder and a store");
    EXPECT_THAT(refusal({"--data=/s/d", "--store=/s"}), HasSubstr("the data folder \"/s/d\" lies inside the store \"/s\""));
    EXPECT_THAT(refusal({"--data=/d", "--store=/s", "--store=/s/inner"}), HasSubstr("store \"/s/inner\" lies inside store \"/s\""));
    EXPECT_EQ(parsed({"--data=/d", "--store=/d/stores/0", "--store=/d/stores/01"}).stores.size(), 2u);
}

TEST(CommandLine, two_shares_that_differ_in_case_only_are_refused) {
    EXPECT_THAT(refusal({"--data=/d", "--share=a", "--share=a:ro"}), HasSubstr("share \"a\" is given twice"));
    EXPECT_THAT(refusal({"--data=/d", "--share=Data", "--share=data"}), HasSubstr("\"Data\" and \"data\" differ in case only"));
}

TEST(CommandLine, a_grace_period_shorter_than_the_lease_names_both) {
    EXPECT_THAT(refusal({"--data=/d", "--nfs-lease=90", "--nfs-grace=10"}),
                HasSubstr("nfs.grace_seconds (10) is shorter than nfs.lease_seconds (90)"));
}

TEST(CommandLine, every_setting_is_in_the_help_with_its_key) {
    for (const auto& setting : all_settings()) {
        EXPECT_THAT(help_text(), HasSubstr(setting.flag));
        EXPECT_THAT(help_text(), HasSubstr("[" + std::string(setting.key) + "]"));
    }
}

TEST(Toml, each_key_sets_its_member) {
    const Config c = parsed_toml(R"(
        data = "/d"
        stores = ["/s1", "/s2"]
        policy = "mirror-2"
        shares = ["a:owner=5:6", "b:ro"]
        limits.threads = 4
        [nfs]
        listen = "0.0.0.0:2049"
        lease_seconds = 15
        grace_seconds = 20
        connections_max = 1_000
        [log]
        level = "warning"
    )");
    EXPECT_EQ(c.data, "/d");
    EXPECT_THAT(c.stores, ElementsAre("/s1", "/s2"));
    EXPECT_EQ(c.policy->to_string(), "mirror-2");
    ASSERT_EQ(c.shares.size(), 2u);
    EXPECT_EQ(c.shares[0].uid, 5u);
    EXPECT_TRUE(c.shares[1].share.read_only);
    EXPECT_EQ(c.threads, 4);
    EXPECT_EQ(c.nfs.to_string(), "0.0.0.0:2049");
    EXPECT_EQ(c.nfs_lease_seconds, 15);
    EXPECT_EQ(c.grace_seconds(), 20);
    EXPECT_EQ(c.nfs_connections_max, 1000u);
    EXPECT_EQ(c.log_level, LogLevel::warning);
}

TEST(Toml, an_unknown_key_has_its_place_and_the_nearest_name) {
    EXPECT_EQ(toml_refusal("data = \"/d\"\npolicies = \"single\"\n"), "s.toml:2:1: unknown key \"policies\"; did you mean \"policy\"?");
    EXPECT_EQ(toml_refusal("[nfs]\n  lease_s = 5\n"), "s.toml:2:3: unknown key \"nfs.lease_s\"; did you mean \"nfs.listen\"?");
    EXPECT_EQ(toml_refusal("lease_seconds = 5"), "s.toml:1:1: unknown key \"lease_seconds\"; did you mean \"nfs.lease_seconds\"?");
    EXPECT_EQ(toml_refusal("[log]\nthreads = 5"), "s.toml:2:1: unknown key \"log.threads\"; did you mean \"limits.threads\"?");
    EXPECT_THAT(toml_refusal("[nsf]\nlisten = \"127.0.0.1:1\""), HasSubstr("unknown section \"nsf\"; did you mean \"nfs\"?"));
}

TEST(Toml, all_that_is_wrong_is_told_at_once) {
    const auto text = toml_refusal("polici = 1\n[nfs]\nlease_seconds = 0\n");
    EXPECT_THAT(text, HasSubstr("s.toml:1:1: unknown key \"polici\""));
    EXPECT_THAT(text, HasSubstr("s.toml:3:"));
    EXPECT_THAT(text, HasSubstr("nfs.lease_seconds: \"0\" is not a number"));
}

TEST(Toml, mistakes_come_in_the_order_of_the_file) {
    const auto text = toml_refusal("policy = 1\nnone = 1\ndata = 1\n[nfs]\nlisten = 1\n[limits]\nthreads = \"x\"\n");
    std::vector<std::size_t> places;
    for (const char* place : {"s.toml:1:", "s.toml:2:", "s.toml:3:", "s.toml:5:", "s.toml:7:"}) places.push_back(text.find(place));
    EXPECT_TRUE(std::ranges::is_sorted(places)) << text;
    EXPECT_NE(places.back(), std::string::npos) << text;
}

TEST(Toml, a_value_of_the_wrong_type_is_refused) {
    EXPECT_THAT(toml_refusal("data = 5"), HasSubstr("s.toml:1:8: data: expected a string"));
    EXPECT_THAT(toml_refusal("data = {x = 1}"), HasSubstr("data: expected a string"));
    EXPECT_THAT(toml_refusal("stores = \"/s\""), HasSubstr("stores: expected an array of strings"));
    EXPECT_THAT(toml_refusal("stores = [\"/s\", 7]"), HasSubstr("s.toml:1:17: stores: expected an array of strings"));
    EXPECT_THAT(toml_refusal("nfs.lease_seconds = \"60\""), HasSubstr("expected an integer"));
    EXPECT_THAT(toml_refusal("nfs.lease_seconds = 60.5"), HasSubstr("expected an integer"));
    EXPECT_THAT(toml_refusal("limits.threads = true"), HasSubstr("expected an integer"));
    EXPECT_THAT(toml_refusal("nfs = 5"), HasSubstr("\"nfs\" is a section"));
    EXPECT_THAT(toml_refusal("[[nfs]]\nlease_seconds = 5"), HasSubstr("\"nfs\" is a section"));
}

TEST(Toml, what_is_no_toml_has_its_place) {
    EXPECT_THAT(toml_refusal("data = \"/d\"\ndata = \"/e\""), HasSubstr("s.toml:2:"));
    EXPECT_THAT(toml_refusal("data = "), HasSubstr("s.toml:1:"));
    EXPECT_THAT(toml_refusal("data = \"\xff\""), HasSubstr("s.toml:1:"));
    EXPECT_THAT(toml_refusal(std::string(100'000, '[')), HasSubstr("s.toml:1:"));
}

TEST(Toml, a_folder_with_a_zero_byte_is_refused) { EXPECT_THAT(toml_refusal("data = \"/d\\u0000x\""), HasSubstr("zero byte")); }

TEST_F(ConfigFile, flags_win_over_it) {
    const auto path = write("data = \"/file\"\npolicy = \"single\"\n[nfs]\nlease_seconds = 9\n");
    const Config c = parsed({"--config", path, "--data", "/flag", "--nfs-lease=11"});
    EXPECT_EQ(c.data, "/flag");
    EXPECT_EQ(c.nfs_lease_seconds, 11);
    EXPECT_EQ(c.policy->to_string(), "single");
}

TEST_F(ConfigFile, a_repeated_flag_replaces_its_list_as_a_whole) {
    const auto path = write("data = \"/d\"\nstores = [\"/f1\", \"/f2\"]\nshares = [\"file\"]\n");
    EXPECT_THAT(parsed({"--config=" + path, "--store=/s"}).stores, ElementsAre("/s"));
    const auto shares = parsed({"--config=" + path, "--share=x", "--share=file:ro"}).shares;
    ASSERT_EQ(shares.size(), 2u);
    EXPECT_TRUE(shares[1].share.read_only);
    EXPECT_EQ(parsed({"--config=" + path}).shares.size(), 1u);
}

TEST_F(ConfigFile, its_mistakes_carry_its_name) {
    const auto path = write("\ndat = \"/d\"");
    EXPECT_THAT(refusal({"--config", path}), HasSubstr(path + ":2:1: unknown key \"dat\"; did you mean \"data\"?"));
}

TEST_F(ConfigFile, what_cannot_be_read_is_named) {
    EXPECT_THAT(refusal({"--data=/d", "--config", folder_ + "/absent"}), HasSubstr("/absent\": cannot be read"));
    EXPECT_THAT(refusal({"--data=/d", "--config", folder_}), HasSubstr("is a folder"));
    EXPECT_THAT(refusal({"--data=/d", "--config="}), HasSubstr("--config \"\": cannot be read"));
    EXPECT_THAT(refusal({"--data=/d", "--config", "/dev/zero"}), HasSubstr("larger than"));
}

}  // namespace
}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// node.json: what is saved is loaded, through power cuts; what is damaged is refused with advice.
#include "server/node_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/world.h"

namespace strata {
namespace {

using testing::HasSubstr;

NodeFile some_file(int stores) {
    NodeFile file;
    file.cluster = cluster::Uuid{1, 2, 3};
    file.policy = "ec-4+2";
    for (int i = 0; i < stores; ++i) {
        file.stores.push_back({cluster::Uuid{static_cast<std::uint8_t>(i + 10)}, "/mnt/d\"" + std::to_string(i)});
    }
    return file;
}

class NodeFileTest : public testing::Test {
protected:
    void write(std::string_view text) { ASSERT_TRUE(replace_file(*disk_, NodeFile::path, std::as_bytes(std::span(text)))); }
    Error refusal(std::string_view text) {
        write(text);
        const auto loaded = NodeFile::load(*disk_);
        if (loaded) return {Errc::internal, "(accepted)"};
        return loaded.error();
    }

    sim::World world_{1};
    std::shared_ptr<sim::SimDisk> disk_ = world_.make_disk("data", 16 << 20);
};

TEST_F(NodeFileTest, a_new_folder_has_none) {
    const auto loaded = NodeFile::load(*disk_);
    ASSERT_TRUE(loaded);
    EXPECT_FALSE(*loaded);
}

TEST_F(NodeFileTest, what_was_saved_is_loaded) {
    ASSERT_TRUE(some_file(3).save(*disk_));
    const auto loaded = NodeFile::load(*disk_);
    ASSERT_TRUE(loaded && *loaded);
    EXPECT_EQ((*loaded)->cluster, (cluster::Uuid{1, 2, 3}));
    EXPECT_EQ((*loaded)->policy, "ec-4+2");
    ASSERT_EQ((*loaded)->stores.size(), 3u);
    EXPECT_EQ((*loaded)->stores[2].identity, cluster::Uuid{12});
    EXPECT_EQ((*loaded)->stores[2].folder, "/mnt/d\"2");
}

TEST_F(NodeFileTest, it_outlives_a_power_cut_once_saved) {
    for (int stores = 0; stores < 20; ++stores) {
        ASSERT_TRUE(some_file(stores).save(*disk_));
        disk_->power_cut();
        const auto loaded = NodeFile::load(*disk_);
        ASSERT_TRUE(loaded && *loaded) << "after " << stores;
        EXPECT_EQ((*loaded)->stores.size(), static_cast<std::size_t>(stores));
    }
}

TEST_F(NodeFileTest, a_save_that_fails_leaves_the_old_or_the_new_one) {
    ASSERT_TRUE(some_file(1).save(*disk_));
    int failed = 0;
    for (int round = 0; round < 200; ++round) {
        disk_->set_faults({.write_error = 0.3, .sync_error = 0.3});
        const auto saved = some_file(2).save(*disk_);
        disk_->set_faults({});
        disk_->power_cut();
        const auto loaded = NodeFile::load(*disk_);
        ASSERT_TRUE(loaded && *loaded) << "round " << round;
        const auto stores = (*loaded)->stores.size();
        if (saved)
            EXPECT_EQ(stores, 2u);
        else
            ++failed;
        EXPECT_TRUE(stores == 1 || stores == 2) << stores;
        ASSERT_TRUE(some_file(1).save(*disk_));
    }
    EXPECT_GT(failed, 0);
}

TEST_F(NodeFileTest, a_damaged_one_is_refused_with_what_to_do) {
    ASSERT_TRUE(some_file(1).save(*disk_));
    const auto whole = *read_file(*disk_, NodeFile::path);
    const std::string good(reinterpret_cast<const char*>(whole.data()), whole.size());
    const auto damaged = [&](std::string_view from, std::string_view to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        return text;
    };
    const std::vector<std::string> cases{
        "",
        "[]",
        good.substr(0, good.size() / 2),
        std::string(1000, '['),
        damaged("\"cluster\"", "\"klaster\""),
        damaged("\"stores\":[", "\"stores\":[7,"),
        damaged("0102", "010"),
        damaged("0102", "zz02"),
        damaged("/mnt/d\\\"0", ""),
        damaged("ec-4+2", "ec-4+"),
        damaged("\"policy\"", "\"politics\""),
    };
    for (const auto& text : cases) {
        const auto error = refusal(text);
        EXPECT_EQ(error.code, Errc::corrupt) << text;
        EXPECT_THAT(error.detail, HasSubstr("node.json")) << text;
        EXPECT_THAT(error.detail, HasSubstr("name every store with --store")) << text;
    }
}

TEST_F(NodeFileTest, one_store_twice_is_refused) {
    auto file = some_file(2);
    file.stores[1].identity = file.stores[0].identity;
    ASSERT_TRUE(file.save(*disk_));
    EXPECT_EQ(NodeFile::load(*disk_).error().code, Errc::corrupt);
}

TEST_F(NodeFileTest, a_later_version_is_refused_as_such) {
    const auto error = refusal(R"({"version":2,"cluster":"x","stores":[]})");
    EXPECT_EQ(error.code, Errc::bad_version);
    EXPECT_THAT(error.detail, HasSubstr("version"));
}

TEST_F(NodeFileTest, a_disk_that_cannot_be_read_is_no_new_folder) {
    ASSERT_TRUE(some_file(1).save(*disk_));
    disk_->set_faults({.failed = true});
    EXPECT_EQ(NodeFile::load(*disk_).error().code, Errc::io);
}

}  // namespace
}  // namespace strata

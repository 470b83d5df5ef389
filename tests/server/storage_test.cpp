// SPDX-License-Identifier: Apache-2.0
// Storage as its administrator meets it: too few stores for a policy, stores inside stores, replacing lost ones, looking without making.
#include "server/storage.h"

#include <map>

#include <boost/asio/co_spawn.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/world.h"

namespace strata {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class StorageTest : public testing::Test {
protected:
    ~StorageTest() override { close(); }

    // A folder that exists, as a mounted disk does.
    sim::SimDisk& disk(const std::string& folder) {
        auto& disk = disks_[folder];
        if (disk == nullptr) disk = world_.make_disk(folder, 256 << 20);
        return *disk;
    }
    OpenDisk opener() {
        return [this](const std::string& folder, bool create) -> Result<std::unique_ptr<Disk>> {
            if (!disks_.contains(folder) && !create) return fail(Errc::not_found, "opening " + folder + ": No such file or directory");
            return disk(folder).mount();
        };
    }
    Result<> open(std::vector<std::string> stores, std::optional<std::string> policy = {}, bool background = true) {
        close();
        StorageConfig config;
        config.data = "/data";
        config.stores = std::move(stores);
        if (policy) config.policy = *cluster::Policy::parse(*policy);
        config.segments.segment_bytes = config.segments.log_reserve_bytes = 1 << 20;
        config.metadata.log.segment_bytes = config.metadata.log_bytes_max = 64 << 10;
        config.metadata.wal_pages_max = 100;
        config.background = background;
        auto opened = world_.run(Storage::open(ctx_, world_.runtime(), opener(), std::move(config)), 300s);
        if (!opened) return fail(std::move(opened.error()));
        storage_ = std::move(*opened);
        return {};
    }
    void close() {
        if (storage_ == nullptr) return;
        EXPECT_TRUE(world_.run(storage_->close(ctx_), 300s));
        storage_.reset();
    }
    std::string refusal(const Result<>& done, Errc code = Errc::config) {
        if (done) return "(accepted)";
        EXPECT_EQ(done.error().code, code) << done.error().detail;
        return done.error().detail;
    }
    Result<> replace(const std::string& lost, const std::string& fresh) {
        return world_.run(storage_->replace_store(ctx_, lost, fresh), 300s);
    }
    std::set<int> numbers() const {
        std::set<int> numbers;
        for (const auto& member : storage_->stores().members()) numbers.insert(member.index);
        return numbers;
    }

    sim::World world_{1};
    Credentials superuser_ = Credentials::superuser();
    CommitPoint commit_point_;
    Context ctx_{.clock = &world_.clock(), .caller = &superuser_, .commit_point = &commit_point_};
    std::map<std::string, std::shared_ptr<sim::SimDisk>> disks_;
    std::unique_ptr<Storage> storage_;
};

TEST_F(StorageTest, a_volume_does_not_begin_with_fewer_stores_than_its_policy_needs) {
    EXPECT_THAT(refusal(open({}, "mirror-2")), AllOf(HasSubstr("mirror-2 needs 2 stores"), HasSubstr("1 is given")));
    EXPECT_THAT(refusal(open({"/a", "/b"}, "ec-4+2")), AllOf(HasSubstr("needs 6 stores, and 2 are given"), HasSubstr("mirror-2")));
    EXPECT_FALSE(disks_.contains("/a")) << "nothing is made for a volume that cannot be";
    ASSERT_TRUE(open({"/a", "/b"}, "mirror-2"));
    EXPECT_EQ(storage_->policy().to_string(), "mirror-2");
}

TEST_F(StorageTest, stores_that_are_lost_later_do_not_keep_a_volume_from_opening) {
    ASSERT_TRUE(open({"/a", "/b", "/c"}, "ec-2+1"));
    close();
    disks_.erase("/b");
    EXPECT_TRUE(open({"/a", "/b", "/c"}, "ec-2+1"));
    close();
    disks_.erase("/data");  // the data folder too: the stores tell that the volume is no new one
    EXPECT_TRUE(open({"/a", "/c"}, "ec-2+1"));
}

TEST_F(StorageTest, another_policy_than_the_volume_has_is_refused_with_both) {
    ASSERT_TRUE(open({"/a", "/b"}));
    EXPECT_THAT(refusal(open({}, "single")), AllOf(HasSubstr("mirror-2"), HasSubstr("single")));
    EXPECT_TRUE(open({}, "mirror-2"));
}

TEST_F(StorageTest, a_store_inside_one_of_an_earlier_start_is_refused) {
    ASSERT_TRUE(open({"/disks/a", "/disks/b"}));
    EXPECT_THAT(refusal(open({"/disks/a/sub"})), HasSubstr("/disks/a/sub lies inside the store /disks/a"));
    EXPECT_THAT(refusal(open({"/disks"})), HasSubstr("lies inside /disks"));
    EXPECT_FALSE(disks_.contains("/disks/a/sub"));
    EXPECT_TRUE(open({"/disks/a2"}));
}

TEST_F(StorageTest, a_lost_store_is_not_replaced_by_a_folder_inside_another) {
    ASSERT_TRUE(open({"/a", "/b"}));
    close();
    disks_.erase("/b");
    ASSERT_TRUE(open({}));
    EXPECT_THAT(refusal(replace("/b", "/a/b")), HasSubstr("inside the store /a"));
    EXPECT_THAT(refusal(replace("/b", "/")), HasSubstr("the data folder /data lies inside"));
    EXPECT_FALSE(disks_.contains("/a/b"));
    EXPECT_TRUE(replace("/b", "/b2"));
}

TEST_F(StorageTest, two_replacements_at_once_never_give_one_number_twice) {
    ASSERT_TRUE(open({"/a", "/b", "/c"}, "mirror-3"));
    close();
    disks_.erase("/b");
    disks_.erase("/c");
    ASSERT_TRUE(open({}));
    std::optional<Result<>> first, second;
    const std::string b = "/b", b2 = "/b2", c = "/c", c2 = "/c2";
    const auto start = [&](std::optional<Result<>>& outcome, const std::string& lost, const std::string& fresh) {
        boost::asio::co_spawn(world_.executor(), storage_->replace_store(ctx_, lost, fresh),
                              [&outcome](std::exception_ptr, Result<> result) { outcome = std::move(result); });
    };
    start(first, b, b2);
    start(second, c, c2);
    world_.run_for(60s);
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(*first);
    EXPECT_THAT(refusal(*second, Errc::busy), HasSubstr("another disk replace"));
    EXPECT_TRUE(replace("/c", "/c2"));
    EXPECT_EQ(numbers(), (std::set{0, 3, 4}));
}

TEST_F(StorageTest, who_only_looks_makes_no_store) {
    ASSERT_TRUE(open({"/a"}));
    EXPECT_THAT(refusal(open({"/a", "/new"}, {}, false), Errc::not_found), HasSubstr("store /new"));
    disk("/empty");
    EXPECT_THAT(refusal(open({"/a", "/empty"}, {}, false)), HasSubstr("none is made"));
    EXPECT_FALSE(disks_.contains("/new"));
    EXPECT_TRUE(open({"/a"}, {}, false));
}

}  // namespace
}  // namespace strata

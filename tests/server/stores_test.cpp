// SPDX-License-Identifier: Apache-2.0
// Opening stores: what is made, what is taken over, what is missing, and what is refused; nothing is ever made anew in a lost one's place.
#include "server/stores.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/chunk/store_identity.h"
#include "tests/sim/world.h"

namespace strata {
namespace {

using cluster::StoreState;
using cluster::Uuid;
using testing::HasSubstr;

constexpr Uuid ours{7}, theirs{8};

// Counts, on each disk, the calls that change something, and fails all from the one after `budget` on: a process that is killed there.
class Dying final : public Disk {
public:
    Dying(std::unique_ptr<Disk> disk, int& budget) : disk_(std::move(disk)), budget_(budget) {}
    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
        if (mode != OpenMode::read) CHECK_OK(spend());
        return disk_->open(path, mode);
    }
    Result<bool> exists(std::string_view path) override { return disk_->exists(path); }
    Result<> remove(std::string_view path) override {
        return spend([&] { return disk_->remove(path); });
    }
    Result<> rename(std::string_view from, std::string_view to) override {
        return spend([&] { return disk_->rename(from, to); });
    }
    Result<> make_folder(std::string_view path) override {
        return spend([&] { return disk_->make_folder(path); });
    }
    Result<> remove_folder(std::string_view path) override {
        return spend([&] { return disk_->remove_folder(path); });
    }
    Result<std::vector<std::string>> list(std::string_view folder) override { return disk_->list(folder); }
    Result<> sync_folder(std::string_view folder) override {
        return spend([&] { return disk_->sync_folder(folder); });
    }
    Result<DiskSpace> space() override { return disk_->space(); }
    std::string description() const override { return disk_->description(); }

private:
    Result<> spend() { return budget_-- > 0 ? Result<>() : fail(Errc::io, "killed"); }
    template <class F>
    Result<> spend(F call) {
        CHECK_OK(spend());
        return call();
    }
    std::unique_ptr<Disk> disk_;
    int& budget_;
};

class Stores : public testing::Test {
protected:
    Stores() { node_.cluster = ours; }
    ~Stores() override { close(); }

    // A folder that exists, as a mounted disk does.
    sim::SimDisk& disk(const std::string& folder) {
        auto& disk = disks_[folder];
        if (disk == nullptr) disk = world_.make_disk(folder, 64 << 20);
        return *disk;
    }
    void write(const std::string& folder, std::string_view path, std::string_view text) {
        ASSERT_TRUE(replace_file(disk(folder), path, std::as_bytes(std::span(text))));
    }
    OpenDisk opener() {
        return [this](const std::string& folder, bool create) -> Result<std::unique_ptr<Disk>> {
            if (refused_.contains(folder)) return fail(Errc::access, "opening " + folder + ": Permission denied");
            if (!disks_.contains(folder) && !create) return fail(Errc::not_found, "opening " + folder + ": No such file or directory");
            return std::make_unique<Dying>(disk(folder).mount(), budget_);
        };
    }
    Result<> open(std::vector<std::string> folders) {
        close();
        cluster::SegmentStoreConfig config;
        config.segment_bytes = config.log_reserve_bytes = 1 << 20;
        const auto open_disk = opener();
        auto opened = world_.run(open_stores(ctx_, world_.runtime(), open_disk, *pool_, node_, std::move(folders), config));
        if (!opened) return fail(opened.error());
        opened_ = std::move(*opened);
        return {};
    }
    void close() {
        for (auto& store : opened_) {
            if (store.store) world_.run(store.store->close());
        }
        opened_.clear();
    }
    std::string refusal(std::vector<std::string> folders, Errc code = Errc::config) {
        const auto done = open(std::move(folders));
        if (done) return "(accepted)";
        EXPECT_EQ(done.error().code, code) << done.error().detail;
        return done.error().detail;
    }
    std::vector<std::string> remembered() const {
        std::vector<std::string> folders;
        for (const auto& store : node_.stores) folders.push_back(store.folder);
        return folders;
    }

    sim::World world_{1};
    std::unique_ptr<Pool> pool_ = world_.runtime().make_pool("blocking", 1);
    Context ctx_{.clock = &world_.clock()};
    std::map<std::string, std::shared_ptr<sim::SimDisk>> disks_;
    std::set<std::string> refused_;
    int budget_ = 1'000'000;
    NodeFile node_;
    std::vector<OpenedStore> opened_;
};

TEST_F(Stores, an_absent_folder_and_an_empty_one_are_made_stores) {
    disk("/empty");
    ASSERT_TRUE(open({"/absent", "/empty"}));
    ASSERT_EQ(opened_.size(), 2u);
    for (const auto& store : opened_) {
        EXPECT_TRUE(store.fresh);
        EXPECT_EQ(store.state, StoreState::online);
        EXPECT_TRUE(store.store);
        EXPECT_EQ(cluster::read_identity(disk(store.folder))->cluster, ours);
    }
    EXPECT_NE(opened_[0].identity, opened_[1].identity);
    EXPECT_THAT(remembered(), testing::ElementsAre("/absent", "/empty"));
}

TEST_F(Stores, a_fresh_file_system_counts_as_empty) {
    ASSERT_TRUE(disk("/new").make_folder("lost+found"));
    ASSERT_TRUE(open({"/new"}));
    EXPECT_TRUE(opened_[0].fresh);
}

TEST_F(Stores, known_ones_are_opened_again_with_or_without_being_named) {
    ASSERT_TRUE(open({"/a", "/b"}));
    const auto identity = opened_[1].identity;
    for (const auto& folders : {std::vector<std::string>{}, {"/b"}, {"/b", "/a"}}) {
        ASSERT_TRUE(open(folders));
        ASSERT_EQ(opened_.size(), 2u);
        EXPECT_EQ(opened_[1].identity, identity);
        EXPECT_FALSE(opened_[1].fresh);
        EXPECT_EQ(opened_[1].state, StoreState::online);
    }
    EXPECT_EQ(node_.stores.size(), 2u);
}

TEST_F(Stores, a_folder_with_other_things_in_it_is_refused_and_left_alone) {
    write("/home", "letter.txt", "dear all");
    EXPECT_THAT(refusal({"/home"}), HasSubstr("store /home: the folder is neither empty nor a store"));
    EXPECT_THAT(*disk("/home").list(""), testing::ElementsAre("letter.txt"));
    EXPECT_TRUE(node_.stores.empty());
}

TEST_F(Stores, segments_without_an_identity_are_no_empty_folder) {
    write("/s", "store.identity.new", "half");
    ASSERT_TRUE(disk("/s").make_folder("segments"));
    write("/s", "segments/0000000000000001", "somebody's bytes");
    EXPECT_THAT(refusal({"/s"}), HasSubstr("neither empty nor a store"));
    EXPECT_TRUE(*disk("/s").exists("segments/0000000000000001"));
}

TEST_F(Stores, a_known_one_whose_folder_is_gone_is_missing_and_not_made_anew) {
    ASSERT_TRUE(open({"/a", "/b"}));
    const auto lost = opened_[0].identity;
    close();
    disks_.erase("/a");
    ASSERT_TRUE(open({"/a", "/b"}));
    ASSERT_EQ(opened_.size(), 2u);
    EXPECT_EQ(opened_[0].state, StoreState::missing);
    EXPECT_EQ(opened_[0].identity, lost);
    EXPECT_FALSE(opened_[0].store);
    ASSERT_TRUE(opened_[0].why);
    EXPECT_THAT(opened_[0].why->detail, HasSubstr("/a"));
    EXPECT_EQ(opened_[1].state, StoreState::online);
    EXPECT_FALSE(disks_.contains("/a"));
    EXPECT_EQ(node_.stores.size(), 2u);
}

TEST_F(Stores, an_unmounted_one_is_not_mistaken_for_an_empty_one) {
    ASSERT_TRUE(open({"/a", "/b"}));
    const auto lost = opened_[0].identity;
    close();
    auto unmounted = std::exchange(disks_["/a"], world_.make_disk("mount point", 64 << 20));
    ASSERT_TRUE(open({"/a", "/b"}));
    EXPECT_EQ(opened_[0].state, StoreState::missing);
    EXPECT_THAT(opened_[0].why->detail, HasSubstr("is its disk mounted?"));
    EXPECT_TRUE(disk("/a").list("")->empty());
    // Mounted again it is the same store.
    disks_["/a"] = unmounted;
    ASSERT_TRUE(open({}));
    EXPECT_EQ(opened_[0].state, StoreState::online);
    EXPECT_EQ(opened_[0].identity, lost);
}

TEST_F(Stores, another_store_in_a_known_ones_folder_leaves_it_missing) {
    ASSERT_TRUE(open({"/a", "/b"}));
    close();
    std::swap(disks_["/a"], disks_["/b"]);
    ASSERT_TRUE(open({}));
    EXPECT_EQ(opened_[0].state, StoreState::missing);
    EXPECT_EQ(opened_[1].state, StoreState::missing);
    EXPECT_THAT(opened_[0].why->detail, HasSubstr("holds another store than before"));
}

TEST_F(Stores, one_that_moved_is_found_in_its_new_folder) {
    ASSERT_TRUE(open({"/a", "/b"}));
    const auto moved = opened_[0].identity;
    close();
    disks_["/new"] = disks_["/a"];
    disks_.erase("/a");
    ASSERT_TRUE(open({"/new", "/b"}));
    ASSERT_EQ(opened_.size(), 2u);
    const auto it = std::ranges::find(opened_, moved, &OpenedStore::identity);
    ASSERT_NE(it, opened_.end());
    EXPECT_EQ(it->folder, "/new");
    EXPECT_EQ(it->state, StoreState::online);
    EXPECT_FALSE(it->fresh);
    EXPECT_THAT(remembered(), testing::UnorderedElementsAre("/new", "/b"));
    ASSERT_TRUE(open({}));
    EXPECT_EQ(opened_.size(), 2u);
}

TEST_F(Stores, the_same_store_under_two_folders_is_refused_naming_both) {
    ASSERT_TRUE(open({"/a"}));
    close();
    disks_["/link"] = disks_["/a"];
    const auto text = refusal({"/a", "/link"});
    EXPECT_THAT(text, HasSubstr("/link"));
    EXPECT_THAT(text, HasSubstr("/a holds too"));
    EXPECT_THAT(remembered(), testing::ElementsAre("/a"));
    ASSERT_TRUE(open({"/a"}));
}

TEST_F(Stores, another_clusters_store_is_refused) {
    ASSERT_TRUE(cluster::format_store(disk("/foreign"), theirs, world_.random()));
    EXPECT_THAT(refusal({"/a", "/foreign"}), HasSubstr("store /foreign: belongs to another cluster"));
    EXPECT_TRUE(node_.stores.empty());
}

TEST_F(Stores, one_that_was_made_while_the_node_file_was_not_written_is_taken_over) {
    ASSERT_TRUE(open({"/a"}));
    const auto identity = opened_[0].identity;
    node_.stores.clear();
    ASSERT_TRUE(open({"/a"}));
    EXPECT_FALSE(opened_[0].fresh);
    EXPECT_EQ(opened_[0].identity, identity);
}

TEST_F(Stores, making_one_may_be_cut_short_anywhere_and_done_again) {
    int points = 0;
    for (int calls = 0; calls < 100; ++calls) {
        const auto folder = "/s" + std::to_string(calls);
        budget_ = calls;
        const auto cut = open({folder});
        close();
        budget_ = 1'000'000;
        disk(folder).power_cut();
        node_.stores.clear();
        ASSERT_TRUE(open({folder})) << "after " << calls << " calls";
        EXPECT_EQ(opened_[0].state, StoreState::online);
        if (cut) break;
        ++points;
    }
    EXPECT_GT(points, 3);
    EXPECT_LT(points, 100);
}

TEST_F(Stores, a_damaged_identity_makes_it_failed_and_says_so) {
    ASSERT_TRUE(open({"/a", "/b"}));
    close();
    write("/a", cluster::identity_path, "strata-store 1\nuuid nonsense\n");
    ASSERT_TRUE(open({}));
    EXPECT_EQ(opened_[0].state, StoreState::failed);
    EXPECT_EQ(opened_[0].why->code, Errc::corrupt);
    EXPECT_THAT(opened_[0].why->detail, HasSubstr("/a"));
    EXPECT_EQ(opened_[1].state, StoreState::online);
}

TEST_F(Stores, a_known_one_on_a_broken_disk_is_failed_and_the_others_serve) {
    ASSERT_TRUE(open({"/a", "/b"}));
    close();
    disk("/a").set_faults({.failed = true});
    ASSERT_TRUE(open({"/a", "/b"}));
    EXPECT_EQ(opened_[0].state, StoreState::failed);
    EXPECT_EQ(opened_[0].why->code, Errc::io);
    EXPECT_EQ(opened_[1].state, StoreState::online);
}

TEST_F(Stores, one_that_may_not_be_opened_is_failed_if_known_and_refused_if_new) {
    refused_ = {"/b"};
    EXPECT_THAT(refusal({"/b"}, Errc::access), HasSubstr("store /b: opening /b: Permission denied"));
    refused_ = {};
    ASSERT_TRUE(open({"/b"}));
    refused_ = {"/b"};
    ASSERT_TRUE(open({}));
    EXPECT_EQ(opened_[0].state, StoreState::failed);
}

TEST_F(Stores, a_new_one_on_a_broken_disk_is_refused_and_the_others_are_closed) {
    disk("/bad").set_faults({.failed = true});
    EXPECT_THAT(refusal({"/a", "/bad"}, Errc::io), HasSubstr("/bad"));
    EXPECT_TRUE(node_.stores.empty());
}

TEST_F(Stores, a_disk_without_room_for_an_identity_is_refused) {
    disk("/full").set_capacity(0);
    EXPECT_THAT(refusal({"/full"}, Errc::no_space), HasSubstr("/full"));
}

TEST_F(Stores, the_cluster_is_known_from_any_of_its_stores) {
    const auto of = [&](const std::vector<std::string>& folders) { return cluster_of_stores(opener(), folders); };
    disk("/empty");
    EXPECT_FALSE(*of({"/absent", "/empty"}));
    ASSERT_TRUE(cluster::format_store(disk("/ours"), ours, world_.random()));
    EXPECT_EQ(*of({"/absent", "/empty", "/ours"}), ours);
    ASSERT_TRUE(cluster::format_store(disk("/theirs"), theirs, world_.random()));
    const auto both = of({"/ours", "/theirs"});
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, Errc::config);
    EXPECT_THAT(both.error().detail, HasSubstr("/ours and /theirs belong to different clusters"));
}

}  // namespace
}  // namespace strata

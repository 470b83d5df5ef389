// SPDX-License-Identifier: Apache-2.0
// Metadata on full disks: growth is refused in time, removals go on, nothing is lost, and room that comes back is used.
#include <gtest/gtest.h>

#include "cluster/meta/sqlite_meta_store.h"
#include "server/base/task_group.h"
#include "tests/cluster/meta/volume_under_test.h"
#include "tests/sim/world.h"

namespace strata::cluster {
namespace {

constexpr std::uint64_t small_disk = 40u << 20;
constexpr int batch = 200;

struct SmallVolume {
    explicit SmallVolume(std::uint64_t bytes = small_disk) : world(7), disk(world.make_disk("d", bytes)) {
        config.copies = 1;
        config.create = true;
        config.cache = {.writer_bytes = 4 << 20, .reader_bytes = 1 << 20};
    }
    ~SmallVolume() { abandon(); }

    Result<> open() {
        auto opened = world.run(open_meta_store(world.runtime(), {{Uuid{1}, disk->mount()}}, config));
        if (!opened) return fail(opened.error());
        store = std::move(*opened);
        return {};
    }
    void abandon() {
        if (store != nullptr) world.run(store->abandon());
        store.reset();
    }
    Context ctx() { return {.clock = &world.clock()}; }
    Result<> durable() { return world.run(store->durable().wait(last, world.clock(), Instant::max())); }

    std::string name(InodeNumber number) const { return std::string(180, 'n') + std::to_string(number); }
    Result<> create() {
        CHECK_OK(world.run(store->admit_growth(ctx())));
        InodeRow row;
        row.number = ++created + 1;
        row.type = vfs::FileType::symlink;
        row.symlink = std::string(100, 's');
        EntryRow entry;
        entry.parent = 1;
        entry.name = entry.folded = name(row.number);
        entry.cookie = row.number;
        entry.child = row.number;
        last = store->submit({PutEntry{entry}, PutInode{row}});
        if (created % batch == 0) CHECK_OK(durable());
        return {};
    }
    void remove(InodeNumber number) { last = store->submit({DeleteEntry{{1, name(number)}}, DeleteInode{number}}); }

    sim::World world;
    std::shared_ptr<sim::SimDisk> disk;
    MetaStoreConfig config;
    std::unique_ptr<SqliteMetaStore> store;
    InodeNumber created = 0;
    LogIndex last = 0;
};

TEST(FullMetadataDisk, creates_are_refused_in_time_and_removals_make_room_even_over_a_restart) {
    SmallVolume v;
    ASSERT_TRUE(v.open());
    Result<> refused;
    while (refused && v.created < 200'000) refused = v.create();
    ASSERT_FALSE(refused) << "never full";
    EXPECT_EQ(refused.error(), Errc::no_space);
    EXPECT_GT(v.created, 5000u);
    EXPECT_FALSE(v.store->has_room());
    ASSERT_TRUE(v.durable());

    v.abandon();  // as a crash leaves it
    ASSERT_TRUE(v.open());
    EXPECT_EQ(v.store->live_copies(), 1);
    EXPECT_EQ(v.store->volume().inode_count, v.created);
    v.last = v.store->durable().value();
    for (refused = {}; refused;) refused = v.create();  // what the logs took is free again
    EXPECT_EQ(refused.error(), Errc::no_space);

    for (InodeNumber number = 2; number <= v.created + 1; ++number) {
        v.remove(number);
        if (number % batch == 0) ASSERT_TRUE(v.durable());
    }
    for (int i = 0; i < 2000; ++i) {
        const auto again = v.create();
        ASSERT_TRUE(again) << i << " " << to_string(again.error());
    }
    ASSERT_TRUE(v.durable());
    EXPECT_TRUE(v.store->has_room());
    const auto closed = v.world.run(v.store->close(v.ctx()));
    v.store.reset();
    EXPECT_TRUE(closed) << to_string(closed.error());
}

TEST(FullMetadataDisk, a_disk_that_others_filled_is_waited_for_and_not_given_up) {
    SmallVolume v;
    ASSERT_TRUE(v.open());
    for (int i = 0; i < batch; ++i) ASSERT_TRUE(v.create());
    ASSERT_TRUE(v.durable());
    v.disk->set_capacity(v.disk->used_bytes());
    for (int i = 0; i < 20 * batch; ++i) {
        InodeRow row;
        row.number = ++v.created + 1;
        row.symlink = std::string(1000, 's');
        v.last = v.store->submit({PutInode{row}});
    }
    v.world.run_for(100s);
    EXPECT_LT(v.store->applied(), v.last);
    EXPECT_EQ(v.store->live_copies(), 1);
    v.disk->set_capacity(small_disk);
    ASSERT_TRUE(v.durable());
    v.world.run_for(5s);
    EXPECT_EQ(v.store->applied(), v.last);
    EXPECT_EQ(v.store->live_copies(), 1);
}

TEST(FullMetadataDisk, an_opening_that_finds_no_space_loses_nothing) {
    SmallVolume v;
    ASSERT_TRUE(v.open());
    for (int i = 0; i < 10 * batch; ++i) ASSERT_TRUE(v.create());
    ASSERT_TRUE(v.durable());
    v.abandon();
    v.disk->set_capacity(v.disk->used_bytes() + (64 << 10));
    if (const auto opened = v.open(); !opened) {
        EXPECT_EQ(opened.error(), Errc::no_space) << to_string(opened.error());
    }
    v.abandon();
    v.disk->set_capacity(small_disk);
    const auto opened = v.open();
    ASSERT_TRUE(opened) << to_string(opened.error());
    EXPECT_EQ(v.store->volume().inode_count, v.created);
}

TEST(FullMetadataDisk, openings_that_failed_on_full_members_leave_a_volume_that_opens_when_there_is_space_again) {
    VolumeUnderTest v(71, 3, 2);  // members on the first two; the third is a witness that has room
    ASSERT_TRUE(v.open());
    v.submit(100);
    ASSERT_TRUE(v.settle());
    ASSERT_TRUE(v.close());  // nothing to replay: only the manifests have to be written
    for (int i = 0; i < 2; ++i) v.disks[i]->set_capacity(v.disks[i]->used_bytes());
    for (int i = 0; i < 3; ++i) {
        const auto opened = v.open();
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error(), Errc::no_space) << to_string(opened.error());
    }
    for (int i = 0; i < 2; ++i) v.disks[i]->set_capacity(512 << 20);
    const auto opened = v.open();
    ASSERT_TRUE(opened) << to_string(opened.error());
    EXPECT_EQ(v.store->live_copies(), 2);
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(FullMetadataDisk, a_member_that_was_full_when_the_power_went_is_not_taken_for_stale) {
    VolumeUnderTest v(72, 2, 2);
    v.config.rebuild = false;
    ASSERT_TRUE(v.open());
    v.submit(100);
    ASSERT_TRUE(v.settle());
    ASSERT_TRUE(v.close());  // nothing to replay: only the manifest has to be written
    v.disks[1]->set_capacity(v.disks[1]->used_bytes());
    bool returned = false;
    TaskGroup opening;
    opening.spawn(v.world.executor(), [&]() -> Task<> {
        auto opened = co_await open_meta_store(v.world.runtime(), v.places(), v.config);
        returned = true;
        if (opened) co_await (*opened)->abandon();
    });
    v.world.run_for(5s);
    ASSERT_FALSE(returned) << "it waits for space";
    v.cut_power();
    ASSERT_TRUE(v.world.run(opening.wait(v.world.clock(), Instant::max())));
    v.disks[1]->set_capacity(512 << 20);
    const auto opened = v.open();
    ASSERT_TRUE(opened) << to_string(opened.error());
    EXPECT_EQ(v.store->live_copies(), 2);
}

TEST(FullMetadataDisk, the_last_members_manifest_is_waited_for) {
    VolumeUnderTest v(73, 2, 2);
    v.config.rebuild = false;
    ASSERT_TRUE(v.open());
    v.submit(100);
    ASSERT_TRUE(v.settle());
    v.disks[0]->set_capacity(v.disks[0]->used_bytes());
    v.disks[1]->set_faults({.failed = true});
    v.submit(1);  // has room in its segment
    v.world.run_for(120s);
    EXPECT_LT(v.store->durable().value(), v.last);
    v.disks[0]->set_capacity(512 << 20);
    ASSERT_TRUE(v.settle());
    EXPECT_EQ(v.store->live_copies(), 1);
}

TEST(FullMetadataDisk, one_full_disk_does_not_keep_the_volume_from_opening) {
    VolumeUnderTest v(74, 2, 2);
    v.config.log_bytes_max = 64 << 20;
    v.config.wal_pages_max = 1 << 20;
    v.config.follower_delay = 1h;
    v.config.follower_commands = 100'000;
    ASSERT_TRUE(v.open());
    v.submit(3000);
    ASSERT_TRUE(v.settle());
    v.abandon();
    v.disks[0]->set_capacity(v.disks[0]->used_bytes());
    v.disks[1]->set_capacity(v.disks[1]->used_bytes());
    const auto none = v.open();
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error(), Errc::no_space) << to_string(none.error());
    v.disks[0]->set_capacity(512 << 20);
    const auto opened = v.open();
    ASSERT_TRUE(opened) << to_string(opened.error());
    EXPECT_EQ(v.store->live_copies(), 1);
    v.disks[1]->set_capacity(512 << 20);
    v.world.run_for(300s);
    EXPECT_EQ(v.store->live_copies(), 2);
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(FullMetadataDisk, growth_is_answered_in_time_while_a_store_hangs) {
    VolumeUnderTest v(75, 2, 2);
    v.config.follower_delay = 1h;
    ASSERT_TRUE(v.open());
    v.submit(500);
    ASSERT_TRUE(v.settle());
    for (auto& disk : v.disks) disk->set_capacity(disk->used_bytes() + (1 << 20));
    v.submit(1);
    ASSERT_TRUE(v.settle());
    v.world.run_for(1s);
    v.disks[1]->set_latency(1h, 1h);
    v.submit(1);
    ASSERT_TRUE(v.settle());
    v.catch_up();
    const auto begin = v.world.clock().now();
    const auto admitted = v.world.run(v.store->admit_growth(v.ctx()), 10min);
    ASSERT_FALSE(admitted);
    EXPECT_EQ(admitted.error(), Errc::no_space);
    EXPECT_LT(v.world.clock().now() - begin, 1min);
    v.disks[1]->set_latency(0ns, 0ns);
}

TEST(FullMetadataDisk, what_does_not_fit_as_one_transaction_is_applied_in_smaller_ones) {
    VolumeUnderTest v(76, 2, 2);
    v.config.wal_pages_max = 50;
    v.config.log_bytes_max = 64 << 20;
    v.config.follower_delay = 10s;
    v.config.follower_commands = 100'000;
    ASSERT_TRUE(v.open());
    const auto put = [&v](InodeNumber from, InodeNumber to, char content) {
        for (auto number = from; number < to; ++number) {
            InodeRow row;
            row.number = number;
            row.symlink = std::string(500, content);
            v.last = v.store->submit({PutInode{row}});
        }
        ASSERT_TRUE(v.settle());
    };
    for (InodeNumber number = 100; number < 3000; number += 100) {
        put(number, number + 100, 'a');
        v.world.run_for(15s);
    }
    put(100, 3000, 'b');
    for (auto& disk : v.disks) disk->set_capacity(disk->used_bytes() + (256 << 10));
    v.world.run_for(120s);
    EXPECT_EQ(v.store->live_copies(), 2);
    for (const auto& replica : v.store->replicas()) EXPECT_EQ(replica.applied, v.last);
}

}  // namespace
}  // namespace strata::cluster

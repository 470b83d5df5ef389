// SPDX-License-Identifier: Apache-2.0
// The metadata store as a whole, on simulated disks: what is durable survives power cuts and the loss of stores.
#include "cluster/meta/sqlite_meta_store.h"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/cluster/meta/volume_under_test.h"

namespace strata::cluster {

namespace {

// Ten in the tests of each change, many in the long tier; STRATA_SIM_SEEDS says how many.
std::uint64_t seeds() {
    const char* wanted = std::getenv("STRATA_SIM_SEEDS");
    if (wanted != nullptr) return std::strtoull(wanted, nullptr, 10);
    return std::getenv("STRATA_LONG") == nullptr ? 10 : 200;
}

int index_of_reader(const SqliteMetaStore& store) {
    for (const auto& replica : store.replicas()) {
        if (replica.state == ReplicaState::reader) return replica.store[0] - 1;
    }
    return -1;
}

}  // namespace

TEST(SqliteMetaStore, commands_become_durable_applied_and_readable_in_order) {
    VolumeUnderTest v(1, 2, 2);
    ASSERT_TRUE(v.open());
    EXPECT_EQ(v.store->volume().next_inode, 2u);
    EXPECT_EQ(v.store->volume().epoch, 1u);
    EXPECT_TRUE(v.store->volume().clean);
    v.submit(300);
    ASSERT_TRUE(v.settle());
    v.catch_up();
    for (const auto& [number, row] : v.workload.tables().inodes) {
        const auto found = v.world.run(v.store->inode(v.ctx(), number));
        ASSERT_TRUE(found && *found);
        EXPECT_EQ(**found, row);
    }
    const auto entries = v.world.run(v.store->entries(v.ctx(), 1, 0, 100000));
    ASSERT_TRUE(entries);
    EXPECT_EQ(entries->size(), v.workload.tables().entries.size());
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(SqliteMetaStore, a_volume_closed_in_order_opens_clean_with_its_numbers_and_a_new_epoch) {
    VolumeUnderTest v(2, 2, 2);
    ASSERT_TRUE(v.open());
    const auto uuid = v.store->volume().uuid;
    v.submit(50);
    ASSERT_TRUE(v.close());
    ASSERT_TRUE(v.open());
    EXPECT_TRUE(v.store->volume().clean);
    EXPECT_EQ(v.store->volume().uuid, uuid);
    EXPECT_EQ(v.store->volume().epoch, 2u);
    EXPECT_EQ(v.store->volume().change_floor, 0u);
    EXPECT_EQ(v.store->volume().next_inode, v.workload.tables().inode_max + 1);
    EXPECT_EQ(v.store->volume().next_map, v.workload.tables().map_max + 1);
    EXPECT_EQ(v.store->volume().inode_count, v.workload.tables().inodes.size());
    EXPECT_EQ(v.store->applied(), v.last);
    EXPECT_EQ(v.store->submit({}), v.last + 1);
}

TEST(SqliteMetaStore, a_volume_not_closed_raises_the_change_floor) {
    VolumeUnderTest v(3, 2, 2);
    ASSERT_TRUE(v.open());
    v.submit(10);
    ASSERT_TRUE(v.settle());
    v.cut_power();
    v.abandon();
    ASSERT_TRUE(v.open());
    EXPECT_FALSE(v.store->volume().clean);
    EXPECT_EQ(v.store->volume().change_floor, std::uint64_t{2} << 40);
    ASSERT_TRUE(v.close());
    ASSERT_TRUE(v.open());
    EXPECT_TRUE(v.store->volume().clean);
    EXPECT_EQ(v.store->volume().change_floor, std::uint64_t{2} << 40);
}

TEST(SqliteMetaStore, without_create_stores_without_metadata_are_refused) {
    VolumeUnderTest v(4, 2, 2);
    v.config.create = false;
    const auto opened = v.open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error(), Errc::not_found);
}

TEST(SqliteMetaStore, power_cuts_under_load_lose_nothing_durable) {
    for (std::uint64_t seed = 0; seed < seeds(); ++seed) {
        SCOPED_TRACE(seed);
        VolumeUnderTest v(seed, 3, static_cast<int>(seed % 3) + 1);
        for (int round = 0; round < 3; ++round) {
            v.powered = true;
            v.durable_at_cut = 0;
            v.cut_power_after(v.world.random().below(round == 0 ? 300 : 500) + 1);
            const auto opened = v.open();
            if (opened && v.powered) {
                const auto found = v.store->applied();
                v.adopt(found);
                for (int step = 0; v.powered && step < 400; ++step) {
                    v.submit(static_cast<int>(v.world.random().below(30)));
                    v.world.run_for(std::chrono::microseconds(v.world.random().below(3000)));
                    v.durable_at_cut = std::max(v.durable_at_cut, v.powered ? v.store->durable().value() : 0);
                }
            }
            if (v.powered) v.cut_power();
            const auto durable =
                std::max(v.durable_at_cut, v.store == nullptr ? 0 : std::min(v.store->durable().value(), v.durable_at_cut));
            v.calls_left = 0;
            v.abandon();
            const auto reopened = v.open();
            ASSERT_TRUE(reopened) << to_string(reopened.error());
            const auto found = v.store->applied();
            ASSERT_GE(found, durable);
            v.adopt(found);
            v.submit(5);
            v.expect_equal_replicas();
        }
        EXPECT_GT(v.compared, 0);
    }
}

TEST(SqliteMetaStore, readers_go_on_when_the_store_of_the_reader_fails) {
    VolumeUnderTest v(6, 3, 2);
    ASSERT_TRUE(v.open());
    v.submit(400);
    ASSERT_TRUE(v.settle());
    v.catch_up();
    const int reader = index_of_reader(*v.store);
    v.disks[static_cast<std::size_t>(reader)]->set_faults({.failed = true});
    // Not a single read or write fails.
    for (const auto& [number, row] : v.workload.tables().inodes) {
        const auto found = v.world.run(v.store->inode(v.ctx(), number));
        ASSERT_TRUE(found) << to_string(found.error());
        ASSERT_TRUE(*found);
        EXPECT_EQ(**found, row);
    }
    v.submit(100);
    ASSERT_TRUE(v.settle());
    EXPECT_NE(index_of_reader(*v.store), reader);
    // The third store takes the lost one's place.
    v.world.run_for(10s);
    EXPECT_EQ(v.store->live_copies(), 2);
    v.absent.insert(reader);
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(SqliteMetaStore, any_m_of_the_replicas_may_be_lost_at_once) {
    for (int survivor = 0; survivor < 3; ++survivor) {
        SCOPED_TRACE(survivor);
        VolumeUnderTest v(70 + static_cast<std::uint64_t>(survivor), 3, 3);
        ASSERT_TRUE(v.open());
        v.submit(200);
        ASSERT_TRUE(v.settle());
        v.cut_power();
        v.abandon();
        for (int i = 0; i < 3; ++i) {
            if (i != survivor) v.absent.insert(i);
        }
        const auto opened = v.open();
        ASSERT_TRUE(opened) << to_string(opened.error());
        ASSERT_EQ(v.store->applied(), v.last);
        v.submit(50);
        v.expect_equal_replicas();
        EXPECT_EQ(v.compared, 1);
    }
}

TEST(SqliteMetaStore, a_copy_that_was_away_is_recognised_as_stale_and_built_anew) {
    VolumeUnderTest v(8, 3, 2);
    ASSERT_TRUE(v.open());
    v.submit(100);
    ASSERT_TRUE(v.close());
    v.absent = {0};
    ASSERT_TRUE(v.open());  // store 2 takes the place of store 0
    v.submit(100);
    v.world.run_for(10s);
    EXPECT_EQ(v.store->live_copies(), 2);
    ASSERT_TRUE(v.close());
    // Only the stale copy and the witness, then only the stale one's companions.
    v.absent = {1, 2};
    v.absent = {2};
    ASSERT_TRUE(v.open());
    EXPECT_EQ(v.store->applied(), v.last);
    v.submit(10);
    v.world.run_for(10s);
    EXPECT_EQ(v.store->live_copies(), 2);
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(SqliteMetaStore, a_stale_copy_is_not_opened_while_a_witness_knows_better) {
    VolumeUnderTest v(9, 3, 1);
    ASSERT_TRUE(v.open());
    v.submit(20);
    ASSERT_TRUE(v.settle());
    ASSERT_TRUE(v.world.run(v.store->add_replica(v.ctx(), {store_uuid(1), v.disks[1]->mount()})));
    ASSERT_TRUE(v.world.run(v.store->drop_replica(v.ctx(), store_uuid(0))));
    v.submit(20);
    ASSERT_TRUE(v.close());
    v.absent = {1};
    const auto opened = v.open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error(), Errc::store_missing);
    EXPECT_NE(opened.error().detail.find(uuid_text(store_uuid(1))), std::string::npos);
    v.absent.clear();
    ASSERT_TRUE(v.open());
    EXPECT_EQ(v.store->applied(), v.last);
}

TEST(SqliteMetaStore, a_replica_can_be_moved_under_load) {
    VolumeUnderTest v(10, 3, 2);
    ASSERT_TRUE(v.open());
    v.submit(300);
    ASSERT_TRUE(v.settle());
    bool moved = false;
    TaskGroup group;
    group.spawn(v.world.executor(), [&]() -> Task<> {
        const auto added = co_await v.store->add_replica(v.ctx(), {store_uuid(2), v.disks[2]->mount()});
        EXPECT_TRUE(added) << to_string(added.error());
        const auto dropped = co_await v.store->drop_replica(v.ctx(), store_uuid(0));
        EXPECT_TRUE(dropped) << to_string(dropped.error());
        moved = true;
    });
    for (int i = 0; i < 2000 && !moved; ++i) {
        v.submit(3);
        v.world.run_for(1ms);
    }
    ASSERT_TRUE(moved);
    ASSERT_TRUE(v.settle());
    v.cut_power();
    v.abandon();
    v.absent = {0};
    ASSERT_TRUE(v.open());
    EXPECT_EQ(v.store->applied(), v.last);
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(SqliteMetaStore, bits_that_flip_in_one_database_are_found_and_mended_without_an_error) {
    int mended = 0;
    for (std::uint64_t seed = 100; seed < 103; ++seed) {
        SCOPED_TRACE(seed);
        VolumeUnderTest v(seed, 2, 2);
        ASSERT_TRUE(v.open());
        v.submit(400);
        ASSERT_TRUE(v.close());
        ASSERT_TRUE(v.open());
        const int reader = index_of_reader(*v.store);
        v.disks[static_cast<std::size_t>(reader)]->flip_bits(database_path, 40);
        for (const auto& [number, row] : v.workload.tables().inodes) {
            const auto found = v.world.run(v.store->inode(v.ctx(), number));
            ASSERT_TRUE(found) << to_string(found.error());
            ASSERT_TRUE(*found);
            EXPECT_EQ(**found, row);
        }
        v.submit(50);
        v.world.run_for(10s);
        EXPECT_EQ(v.store->live_copies(), 2);
        if (index_of_reader(*v.store) != reader) ++mended;
        v.expect_equal_replicas();
        EXPECT_EQ(v.compared, 2);
    }
    EXPECT_GT(mended, 0);
}

TEST(SqliteMetaStore, bits_that_flip_in_one_log_are_mended_from_the_others) {
    for (std::uint64_t seed = 200; seed < 204; ++seed) {
        SCOPED_TRACE(seed);
        VolumeUnderTest v(seed, 2, 2);
        v.config.log_bytes_max = 64 << 20;
        v.config.wal_pages_max = 1 << 20;
        ASSERT_TRUE(v.open());
        for (int i = 0; i < 40; ++i) {
            v.submit(10);
            v.world.run_for(1ms);
        }
        ASSERT_TRUE(v.settle());
        v.cut_power();
        v.abandon();
        v.disks[seed % 2]->flip_bits("meta/log-", 20);
        const auto opened = v.open();
        ASSERT_TRUE(opened) << to_string(opened.error());
        EXPECT_EQ(v.store->applied(), v.last);
        v.expect_equal_replicas();
    }
}

TEST(SqliteMetaStore, a_single_copy_with_a_damaged_log_is_refused_not_cut_short) {
    VolumeUnderTest v(11, 1, 1);
    v.config.log_bytes_max = 64 << 20;
    v.config.wal_pages_max = 1 << 20;
    ASSERT_TRUE(v.open());
    for (int i = 0; i < 40; ++i) {
        v.submit(10);
        v.world.run_for(1ms);
    }
    ASSERT_TRUE(v.settle());
    v.cut_power();
    v.abandon();
    v.disks[0]->flip_bits("meta/log-", 3);
    const auto opened = v.open();
    // The database may by luck have all that the damaged records hold.
    if (opened)
        EXPECT_EQ(v.store->applied(), v.last);
    else
        EXPECT_EQ(opened.error(), Errc::corrupt);
}

TEST(SqliteMetaStore, a_newest_segment_of_the_log_that_is_lost_is_refused_though_the_database_has_a_part_of_it) {
    VolumeUnderTest v(13, 1, 1);
    ASSERT_TRUE(v.open());
    for (int i = 0; i < 10; ++i) {
        v.submit(10);
        ASSERT_TRUE(v.settle());
    }
    v.catch_up();
    v.abandon();
    std::string newest;
    for (const auto& name : *v.disks[0]->list("meta")) {
        if (name.starts_with("log-")) newest = "meta/" + name;
    }
    {
        const auto file = v.disks[0]->open(newest, OpenMode::read_write);
        ASSERT_TRUE(file && (*file)->write_at(0, std::vector<std::byte>(*(*file)->size())));
    }
    const auto refused = v.open();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::corrupt);
    ASSERT_TRUE(v.disks[0]->remove(newest));  // as the message says
    const auto opened = v.open();
    EXPECT_TRUE(opened) << to_string(opened.error());
}

TEST(SqliteMetaStore, when_the_last_copy_fails_the_waits_fail) {
    VolumeUnderTest v(12, 1, 1);
    ASSERT_TRUE(v.open());
    v.submit(10);
    ASSERT_TRUE(v.settle());
    v.disks[0]->set_faults({.failed = true});
    v.submit(10);
    const auto settled = v.settle();
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error(), Errc::io);
    EXPECT_FALSE(v.close());
}

TEST(SqliteMetaStore, admit_waits_for_what_is_not_yet_applied) {
    VolumeUnderTest v(13, 1, 1);
    v.config.unapplied_max = 100;
    ASSERT_TRUE(v.open());
    v.submit(400);
    EXPECT_LT(v.store->applied(), 300u);
    ASSERT_TRUE(v.world.run(v.store->admit(v.ctx())));
    EXPECT_GE(v.store->applied(), 300u);
}

TEST(SqliteMetaStore, the_log_and_the_wal_stay_bounded) {
    VolumeUnderTest v(14, 2, 2);
    ASSERT_TRUE(v.open());
    std::uint64_t most = 0;
    for (int i = 0; i < 80; ++i) {
        v.submit(20);
        ASSERT_TRUE(v.settle());
        v.world.run_for(1ms);
        most = std::max<std::uint64_t>(most, v.disks[0]->list("meta")->size());
    }
    EXPECT_LT(most, 16u);
}

}  // namespace strata::cluster

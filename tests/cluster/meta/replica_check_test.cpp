// SPDX-License-Identifier: Apache-2.0
// What `stratad check` says of the replicas of the metadata.
#include "cluster/meta/replica_check.h"

#include "tests/cluster/meta/volume_under_test.h"

namespace strata::cluster {

TEST(ReplicaCheck, sound_replicas_are_equal_and_a_lost_write_in_one_is_found) {
    VolumeUnderTest v(15, 2, 2);
    ASSERT_TRUE(v.open());
    v.submit(300);
    ASSERT_TRUE(v.settle());
    ASSERT_TRUE(v.close());
    auto checks = check_replicas(v.places(), v.world.random());
    ASSERT_TRUE(checks) << to_string(checks.error());
    ASSERT_EQ(checks->size(), 2u);
    for (const auto& check : *checks) {
        EXPECT_TRUE(check.faults.empty()) << check.faults.front();
        EXPECT_EQ(check.state.applied, v.last);
    }
    EXPECT_EQ(checks->at(0).digest, checks->at(1).digest);
    {
        // One replica misses a command that it says it has: what a lost write looks like.
        auto replica =
            Replica::open({store_uuid(1), v.disks[1]->mount()}, v.world.random(), read_manifest(*v.disks[1])->volume, v.config.cache);
        ASSERT_TRUE(replica);
        const Command command{DeleteInode{v.workload.tables().inodes.rbegin()->first}};
        const Command* commands[] = {&command};
        ASSERT_TRUE((*replica)->apply(v.last + 1, commands));
    }
    checks = check_replicas(v.places(), v.world.random());
    ASSERT_TRUE(checks);
    EXPECT_TRUE(checks->at(0).faults.empty());
    ASSERT_EQ(checks->at(1).faults.size(), 1u);
    EXPECT_NE(checks->at(1).faults.front().find("differ"), std::string::npos);
}

TEST(ReplicaCheck, a_flipped_bit_is_a_fault_of_that_replica_only) {
    VolumeUnderTest v(16, 2, 2);
    ASSERT_TRUE(v.open());
    v.submit(300);
    ASSERT_TRUE(v.settle());
    ASSERT_TRUE(v.close());
    v.disks[0]->flip_bits(database_path, 10);
    const auto checks = check_replicas(v.places(), v.world.random());
    ASSERT_TRUE(checks);
    EXPECT_FALSE(checks->at(0).faults.empty());
    EXPECT_TRUE(checks->at(1).faults.empty());
}

TEST(ReplicaCheck, what_a_store_that_is_no_member_has_left_is_no_fault) {
    VolumeUnderTest v(17, 2, 2);
    v.config.rebuild = false;
    ASSERT_TRUE(v.open());
    v.submit(300);
    ASSERT_TRUE(v.settle());
    ASSERT_TRUE(v.world.run(v.store->drop_replica(v.ctx(), store_uuid(1))));
    ASSERT_TRUE(v.close());
    ASSERT_TRUE(v.disks[1]->exists(database_path).value_or(false));
    v.disks[1]->flip_bits(database_path, 10);
    const auto checks = check_replicas(v.places(), v.world.random());
    ASSERT_TRUE(checks);
    ASSERT_EQ(checks->size(), 1u);
    EXPECT_TRUE(checks->front().faults.empty());
}

}  // namespace strata::cluster

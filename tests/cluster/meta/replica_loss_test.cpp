// SPDX-License-Identifier: Apache-2.0
// Replicas on disks that fail for a while, or hang: others answer, and what was lost comes back.
#include "server/base/task_group.h"
#include "tests/cluster/meta/volume_under_test.h"

namespace strata::cluster {

namespace {

int index_of_reader(const SqliteMetaStore& store) {
    for (const auto& replica : store.replicas()) {
        if (replica.state == ReplicaState::reader) return replica.store[0] - 1;
    }
    return -1;
}

}  // namespace

TEST(ReplicaLoss, a_replica_that_failed_is_built_again_where_it_was_once_the_disk_works) {
    VolumeUnderTest v(61, 2, 2);
    ASSERT_TRUE(v.open());
    v.submit(200);
    ASSERT_TRUE(v.settle());
    v.disks[1]->set_faults({.failed = true});
    v.submit(50);
    ASSERT_TRUE(v.settle());
    v.world.run_for(60s);
    EXPECT_EQ(v.store->live_copies(), 1);
    v.disks[1]->set_faults({});
    v.submit(50);
    ASSERT_TRUE(v.settle());
    v.world.run_for(300s);
    EXPECT_EQ(v.store->live_copies(), 2);
    v.expect_equal_replicas();
    EXPECT_EQ(v.compared, 2);
}

TEST(ReplicaLoss, a_reader_that_hangs_gives_way_to_another) {
    VolumeUnderTest v(62, 2, 2);
    v.config.rebuild = false;
    v.config.cache.reader_bytes = 4096;  // every read asks the disk
    ASSERT_TRUE(v.open());
    v.submit(500);
    ASSERT_TRUE(v.settle());
    v.catch_up();
    v.world.run_for(1s);
    const int reader = index_of_reader(*v.store);
    v.disks[static_cast<std::size_t>(reader)]->set_latency(1h, 1h);
    const auto begin = v.world.clock().now();
    for (int i = 0; i < 8; ++i) {  // each of the pool's threads hangs with its first job
        const auto found = v.world.run(v.store->entries(v.ctx(), 1, 0, 10000));
        ASSERT_TRUE(found) << to_string(found.error());
    }
    EXPECT_NE(index_of_reader(*v.store), reader);
    EXPECT_LT(v.world.clock().now() - begin, 2 * v.config.store_timeout + 1min);
    v.disks[static_cast<std::size_t>(reader)]->set_latency(0ns, 0ns);
}

TEST(ReplicaLoss, a_reader_with_many_reads_before_it_is_slow_and_not_lost) {
    VolumeUnderTest v(63, 2, 2);
    v.config.cache.reader_bytes = 4096;  // every read asks the disk
    ASSERT_TRUE(v.open());
    v.submit(500);
    ASSERT_TRUE(v.settle());
    v.catch_up();
    v.world.run_for(1s);
    const int reader = index_of_reader(*v.store);
    v.disks[static_cast<std::size_t>(reader)]->set_latency(200ms, 200ms);
    const auto begin = v.world.clock().now();
    TaskGroup reads;
    int answered = 0;
    for (int i = 0; i < 400; ++i) {
        reads.spawn(v.world.executor(), [&]() -> Task<> {
            if (co_await v.store->entries(v.ctx(), 1, 0, 10000)) ++answered;
        });
    }
    ASSERT_TRUE(v.world.run(reads.wait(v.world.clock(), Instant::max())));
    EXPECT_GT(v.world.clock().now() - begin, 2 * v.config.store_timeout) << "not slow enough to show anything";
    EXPECT_EQ(answered, 400);
    EXPECT_EQ(index_of_reader(*v.store), reader);
    EXPECT_EQ(v.store->live_copies(), 2);
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// A database on a simulated disk: rows go in and come out, pages are checked, power cuts leave a prefix.
#include "cluster/meta/replica.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "tests/base/real_world.h"
#include "tests/cluster/meta/read_tables.h"
#include "tests/sim/meta_workload.h"
#include "tests/sim/world.h"

namespace strata::cluster {

using sim::MetaTables;
using sim::MetaWorkload;

namespace {

const Uuid volume{1, 2, 3};
const DatabaseCache small_cache{.writer_bytes = 1 << 20, .reader_bytes = 256 << 10};

std::shared_ptr<Replica> created(sim::World& world, sim::SimDisk& disk) {
    auto replica = Replica::create({Uuid{9}, disk.mount()}, world.random(), volume, small_cache);
    EXPECT_TRUE(replica) << to_string(replica.error());
    return *replica;
}

Result<> apply_all(Replica& replica, const std::vector<Command>& commands) {
    std::vector<const Command*> pointers;
    for (const auto& command : commands) pointers.push_back(&command);
    return replica.apply(replica.state().applied + 1, pointers);
}

}  // namespace

TEST(Replica, equals_the_model_after_a_random_workload) {
    sim::World world(1);
    auto disk = world.make_disk("d", 256 << 20);
    auto replica = created(world, *disk);
    MetaWorkload workload(world.random());
    for (int batch = 0; batch < 60; ++batch) {
        std::vector<Command> commands;
        for (std::uint64_t i = world.random().below(20) + 1; i > 0; --i) commands.push_back(workload.next());
        ASSERT_TRUE(apply_all(*replica, commands));
        if (batch % 17 == 0) {
            const auto whole = replica->checkpoint();
            ASSERT_TRUE(whole) << to_string(whole.error());
            EXPECT_TRUE(*whole);
        }
    }
    const auto found = replica->read([](RowReader& reader) { return read_tables(reader); });
    ASSERT_TRUE(found) << to_string(found.error());
    EXPECT_TRUE(*found == workload.tables());
    EXPECT_EQ(replica->state().inode_count, workload.tables().inodes.size());
    EXPECT_EQ(replica->state().anomalies, 0u);
}

TEST(Replica, an_adjustment_of_an_absent_chunk_is_passed_over_and_counted) {
    sim::World world(2);
    auto disk = world.make_disk("d", 64 << 20);
    auto replica = created(world, *disk);
    ASSERT_TRUE(apply_all(*replica, {{AdjustChunk{{1, 1, 1}, 1}}}));
    EXPECT_EQ(replica->state().anomalies, 1u);
    EXPECT_EQ(replica->state().applied, 1u);
}

TEST(Replica, extents_are_found_from_within_and_bring_their_chunks_once) {
    sim::World world(3);
    auto disk = world.make_disk("d", 64 << 20);
    auto replica = created(world, *disk);
    const auto chunk = sim::sample_chunk(5);
    ASSERT_TRUE(apply_all(*replica, {{PutChunk{{chunk, 2}}, PutExtent{{1, 0, 100, chunk.id, 0}}, PutExtent{{1, 100, 100, chunk.id, 100}},
                                      PutExtent{{1, 300, 100, {}, 0}}, PutExtent{{2, 0, 10, {}, 0}}}}));
    const auto found = replica->read([](RowReader& reader) { return reader.extents(1, 50, UINT64_MAX, 100); });
    ASSERT_TRUE(found);
    ASSERT_EQ(found->extents.size(), 3u);
    EXPECT_EQ(found->extents[0].offset, 0u);
    ASSERT_EQ(found->chunks.size(), 1u);
    EXPECT_EQ(found->chunks[0].chunk, chunk);
    const auto gap = replica->read([](RowReader& reader) { return reader.extents(1, 200, 300, 100); });
    ASSERT_TRUE(gap);
    EXPECT_TRUE(gap->extents.empty());
    const auto users = replica->read([&](RowReader& reader) { return reader.extents_of_chunk(chunk.id, 100); });
    ASSERT_TRUE(users);
    EXPECT_EQ(users->size(), 2u);
}

TEST(Replica, a_flipped_bit_in_the_database_is_found_by_the_read_that_meets_it) {
    sim::World world(4);
    auto disk = world.make_disk("d", 256 << 20);
    auto replica = created(world, *disk);
    MetaWorkload workload(world.random());
    std::vector<Command> commands;
    for (int i = 0; i < 500; ++i) commands.push_back(workload.next());
    ASSERT_TRUE(apply_all(*replica, commands));
    ASSERT_TRUE(replica->checkpoint());
    ASSERT_EQ(disk->flip_bits(database_path, 1), 1);
    const auto found = replica->read([](RowReader& reader) -> Result<MetaTables> {
        auto tables = read_tables(reader);
        if (tables) {  // not in a table: then in an index
            TRY(check, reader.connection().prepare("PRAGMA integrity_check"));
            TRY(row, check.step());
        }
        return tables;
    });
    // A bit in a page that nothing reads is the one case without an error; the seed avoids it.
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error(), Errc::corrupt);
    EXPECT_EQ(replica->damaged_pages(), 1u);
}

TEST(Replica, a_power_cut_leaves_a_whole_prefix_of_the_batches) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        SCOPED_TRACE(seed);
        sim::World world(seed);
        auto disk = world.make_disk("d", 256 << 20);
        auto replica = created(world, *disk);
        MetaWorkload workload(world.random());
        std::vector<MetaTables> after{workload.tables()};
        std::vector<std::uint64_t> applied{0};
        std::uint64_t checkpointed = 0;
        for (std::uint64_t batch = world.random().below(40); batch > 0; --batch) {
            std::vector<Command> commands;
            for (std::uint64_t i = world.random().below(20) + 1; i > 0; --i) commands.push_back(workload.next());
            ASSERT_TRUE(apply_all(*replica, commands));
            applied.push_back(replica->state().applied);
            after.push_back(workload.tables());
            if (world.random().below(8) == 0 && *replica->checkpoint()) checkpointed = replica->state().applied;
        }
        disk->power_cut();
        replica.reset();
        auto reopened = Replica::open({Uuid{9}, disk->mount()}, world.random(), volume, small_cache);
        ASSERT_TRUE(reopened) << to_string(reopened.error());
        const auto reached = (*reopened)->state().applied;
        EXPECT_GE(reached, checkpointed);
        const auto at = std::ranges::find(applied, reached);
        ASSERT_NE(at, applied.end());
        const auto found = (*reopened)->read([](RowReader& reader) { return read_tables(reader); });
        ASSERT_TRUE(found) << to_string(found.error());
        EXPECT_TRUE(*found == after[static_cast<std::size_t>(at - applied.begin())]);
    }
}

TEST(Replica, a_copy_made_while_the_source_goes_on_is_the_snapshot_of_its_start) {
    sim::World world(6);
    auto disk = world.make_disk("a", 256 << 20), other = world.make_disk("b", 256 << 20);
    auto source = created(world, *disk);
    MetaWorkload workload(world.random());
    std::vector<Command> commands;
    for (int i = 0; i < 300; ++i) commands.push_back(workload.next());
    ASSERT_TRUE(apply_all(*source, commands));
    const auto expected = workload.tables();

    auto copy = ReplicaCopy::begin(*source, {Uuid{8}, other->mount()}, world.random());
    ASSERT_TRUE(copy) << to_string(copy.error());
    EXPECT_EQ((*copy)->applied(), 300u);
    for (bool done = false; !done;) {
        ASSERT_TRUE(apply_all(*source, {workload.next()}));
        (void)source->checkpoint();
        const auto step = (*copy)->step(3);
        ASSERT_TRUE(step) << to_string(step.error());
        done = *step;
    }
    auto target = (*copy)->finish(volume, small_cache);
    ASSERT_TRUE(target) << to_string(target.error());
    EXPECT_EQ((*target)->state().applied, 300u);
    other->power_cut();  // what finish() promises to be durable
    target = Replica::open({Uuid{8}, other->mount()}, world.random(), volume, small_cache);
    ASSERT_TRUE(target) << to_string(target.error());
    const auto found = (*target)->read([](RowReader& reader) { return read_tables(reader); });
    ASSERT_TRUE(found) << to_string(found.error());
    EXPECT_TRUE(*found == expected);
}

namespace {

// Rows that are there, changed in place: the database does not grow by them.
Result<> change_rows(Replica& replica, int round) {
    std::vector<Command> commands;
    for (InodeNumber number = 2; number < 400; ++number) {
        InodeRow row;
        row.number = number;
        row.symlink = std::string(500, static_cast<char>('a' + round % 26));
        commands.push_back({PutInode{row}});
    }
    return apply_all(replica, commands);
}

std::uint64_t wal_bytes(sim::SimDisk& disk) { return disk.open("meta/volume.db-wal", OpenMode::read).value()->size().value(); }

}  // namespace

TEST(Replica, a_wal_that_a_copy_made_long_is_given_back) {
    sim::World world(7);
    auto disk = world.make_disk("a", 256 << 20), other = world.make_disk("b", 256 << 20);
    auto replica = created(world, *disk);
    ASSERT_TRUE(replica->limit_wal(100));
    ASSERT_TRUE(change_rows(*replica, 0));
    {
        auto copy = ReplicaCopy::begin(*replica, {Uuid{8}, other->mount()}, world.random());
        ASSERT_TRUE(copy) << to_string(copy.error());
        for (int round = 1; round < 30; ++round) {
            ASSERT_TRUE(change_rows(*replica, round));
            (void)replica->checkpoint();
        }
        EXPECT_GT(replica->wal_pages(), 1000u);
    }
    ASSERT_TRUE(*replica->checkpoint());
    EXPECT_EQ(replica->unmoved_pages(), 0u);
    ASSERT_TRUE(apply_all(*replica, {{PutRecord{{"t", "k", "v"}}}}));
    EXPECT_LT(replica->wal_pages(), 100u);
    EXPECT_LE(wal_bytes(*disk), 101u * 4120);
    const auto before = replica->state().applied;
    disk->power_cut();
    replica.reset();
    const auto reopened = Replica::open({Uuid{9}, disk->mount()}, world.random(), volume, small_cache);
    ASSERT_TRUE(reopened) << to_string(reopened.error());
    EXPECT_GE((*reopened)->state().applied + 1, before);
    const auto row = (*reopened)->read([](RowReader& reader) { return reader.inode(2); });
    ASSERT_TRUE(row && *row);
    EXPECT_EQ((*row)->symlink[0], static_cast<char>('a' + 29 % 26));
}

TEST(Replica, a_checkpoint_on_a_disk_without_a_free_block_moves_what_only_overwrites) {
    sim::World world(8);
    auto disk = world.make_disk("d", 256 << 20);
    auto replica = created(world, *disk);
    ASSERT_TRUE(change_rows(*replica, 0));
    ASSERT_TRUE(*replica->checkpoint());
    ASSERT_TRUE(change_rows(*replica, 1));
    disk->set_capacity(disk->used_bytes());
    const auto whole = replica->checkpoint();
    ASSERT_TRUE(whole) << to_string(whole.error());
    EXPECT_TRUE(*whole);
    ASSERT_TRUE(change_rows(*replica, 2)) << "in the room of what was moved";
}

TEST(Replica, the_first_checkpoint_needs_no_space_either) {
    sim::World world(9);
    auto disk = world.make_disk("d", 256 << 20);
    auto replica = created(world, *disk);
    ASSERT_TRUE(apply_all(*replica, {{PutRecord{{"t", "k", "v"}}}}));
    disk->set_capacity(disk->used_bytes());
    const auto whole = replica->checkpoint();
    ASSERT_TRUE(whole) << to_string(whole.error());
    EXPECT_TRUE(*whole);
}

TEST(Replica, reads_that_never_pause_keep_the_wal_from_beginning_anew_until_a_quiet_checkpoint) {
    sim::World world(10);
    auto disk = world.make_disk("d", 256 << 20);
    auto replica = created(world, *disk);
    ASSERT_TRUE(change_rows(*replica, 0));
    RealWorld real;
    const auto pool = real.runtime().make_pool("test", 2);
    std::promise<Result<>> reader;
    std::promise<Result<bool>> quiet;
    std::atomic<bool> reads{false}, end{false};
    // A read that began before the checkpoint and ends after it: the next commit finds it in the way.
    pool->post(Job([&] {
        reader.set_value(replica->read([&](RowReader& rows) -> Result<> {
            CHECK_OK(rows.connection().run("BEGIN"));
            TRY(state, rows.volume_state());
            reads = true;
            reads.notify_all();
            end.wait(false);
            return rows.connection().run("COMMIT");
        }));
    }));
    reads.wait(false);
    ASSERT_TRUE(*replica->checkpoint());
    const auto pages = replica->wal_pages();
    ASSERT_TRUE(change_rows(*replica, 1));
    EXPECT_GT(replica->wal_pages(), pages);
    pool->post(Job([&] { quiet.set_value(replica->checkpoint(true)); }));
    end = true;
    end.notify_all();
    const auto whole = quiet.get_future().get();
    ASSERT_TRUE(reader.get_future().get());
    ASSERT_TRUE(whole && *whole);
    ASSERT_TRUE(replica->read([](RowReader& rows) { return rows.volume_state(); }));
    ASSERT_TRUE(apply_all(*replica, {{PutRecord{{"t", "k", "v"}}}}));
    EXPECT_LT(replica->wal_pages(), pages);
}

// Whether the WAL begins anew is told by its length alone: the same length again must not look as nothing new.
TEST(Replica, a_wal_that_begins_anew_and_gets_as_long_as_before_is_marked_and_moved) {
    sim::World world(11);
    auto disk = world.make_disk("d", 256 << 20);
    auto replica = created(world, *disk);
    ASSERT_TRUE(change_rows(*replica, 0));
    for (int round = 1; round < 4; ++round) {
        ASSERT_TRUE(*replica->checkpoint());
        ASSERT_TRUE(change_rows(*replica, round));
        EXPECT_GT(replica->unmoved_pages(), 0u);
    }
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// A write-ahead log that rotted: the database is as it was after some command, or it is refused.
#include "cluster/meta/checkpoint_mark.h"

#include <deque>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/meta/replica.h"
#include "tests/cluster/meta/read_tables.h"
#include "tests/sim/meta_workload.h"
#include "tests/sim/world.h"

namespace strata::cluster {
namespace {

using sim::MetaTables;
using sim::MetaWorkload;

const Uuid volume{1, 2, 3};
const DatabaseCache cache{.writer_bytes = 1 << 20, .reader_bytes = 256 << 10};
constexpr int seeds = 24;

class Rot {
public:
    explicit Rot(std::uint64_t seed) : world(seed), disk(world.make_disk("d", 64 << 20)), workload(world.random()) {
        replica = *Replica::create(place(), world.random(), volume, cache);
    }
    StoreDisk place() { return {Uuid{9}, disk->mount()}; }
    // Commits of a few commands each.
    void work(int commits) {
        for (int i = 0; i < commits; ++i) {
            std::vector<const Command*> batch;
            const auto first = history.size();
            for (int n = 0; n < 5; ++n) history.push_back(workload.next());
            for (auto n = first; n < history.size(); ++n) batch.push_back(&history[n]);
            ASSERT_TRUE(replica->apply(first + 1, batch));
        }
    }
    Result<std::shared_ptr<Replica>> reopened() {
        replica.reset();
        return Replica::open(place(), world.random(), volume, cache);
    }
    bool is_as_after_its_commands(Replica& opened) {
        MetaTables wanted;
        for (std::uint64_t i = 0; i < opened.state().applied; ++i) wanted.apply(history[i]);
        const auto found = opened.read([](RowReader& reader) { return read_tables(reader); });
        return found && *found == wanted;
    }

    sim::World world;
    std::shared_ptr<sim::SimDisk> disk;
    MetaWorkload workload;
    std::deque<Command> history;
    std::shared_ptr<Replica> replica;
};

TEST(CheckpointMark, a_wal_that_rotted_after_it_was_moved_never_gives_a_database_of_old_and_new_pages) {
    int refused = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
        Rot rot(static_cast<std::uint64_t>(seed));
        rot.work(10);
        ASSERT_TRUE(*rot.replica->checkpoint());
        ASSERT_EQ(rot.disk->flip_bits("meta/volume.db-wal", 1), 1);
        const auto opened = rot.reopened();
        if (!opened) {
            EXPECT_EQ(opened.error(), Errc::corrupt) << to_string(opened.error());
            ++refused;
        } else {
            EXPECT_TRUE(rot.is_as_after_its_commands(**opened)) << "seed " << seed;
        }
    }
    EXPECT_GT(refused, seeds / 2);
}

TEST(CheckpointMark, a_wal_that_rotted_before_it_was_moved_ends_early) {
    for (int seed = 1; seed <= seeds; ++seed) {
        Rot rot(static_cast<std::uint64_t>(seed));
        rot.work(10);
        ASSERT_TRUE(*rot.replica->checkpoint());
        rot.work(10);  // in a WAL begun anew
        ASSERT_TRUE(rot.disk->open("meta/volume.db-wal", OpenMode::read_write).value()->sync());
        ASSERT_EQ(rot.disk->flip_bits("meta/volume.db-wal", 1), 1);
        const auto opened = rot.reopened();
        if (opened) EXPECT_TRUE(rot.is_as_after_its_commands(**opened)) << "seed " << seed;
        if (!opened) EXPECT_EQ(opened.error(), Errc::corrupt) << to_string(opened.error());
    }
}

TEST(CheckpointMark, a_sound_wal_is_taken_whether_it_was_moved_or_not) {
    Rot rot(1);
    rot.work(10);
    ASSERT_TRUE(*rot.replica->checkpoint());
    ASSERT_TRUE(verify_checkpoint_mark(*rot.disk, database_path));
    EXPECT_GT(*sound_wal_frames(*rot.disk, database_path), 0u);
    rot.work(3);
    ASSERT_TRUE(rot.disk->open("meta/volume.db-wal", OpenMode::read_write).value()->sync());
    const auto opened = rot.reopened();
    ASSERT_TRUE(opened) << to_string(opened.error());
    EXPECT_EQ((*opened)->state().applied, rot.history.size());
    EXPECT_TRUE(rot.is_as_after_its_commands(**opened));
}

TEST(CheckpointMark, a_wal_that_is_gone_or_lost_its_header_since_it_was_marked_is_damage) {
    for (const bool gone : {true, false}) {
        Rot rot(1);
        rot.work(10);
        ASSERT_TRUE(*rot.replica->checkpoint());
        rot.replica.reset();
        if (gone) {
            ASSERT_TRUE(rot.disk->remove("meta/volume.db-wal"));
        } else {
            const std::vector<std::byte> zeros(512);
            const auto wal = rot.disk->open("meta/volume.db-wal", OpenMode::read_write);
            ASSERT_TRUE(wal && (*wal)->write_at(0, zeros) && (*wal)->sync());
        }
        const auto opened = rot.reopened();
        ASSERT_FALSE(opened) << (gone ? "gone" : "without header");
        EXPECT_EQ(opened.error(), Errc::corrupt);
    }
}

TEST(CheckpointMark, one_torn_slot_leaves_the_mark_before_it) {
    for (const std::uint64_t slot : {0u, 1u}) {
        Rot rot(1);
        for (int i = 0; i < 2; ++i) {
            rot.work(3);
            ASSERT_TRUE(*rot.replica->checkpoint());
        }
        rot.replica.reset();
        const std::vector<std::byte> torn(16, std::byte{0x55});
        const auto mark = rot.disk->open("meta/volume.db-mark", OpenMode::read_write);
        ASSERT_TRUE(mark && (*mark)->write_at(slot * 4096, torn) && (*mark)->sync());
        const auto opened = rot.reopened();
        ASSERT_TRUE(opened) << to_string(opened.error());
        EXPECT_TRUE(rot.is_as_after_its_commands(**opened));
    }
}

}  // namespace
}  // namespace strata::cluster

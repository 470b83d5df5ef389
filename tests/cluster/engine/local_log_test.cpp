// SPDX-License-Identifier: Apache-2.0
// The local log on simulated disks: nothing proposed is lost, what one copy lacks comes from the others, what is forgotten stays so.
#include "cluster/engine/local_log.h"

#include <gtest/gtest.h>

#include "server/base/task_group.h"
#include "tests/sim/world.h"

namespace strata::cluster {

namespace {

const Uuid volume{7};
Uuid store_uuid(int number) { return Uuid{static_cast<std::uint8_t>(number + 1)}; }

struct LogWorld {
    LogWorld(std::uint64_t seed, int copies) : world(seed) {
        for (int i = 0; i < copies; ++i) disks.push_back(world.make_disk("d" + std::to_string(i), 64 << 20));
    }
    ~LogWorld() {
        if (log != nullptr) world.run(log->close());
    }
    std::vector<StoreDisk> places() {
        std::vector<StoreDisk> all;
        for (std::size_t i = 0; i < disks.size(); ++i) all.push_back({store_uuid(static_cast<int>(i)), disks[i]->mount()});
        return all;
    }
    Result<> open() { return open(places()); }
    Result<> open(std::vector<StoreDisk> places) {
        if (log != nullptr) world.run(log->close());
        log.reset();
        const LocalLogConfig config{.segment_bytes = 64 << 10, .spares_max = 1, .write_timeout = 1s};
        auto opened = world.run(LocalLog::open(world.runtime(), volume, std::move(places), config));
        if (!opened) return fail(opened.error());
        log = std::move(*opened);
        log->start(++epoch, log->last(), [this](Uuid store, Error) { return on_loss(store); });
        return {};
    }
    Task<Result<>> on_loss(Uuid store) {
        lost.push_back(store);
        co_return Result<>{};
    }
    Result<> propose(int commands, std::size_t size = 100) {
        LogBatch batch{.first = log->last() + 1, .commands = {}};
        for (int i = 0; i < commands; ++i) {
            auto text = std::to_string(batch.first + static_cast<std::uint64_t>(i));
            text.resize(size, '.');
            batch.commands.push_back(std::move(text));
        }
        return world.run(log->propose(ctx(), std::move(batch)));
    }
    // The commands from `from` on, joined; "!" and the error's name if they cannot be read.
    std::vector<std::string> read_from(std::uint64_t from) {
        std::vector<std::string> all;
        while (from <= log->last()) {
            auto batches = world.run(log->read(ctx(), from, 4096));
            if (!batches) return {"!" + std::string(to_string(batches.error().code))};
            for (auto& batch : *batches) {
                for (auto& command : batch.commands) {
                    if (batch.first++ >= from) all.push_back(command.substr(0, command.find('.')));
                }
                from = batch.first;
            }
        }
        return all;
    }
    std::vector<std::string> numbers(std::uint64_t from, std::uint64_t to) {
        std::vector<std::string> all;
        for (; from <= to; ++from) all.push_back(std::to_string(from));
        return all;
    }
    Context ctx() { return {.clock = &world.clock()}; }

    sim::World world;
    std::vector<std::shared_ptr<sim::SimDisk>> disks;
    std::unique_ptr<LocalLog> log;
    std::uint32_t epoch = 0;
    std::vector<Uuid> lost;
};

}  // namespace

TEST(LocalLog, what_was_proposed_is_read_back_after_a_power_cut) {
    LogWorld w(1, 2);
    ASSERT_TRUE(w.open());
    for (int i = 1; i <= 30; ++i) ASSERT_TRUE(w.propose(i % 7 + 1, 500));
    const auto last = w.log->last();
    for (auto& disk : w.disks) disk->power_cut();
    ASSERT_TRUE(w.open());
    EXPECT_EQ(w.log->last(), last);
    EXPECT_EQ(w.read_from(1), w.numbers(1, last));
    ASSERT_TRUE(w.propose(3));
    EXPECT_EQ(w.read_from(last), w.numbers(last, last + 3));
}

TEST(LocalLog, a_new_copy_and_an_emptied_one_are_levelled_at_opening) {
    LogWorld w(2, 2);
    ASSERT_TRUE(w.open({w.places()[0]}));
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(w.propose(2));
    ASSERT_TRUE(w.open());
    ASSERT_TRUE(w.propose(1));
    ASSERT_TRUE(w.open({w.places()[1]}));
    EXPECT_EQ(w.read_from(1), w.numbers(1, 21));
}

TEST(LocalLog, damage_in_each_copy_is_mended_from_the_other) {
    LogWorld w(3, 2);
    ASSERT_TRUE(w.open());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(w.propose(1, 3000));
    const auto path = "meta/" + w.disks[0]->list("meta")->front();
    {
        auto file = *w.disks[0]->open(path, OpenMode::read_write);
        const std::byte junk[] = {std::byte{1}, std::byte{2}};
        ASSERT_TRUE(file->write_at(3 * 4096 + 100, junk));
        auto other = *w.disks[1]->open("meta/" + w.disks[1]->list("meta")->front(), OpenMode::read_write);
        ASSERT_TRUE(other->write_at(5 * 4096 + 100, junk));
    }
    ASSERT_TRUE(w.open());
    EXPECT_EQ(w.read_from(1), w.numbers(1, 60));
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(w.open({w.places()[static_cast<std::size_t>(i)]}));
        EXPECT_EQ(w.read_from(1), w.numbers(1, 60)) << i;
    }
}

TEST(LocalLog, a_record_that_is_nowhere_sound_leaves_only_what_follows) {
    LogWorld w(4, 1);
    ASSERT_TRUE(w.open());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(w.propose(1, 3000));
    auto file = *w.disks[0]->open("meta/" + w.disks[0]->list("meta")->front(), OpenMode::read_write);
    const std::byte junk[] = {std::byte{1}};
    ASSERT_TRUE(file->write_at(4 * 4096 + 100, junk));  // the fourth record
    ASSERT_TRUE(w.open());
    EXPECT_EQ(w.log->last(), 10u);
    EXPECT_EQ(w.log->first(), 5u);
    EXPECT_EQ(w.read_from(4), std::vector<std::string>{"!not_found"});
    EXPECT_EQ(w.read_from(5), w.numbers(5, 10));
}

TEST(LocalLog, a_damaged_header_of_the_newest_segment_costs_nothing) {
    LogWorld w(8, 1);
    ASSERT_TRUE(w.open());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(w.propose(1, 3000));
    const auto path = "meta/" + w.disks[0]->list("meta")->back();
    {
        auto file = *w.disks[0]->open(path, OpenMode::read_write);
        ASSERT_TRUE(file->write_at(0, std::vector<std::byte>(log_block_size)));
    }
    ASSERT_TRUE(w.open());
    EXPECT_FALSE(w.log->lost_from());
    EXPECT_EQ(w.log->last(), 60u);
    EXPECT_EQ(w.read_from(1), w.numbers(1, 60));
}

TEST(LocalLog, a_newest_segment_of_which_no_copy_has_anything_is_told_of) {
    for (const int copies : {1, 2}) {
        LogWorld w(9, copies);
        ASSERT_TRUE(w.open());
        for (int i = 0; i < 60; ++i) ASSERT_TRUE(w.propose(1, 3000));
        {
            auto file = *w.disks[0]->open("meta/" + w.disks[0]->list("meta")->back(), OpenMode::read_write);
            ASSERT_TRUE(file->write_at(0, std::vector<std::byte>(*file->size())));
        }
        ASSERT_TRUE(w.open());
        if (copies == 1) {
            ASSERT_TRUE(w.log->lost_from());
            EXPECT_EQ(*w.log->lost_from(), w.log->last() + 1);
        } else {
            EXPECT_FALSE(w.log->lost_from());
            EXPECT_EQ(w.read_from(1), w.numbers(1, 60));
        }
    }
}

TEST(LocalLog, a_full_disk_makes_a_batch_wait_and_costs_no_copy) {
    LogWorld w(10, 1);
    ASSERT_TRUE(w.open());
    ASSERT_TRUE(w.propose(1));
    w.disks[0]->set_capacity(w.disks[0]->used_bytes());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(w.propose(1, 5000));  // the segment's own space
    TaskGroup group;
    bool done = false;
    group.spawn(w.world.executor(), [&]() -> Task<> {
        LogBatch batch{.first = w.log->last() + 1, .commands = {std::string(100'000, '.')}};
        done = (co_await w.log->propose(w.ctx(), std::move(batch))).has_value();
    });
    w.world.run_for(20s);
    EXPECT_FALSE(done);
    w.disks[0]->set_capacity(64 << 20);
    w.world.run_for(5s);
    EXPECT_TRUE(done);
    EXPECT_TRUE(w.lost.empty());
    (void)w.world.run(group.wait(w.world.clock(), Instant::max()));
}

TEST(LocalLog, a_copy_that_fails_is_told_of_before_the_batch_counts) {
    LogWorld w(5, 3);
    ASSERT_TRUE(w.open());
    ASSERT_TRUE(w.propose(1));
    w.disks[1]->set_faults({.failed = true});
    ASSERT_TRUE(w.propose(1));
    EXPECT_EQ(w.lost, std::vector<Uuid>{store_uuid(1)});
    ASSERT_TRUE(w.propose(1));
    EXPECT_EQ(w.lost.size(), 1u);
    w.disks[0]->set_faults({.failed = true});
    w.disks[2]->set_faults({.failed = true});
    const auto refused = w.propose(1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::io);
}

TEST(LocalLog, trimmed_segments_are_reused_and_their_old_records_never_come_back) {
    LogWorld w(6, 2);
    ASSERT_TRUE(w.open());
    std::size_t most = 0;
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(w.propose(1, 5000));
        if (i % 10 == 9) ASSERT_TRUE(w.world.run(w.log->trim(w.ctx(), w.log->last() - 5)));
        most = std::max(most, w.disks[0]->list("meta")->size());
    }
    EXPECT_LE(most, 5u);
    for (auto& disk : w.disks) disk->power_cut();
    ASSERT_TRUE(w.open());
    EXPECT_EQ(w.log->last(), 300u);
    EXPECT_EQ(w.read_from(w.log->first()), w.numbers(w.log->first(), 300));
    EXPECT_GT(w.log->first(), 200u);
    EXPECT_LE(w.log->first(), 296u);
}

TEST(LocalLog, a_copy_added_while_running_has_all_that_follows) {
    LogWorld w(7, 2);
    ASSERT_TRUE(w.open({w.places()[0]}));
    ASSERT_TRUE(w.propose(5));
    const auto before = w.world.run(w.log->add_copy(w.places()[1]));
    ASSERT_TRUE(before);
    EXPECT_EQ(*before, 5u);
    ASSERT_TRUE(w.propose(5));
    w.log->remove_copy(store_uuid(0));
    ASSERT_TRUE(w.propose(2));
    ASSERT_TRUE(w.open({w.places()[1]}));
    EXPECT_EQ(w.log->first(), 6u);
    EXPECT_EQ(w.read_from(6), w.numbers(6, 12));
}

TEST(LocalLog, a_torn_batch_is_there_as_a_whole_or_not_at_all) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE(seed);
        LogWorld w(seed, 2);
        ASSERT_TRUE(w.open());
        for (std::uint64_t i = w.world.random().below(20); i > 0; --i) ASSERT_TRUE(w.propose(3, 1 + w.world.random().below(9000)));
        const auto durable = w.log->last();
        // The next batch reaches the disks' caches, and the power goes before any sync of it ends.
        for (auto& disk : w.disks) disk->set_faults({.sync_error = 1.0});
        (void)w.propose(3, 1 + w.world.random().below(20000));
        for (auto& disk : w.disks) {
            disk->power_cut();
            disk->set_faults({});
        }
        ASSERT_TRUE(w.open());
        const auto last = w.log->last();
        EXPECT_TRUE(last == durable || last == durable + 3) << last << " after " << durable;
        EXPECT_EQ(w.read_from(1), w.numbers(1, last));
        ASSERT_TRUE(w.propose(1));
        ASSERT_TRUE(w.open());
        EXPECT_EQ(w.read_from(1), w.numbers(1, last + 1));
    }
}

TEST(LogRecord, bytes_that_a_client_wrote_are_not_taken_for_a_record) {
    const LogBatch batch{.first = 5, .commands = {"forged"}};
    const LogSegmentHeader header{.volume = volume, .first = 1, .epoch = 1, .salt = 0x1234};
    auto segment = encode_segment_header(header);
    const auto forged = encode_log_record(batch, 1, 0);  // its writer cannot know the salt
    segment.insert(segment.end(), forged.begin(), forged.end());
    const auto scan = scan_log_segment(segment);
    ASSERT_TRUE(scan);
    EXPECT_TRUE(scan->records.empty());
    reseal_log_record(std::span(segment).subspan(log_block_size), header.salt);
    EXPECT_EQ(scan_log_segment(segment)->records.size(), 1u);
}

}  // namespace strata::cluster

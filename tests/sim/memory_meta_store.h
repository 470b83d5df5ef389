// SPDX-License-Identifier: Apache-2.0
// MemoryMetaStore: a MetaStore of plain maps for tests of what stands above: durable after a while, materialised later still, and it
// can lose its power.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/meta/meta_store.h"
#include "server/base/runtime.h"
#include "server/base/task_group.h"
#include "tests/sim/meta_tables.h"

namespace strata::sim {

// What is on the (imagined) disks: open a new MemoryMetaStore from it.
struct MetaImage {
    MetaTables tables;
    cluster::LogIndex last = 0;
    std::uint32_t epoch = 0;
    std::uint64_t change_floor = 0;
    bool clean = true;
};

struct MetaTiming {
    Duration durable_after = 1ms;  // from the log writer's taking of a batch; each takes a random part of it
    Duration applied_after = 5ms;
    Duration read_takes = 200us;
    std::uint64_t unapplied_max = 100'000;  // commands before admit() waits
};

// Same promises as the real one: order, the three marks, snapshots, epoch, change floor. Any thread.
// Before it is destroyed: close(), or power_off() and stopped().
class MemoryMetaStore final : public cluster::MetaStore {
public:
    explicit MemoryMetaStore(const Runtime& runtime, MetaImage image = {}, MetaTiming timing = {});
    ~MemoryMetaStore() override;

    // What a power cut at this moment would leave: all that is durable, nothing else.
    MetaImage image() const;
    // The power cut: nothing becomes durable any more, every wait fails with `closed`. Returns image().
    MetaImage power_off();
    // Resumes when the background work has ended, after power_off() or close().
    Task<> stopped();
    // The log fails: nothing submitted from now on becomes durable; waits fail with `error`.
    void fail_log(Error error);
    cluster::LogIndex submitted() const override;

    cluster::LogIndex submit(cluster::Command command) override;
    Signal& durable() override { return durable_; }
    cluster::LogIndex applied() const override { return applied_.value(); }
    Task<Result<>> admit(const Context& ctx) override;

    Task<Result<std::optional<cluster::InodeRow>>> inode(const Context& ctx, cluster::InodeNumber number) override;
    Task<Result<std::vector<cluster::InodeRow>>> inodes(const Context& ctx, std::vector<cluster::InodeNumber> numbers) override;
    Task<Result<std::optional<cluster::EntryRow>>> entry(const Context& ctx, cluster::InodeNumber parent, std::string name) override;
    Task<Result<std::vector<cluster::EntryRow>>> entries(const Context& ctx, cluster::InodeNumber parent, std::uint64_t after,
                                                         std::size_t limit) override;
    Task<Result<Extents>> extents(const Context& ctx, cluster::MapId map, std::uint64_t from, std::uint64_t to, std::size_t limit) override;
    Task<Result<std::optional<cluster::ChunkRow>>> chunk(const Context& ctx, cluster::ChunkId id) override;
    Task<Result<std::vector<cluster::ChunkRow>>> chunks(const Context& ctx, cluster::ChunkId after, std::size_t limit) override;
    Task<Result<std::vector<cluster::ExtentRow>>> extents_of_chunk(const Context& ctx, cluster::ChunkId id, std::size_t limit) override;
    Task<Result<std::vector<cluster::XattrRow>>> xattrs(const Context& ctx, cluster::InodeNumber inode) override;
    Task<Result<std::vector<cluster::RecordRow>>> records(const Context& ctx, std::string table) override;
    Task<Result<std::vector<cluster::ReapRow>>> reaps(const Context& ctx, std::size_t limit) override;
    const Volume& volume() const override { return volume_; }
    Task<Result<>> close(const Context& ctx) override;

private:
    Task<> write_log();
    Task<> materialise();
    Duration part_of(Duration longest);
    // Lets virtual time pass, then refuses if the power is off.
    Task<Result<>> begin_read();

    const Runtime runtime_;
    const MetaTiming timing_;
    Volume volume_;
    Signal submitted_, durable_, applied_;
    TaskGroup tasks_;

    mutable std::mutex mutex_;            // all below
    MetaTables tables_;                   // up to applied_
    std::deque<cluster::Command> queue_;  // commands applied_ + 1 .. submitted
    cluster::LogIndex last_ = 0;          // submitted
    cluster::LogIndex durable_index_ = 0, applied_index_ = 0;
    bool off_ = false, log_failed_ = false, clean_ = false;
};

}  // namespace strata::sim

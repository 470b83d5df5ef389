// SPDX-License-Identifier: Apache-2.0
// Room for the metadata: sizes that fit the disks, and the refusal of growth while removals still have what they need.
//
// What is kept free on each disk of a replica: SQLite's write-ahead log twice (one checkpoint may be late; and what it holds may be all
// new to the database), the metadata log twice, and two of its segments. Free pages within the database count as free: they come from
// removals, and SQLite never shortens the file.
#include <algorithm>

#include "cluster/chunk/store_space.h"
#include "cluster/meta/sqlite_meta_store.h"
#include "cluster/meta/sqlite_vfs.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t segment_bytes_min = 1u << 20;
constexpr std::int64_t command_bytes = 2048;  // what a command that waits may add to the database, its encoded bytes apart
constexpr std::int64_t growth_per_byte = 4;   // rows, their indexes, and pages that are not full
constexpr Duration settle_max = 5s;           // waiting for what frees space
constexpr Duration look_again_after = 1s;

}  // namespace

MetaStoreConfig fitted(MetaStoreConfig config, std::uint64_t smallest_disk) {
    const std::uint64_t bytes = metadata_log_bytes(smallest_disk);
    config.wal_pages_max = std::min<std::uint64_t>(config.wal_pages_max, bytes / database_page_size);
    config.log_bytes_max = std::min(config.log_bytes_max, bytes);
    config.log.segment_bytes = std::min<std::size_t>(config.log.segment_bytes, std::max(bytes / 4, segment_bytes_min));
    return config;
}

std::uint64_t metadata_reserve(const MetaStoreConfig& config) {
    return 2 * config.wal_pages_max * database_page_size + 2 * config.log_bytes_max + 2 * config.log.segment_bytes;
}

void SqliteMetaStore::measure_room(Replica& replica, Room& room) {
    if (const auto free = replica.free_bytes()) room.bytes = static_cast<std::int64_t>(*free) - room.kept;
}

std::int64_t SqliteMetaStore::room() const {
    std::int64_t least = INT64_MAX;
    for (const auto& member : members_) {
        if (!member->lost) least = std::min(least, member->room->bytes.load());
    }
    return least;
}

Task<Result<>> SqliteMetaStore::admit_growth(const Context& ctx) {
    CO_CHECK_OK(co_await admit(ctx));
    {
        std::lock_guard lock(mutex_);
        const auto waiting = static_cast<std::int64_t>(commands_.size()) * command_bytes;
        if (room() > waiting + static_cast<std::int64_t>(pending_bytes_) * growth_per_byte) co_return Result<>{};
    }
    co_return co_await settle_before_growth(ctx);
}

// What waits to be applied may be what frees space, or what takes the last of it: only afterwards there is an answer.
Task<Result<>> SqliteMetaStore::settle_before_growth(const Context& ctx) {
    LogIndex last = 0;
    std::vector<MemberPtr> members;
    {
        std::lock_guard lock(mutex_);
        last = last_;
        for (const auto& member : members_) {
            if (!member->lost && member->counts) members.push_back(member);
        }
    }
    const Instant deadline = std::min(ctx.deadline, runtime_.clock->now() + settle_max);
    const auto durable = co_await durable_.wait(last, *runtime_.clock, deadline);
    if (!durable && durable.error() != Errc::timed_out) co_return fail(durable.error());
    for (const auto& member : members) {
        if (!durable) break;
        member->wanted.raise(last);
        (void)co_await member->applied.wait(last, *runtime_.clock, deadline);
    }
    std::vector<std::shared_ptr<Signal>> measured;
    {
        std::lock_guard lock(mutex_);
        for (const auto& member : members) {
            if (member->lost) continue;
            measured.push_back(std::make_shared<Signal>());
            member->pool->post(Job([replica = member->replica, room = member->room, done = measured.back()] {
                measure_room(*replica, *room);
                done->raise(1);
            }));
        }
    }
    // A store that hangs keeps nobody for longer: then what was last seen of it counts.
    for (const auto& done : measured) (void)co_await done->wait(1, *runtime_.clock, deadline);
    std::lock_guard lock(mutex_);
    if (room() > 0) co_return Result<>{};
    co_return fail(Errc::no_space, "the metadata have no room to grow");
}

bool SqliteMetaStore::has_room() {
    std::lock_guard lock(mutex_);
    if (room() > 0) return true;
    const Instant now = runtime_.clock->now();
    if (now < room_looked_at_ + look_again_after) return false;
    room_looked_at_ = now;
    for (const auto& member : members_) {
        if (member->lost || !member->counts || member->room->looking.exchange(true)) continue;
        member->pool->post(Job([replica = member->replica, room = member->room] {
            measure_room(*replica, *room);
            room->looking = false;
        }));
    }
    return false;
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Grace: the durable records of clients that hold state, and the time after a restart when only they may take it back
// (RFC 8881, 8.4.2).
//
// A record is written before the first OPEN of a client is granted, and erased when the client's state ends. After a restart, clients
// with a record may reclaim; grace ends when all have said that they are done, or when its time is over. Without records there is none.
//
//   key: the client's owner string      value: format(1)=1 minor_version(1)
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "server/base/clock.h"
#include "server/base/context.h"
#include "server/base/result.h"
#include "server/base/task.h"
#include "server/vfs/record_store.h"

namespace strata::nfs {

// Any thread.
class Grace {
public:
    explicit Grace(vfs::RecordStore& records) : records_(&records) {}

    // Reads the records; grace lasts until `end` at most if there are any. Errors: the store's.
    Task<Result<>> load(const Context& ctx, Instant end);

    // Only reclaims are taken now.
    bool active() const { return active_.load(std::memory_order_acquire); }
    // `owner` had state before the restart and has not said that it is done.
    bool may_reclaim(std::string_view owner) const;
    // `owner` has taken back some of its state: its record stays.
    void reclaimed(std::string_view owner);
    // `owner` will reclaim no more (RECLAIM_COMPLETE, or its client is gone). True: it was the last one; end() is due.
    bool completed(std::string_view owner);
    bool time_over(Instant now) const { return active() && now >= end_; }
    // Ends grace: the records of those who did not come back are erased.
    Task<> end(const Context& ctx);

    Task<Result<>> record(const Context& ctx, std::string_view owner, std::uint8_t minor_version);
    Task<Result<>> erase(const Context& ctx, std::string_view owner);

    static constexpr std::string_view table = "nfs_clients";

private:
    vfs::RecordStore* records_;
    std::atomic<bool> active_{false};
    Instant end_ = Instant::max();
    mutable std::mutex mutex_;                     // guards what follows
    std::set<std::string, std::less<>> waiting_;   // had state, have not completed
    std::set<std::string, std::less<>> returned_;  // were seen again: their records stay
    bool ending_ = false;
};

}  // namespace strata::nfs

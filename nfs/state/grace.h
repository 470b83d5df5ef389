// SPDX-License-Identifier: Apache-2.0
// Grace: the durable records of clients that hold state, and the time after a restart when only they may take it back
// (RFC 8881, 8.4.2).
//
// A record is written before the first OPEN of a client is granted, and erased when the client's state ends. After a restart, clients
// with a record may reclaim; grace ends when all have said that they are done, or when its time is over: then the records of those who have
// not are erased. Without records there is none.
//
//   key: the client's owner string      value: format(1)=1 minor_version(1)
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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
    // `owner`, of minor version 0, which has no word for "I am done", has taken back some of its state: its record stays.
    void reclaimed(std::string_view owner);
    // `owner` will reclaim no more (RECLAIM_COMPLETE, or its client is gone). True: it was the last one; the end is due.
    bool completed(std::string_view owner);
    bool due(Instant now) const;
    // The first half of the end: from now on nobody reclaims. Returns the owners whose records go: those who have not said that they took
    // back all they wanted, for others may now take it, and after another restart nobody could tell (RFC 8881, 8.4.3).
    // Empty: there is no grace, or somebody else ends it.
    std::optional<std::vector<std::string>> close();
    // The second half: erases the records and ends grace. If they cannot be erased grace goes on, and its end is due again.
    Task<Result<>> end(const Context& ctx, const std::vector<std::string>& lost);
    // Between the halves.
    bool closing() const;

    Task<Result<>> record(const Context& ctx, std::string_view owner, std::uint8_t minor_version);
    Task<Result<>> erase(const Context& ctx, std::string_view owner);

    static constexpr std::string_view table = "nfs_clients";

private:
    vfs::RecordStore* records_;
    std::atomic<bool> active_{false};
    Instant end_ = Instant::max();
    mutable std::mutex mutex_;                                  // guards what follows
    std::map<std::string, std::uint8_t, std::less<>> waiting_;  // had state, have not completed; the minor version
    std::set<std::string, std::less<>> returned_;               // were seen again: their records stay
    std::vector<std::string> lost_;                             // after close(): whose records are to be erased
    bool closed_ = false, ending_ = false;
};

}  // namespace strata::nfs

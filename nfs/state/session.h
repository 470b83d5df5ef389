// SPDX-License-Identifier: Apache-2.0
// Sessions and their slots: exactly-once semantics (RFC 8881, 2.10.6).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "nfs/state/client.h"
#include "nfs/state/quota.h"
#include "nfs/wire/status.h"
#include "nfs/wire/types.h"
#include "nfs/wire/xdr.h"

namespace strata::nfs {

struct Slot {
    std::uint32_t sequence = 0;  // of the last request that was taken
    bool in_progress = false;
    bool cached = false;
    std::uint32_t checksum = 0;                           // of the request whose reply is cached
    std::shared_ptr<const std::vector<std::byte>> reply;  // COMPOUND4res
    Quota::Share kept;                                    // for the reply: what it may become, then what it is
};

struct Session {
    SessionId id{};
    std::shared_ptr<Client> client;
    ChannelAttrs fore, back;
    std::uint32_t callback_program = 0;
    std::atomic<bool> destroyed{false};
    Quota::Share share;

    std::mutex mutex;         // guards the slots
    std::vector<Slot> slots;  // as many as were ever used

    // What a slot says to a request.
    enum class Verdict : std::uint8_t {
        fresh,        // run it; the slot is in progress
        replay,       // send `reply`
        uncached,     // a retry of a request whose reply was not kept
        in_progress,  // a retry of a request that still runs: delay
        misordered,
        false_retry,
        no_room,  // its reply could not be kept; it has not been taken
    };
    // `keep`: where room for the reply comes from; null for one that is not to be kept.
    Verdict take(std::uint32_t slot, std::uint32_t sequence, std::uint32_t checksum, Quota* keep,
                 std::shared_ptr<const std::vector<std::byte>>& reply);
    // The request is done. `reply`: to be kept, or null.
    void finish(std::uint32_t slot, std::uint32_t checksum, std::shared_ptr<const std::vector<std::byte>> reply);
    // Slots in progress, `except` one.
    bool busy(std::uint32_t except);
};

// All sessions by id. Any thread.
class SessionTable {
public:
    std::shared_ptr<Session> find(const SessionId& id) const;
    void add(std::shared_ptr<Session> session);
    void remove(const SessionId& id);
    std::size_t size() const;

private:
    struct Hash {
        std::size_t operator()(const SessionId& id) const noexcept { return load_be64(&id[8]) * 0x9e3779b97f4a7c15ull; }
    };
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<SessionId, std::shared_ptr<Session>, Hash> sessions;
    };
    static constexpr std::size_t shard_count = 16;
    Shard& shard(const SessionId& id) const { return shards_[static_cast<std::uint8_t>(id[15]) % shard_count]; }
    mutable std::array<Shard, shard_count> shards_;
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// ReplayCache: what minor version 0 has in place of sessions: the replies to recent requests that changed something, so that a request
// sent again over a new connection is not done twice (RFC 7530, 3.1.1).
//
// Bounded in replies, in their bytes and in time: a client sends again soon, or not at all. A request that still runs is never forgotten:
// connections bound how many do.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "server/base/byte_stream.h"
#include "server/base/clock.h"

namespace strata::nfs {

// Any thread.
class ReplayCache {
public:
    // What tells one request from all others: who sent it (without the port, which a new connection changes), its xid, its bytes.
    struct Key {
        std::array<std::uint8_t, 16> address{};
        std::uint32_t xid = 0, checksum = 0;
        friend bool operator==(const Key&, const Key&) = default;
    };
    static Key key(const Endpoint& client, std::uint32_t xid, std::uint32_t checksum);

    enum class Found : std::uint8_t { nothing, running, reply };
    // `reply`: a COMPOUND4res.
    Found find(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>>& reply);
    // The request is about to change something. Anything but `nothing`: it came before after all, and must not run.
    Found begin(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>>& reply);
    // Its reply; null, or larger than reply_max: it is not kept, and a retry will run.
    void finish(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>> reply);
    // Forgets what is too old. begin() and finish() do so, too.
    void purge(Instant now);
    std::size_t size() const;   // running ones included
    std::size_t bytes() const;  // of the replies

    static constexpr std::size_t replies_max = 16384;
    static constexpr std::size_t bytes_max = 16 << 20;
    // What changes something without a sequence of its own (CREATE, REMOVE, RENAME, SETATTR, ...) has a small answer.
    static constexpr std::size_t reply_max = 8192;
    static constexpr Duration kept = 120s;

private:
    struct Hash {
        std::size_t operator()(const Key& k) const noexcept { return (std::uint64_t{k.xid} << 32 | k.checksum) * 0x9e3779b97f4a7c15ull; }
    };
    struct Entry {
        Instant finished;
        bool running = true;
        std::shared_ptr<const std::vector<std::byte>> reply;
    };
    void forget_oldest();
    void purge_locked(Instant now);
    Found find_locked(const Key& key, std::shared_ptr<const std::vector<std::byte>>& reply) const;

    mutable std::mutex mutex_;  // guards what follows
    std::unordered_map<Key, Entry, Hash> entries_;
    std::deque<Key> finished_;  // those with a reply, oldest first
    std::size_t bytes_ = 0;
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// ReplayCache: a bounded table in the order of arrival.
#include "nfs/rpc/replay_cache.h"

#include <algorithm>
#include <utility>

namespace strata::nfs {

ReplayCache::Key ReplayCache::key(const Endpoint& client, std::uint32_t xid, std::uint32_t checksum) {
    Key k;
    std::copy(std::begin(client.address), std::end(client.address), k.address.begin());
    k.xid = xid;
    k.checksum = checksum;
    return k;
}

ReplayCache::Found ReplayCache::find(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>>& reply) {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return Found::nothing;
    if (found->second.running) return Found::running;
    if (now - found->second.begun > kept) return Found::nothing;
    reply = found->second.reply;
    return Found::reply;
}

void ReplayCache::begin(const Key& key, Instant now) {
    std::lock_guard lock(mutex_);
    if (!entries_.insert_or_assign(key, Entry{.begun = now}).second) return;
    order_.push_back(key);
    while (order_.size() > entries_max) {
        entries_.erase(order_.front());
        order_.pop_front();
    }
}

void ReplayCache::finish(const Key& key, std::shared_ptr<const std::vector<std::byte>> reply) {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    if (reply == nullptr) {
        entries_.erase(found);
        std::erase(order_, key);
        return;
    }
    found->second.running = false;
    found->second.reply = std::move(reply);
}

std::size_t ReplayCache::size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
}

}  // namespace strata::nfs

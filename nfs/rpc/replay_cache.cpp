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

void ReplayCache::forget_oldest() {
    const auto found = entries_.find(finished_.front());
    bytes_ -= found->second.reply->size();
    entries_.erase(found);
    finished_.pop_front();
}

void ReplayCache::purge_locked(Instant now) {
    while (!finished_.empty() && now - entries_.find(finished_.front())->second.finished > kept) forget_oldest();
}

void ReplayCache::purge(Instant now) {
    std::lock_guard lock(mutex_);
    purge_locked(now);
}

ReplayCache::Found ReplayCache::find_locked(const Key& key, std::shared_ptr<const std::vector<std::byte>>& reply) const {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return Found::nothing;
    if (found->second.running) return Found::running;
    reply = found->second.reply;
    return Found::reply;
}

ReplayCache::Found ReplayCache::find(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>>& reply) {
    std::lock_guard lock(mutex_);
    purge_locked(now);
    return find_locked(key, reply);
}

ReplayCache::Found ReplayCache::begin(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>>& reply) {
    std::lock_guard lock(mutex_);
    purge_locked(now);
    const auto found = find_locked(key, reply);
    if (found == Found::nothing) entries_.emplace(key, Entry{});
    return found;
}

void ReplayCache::finish(const Key& key, Instant now, std::shared_ptr<const std::vector<std::byte>> reply) {
    std::lock_guard lock(mutex_);
    purge_locked(now);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    if (reply == nullptr || reply->size() > reply_max) {
        entries_.erase(found);
        return;
    }
    bytes_ += reply->size();
    found->second = {now, false, std::move(reply)};
    finished_.push_back(key);
    while (finished_.size() > replies_max || bytes_ > bytes_max) forget_oldest();
}

std::size_t ReplayCache::size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
}

std::size_t ReplayCache::bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
}

}  // namespace strata::nfs

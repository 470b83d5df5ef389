// SPDX-License-Identifier: Apache-2.0
// Slots and the table of sessions.
#include "nfs/state/session.h"

#include <utility>

namespace strata::nfs {

Session::Verdict Session::take(std::uint32_t slot_id, std::uint32_t sequence, std::uint32_t checksum, Quota* keep,
                               std::shared_ptr<const std::vector<std::byte>>& reply) {
    std::lock_guard lock(mutex);
    if (slot_id >= slots.size()) slots.resize(slot_id + 1);
    auto& slot = slots[slot_id];
    if (sequence == slot.sequence + 1) {
        if (slot.in_progress) return Verdict::misordered;
        // With the next request the client has told that it got the last reply.
        slot.cached = false;
        slot.reply.reset();
        slot.kept = {};
        if (keep != nullptr) {
            auto room = keep->take(fore.max_response_size_cached);
            if (!room) return Verdict::no_room;
            slot.kept = std::move(*room);
        }
        slot.sequence = sequence;
        slot.in_progress = true;
        return Verdict::fresh;
    }
    if (sequence != slot.sequence || sequence == 0) return Verdict::misordered;
    if (slot.in_progress) return Verdict::in_progress;
    if (!slot.cached) return Verdict::uncached;
    if (slot.checksum != checksum) return Verdict::false_retry;
    reply = slot.reply;
    return Verdict::replay;
}

void Session::finish(std::uint32_t slot_id, std::uint32_t checksum, std::shared_ptr<const std::vector<std::byte>> reply) {
    std::lock_guard lock(mutex);
    auto& slot = slots[slot_id];
    slot.in_progress = false;
    slot.cached = reply != nullptr;
    slot.checksum = checksum;
    slot.kept.shrink(reply == nullptr ? 0 : reply->size());
    slot.reply = std::move(reply);
}

bool Session::busy(std::uint32_t except) {
    std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        if (slots[i].in_progress && i != except) return true;
    }
    return false;
}

std::shared_ptr<Session> SessionTable::find(const SessionId& id) const {
    auto& s = shard(id);
    std::lock_guard lock(s.mutex);
    const auto found = s.sessions.find(id);
    return found == s.sessions.end() ? nullptr : found->second;
}

void SessionTable::add(std::shared_ptr<Session> session) {
    auto& s = shard(session->id);
    std::lock_guard lock(s.mutex);
    s.sessions.emplace(session->id, std::move(session));
}

void SessionTable::remove(const SessionId& id) {
    std::shared_ptr<Session> removed;  // ends outside the lock
    auto& s = shard(id);
    std::lock_guard lock(s.mutex);
    if (const auto found = s.sessions.find(id); found != s.sessions.end()) {
        removed = std::move(found->second);
        s.sessions.erase(found);
    }
}

std::size_t SessionTable::size() const {
    std::size_t n = 0;
    for (const auto& s : shards_) {
        std::lock_guard lock(s.mutex);
        n += s.sessions.size();
    }
    return n;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Membership of local stores, and weighted choice among them.
#include "cluster/placement/local_store_set.h"

#include <algorithm>

namespace strata::cluster {

namespace {

// What a shard takes beyond its bytes: head, checksums, padding.
constexpr std::uint64_t shard_overhead = 12 << 10;

bool usable(StoreState state) { return state == StoreState::online || state == StoreState::read_only; }

// What the set knows (a reported failure) outranks what the store says of itself.
StoreState state_now(const StoreSet::Member& member) {
    if (member.store == nullptr) return StoreState::missing;
    if (member.state == StoreState::failed) return StoreState::failed;
    return member.store->state();
}

}  // namespace

LocalStoreSet::LocalStoreSet(Random& random, std::vector<Member> members) : random_(random), members_(std::move(members)) {}

LocalStoreSet::Member* LocalStoreSet::find(StoreIndex index) {
    const auto it = std::ranges::find(members_, index, &Member::index);
    return it == members_.end() ? nullptr : &*it;
}

std::vector<StoreSet::Member> LocalStoreSet::members() const {
    std::lock_guard lock(mutex_);
    std::vector<Member> out = members_;
    for (Member& m : out) m.state = state_now(m);
    return out;
}

std::shared_ptr<ChunkStore> LocalStoreSet::online(StoreIndex index) const {
    std::lock_guard lock(mutex_);
    const auto it = std::ranges::find(members_, index, &Member::index);
    return it != members_.end() && usable(state_now(*it)) ? it->store : nullptr;
}

std::vector<StoreIndex> LocalStoreSet::choose(int count, std::span<const StoreIndex> avoid, std::uint64_t shard_bytes) {
    struct Candidate {
        StoreIndex index;
        std::uint64_t weight;
    };
    std::vector<Candidate> candidates;
    std::uint64_t total = 0;
    {
        std::lock_guard lock(mutex_);
        for (const Member& m : members_) {
            if (std::ranges::find(avoid, m.index) != avoid.end()) continue;
            if (state_now(m) != StoreState::online) continue;
            const std::uint64_t free = m.store->space().free_bytes;
            if (free < shard_bytes + shard_overhead) continue;
            candidates.push_back({m.index, (free >> 12) + 1});
            total += candidates.back().weight;
        }
    }
    std::vector<StoreIndex> chosen;
    while (std::cmp_less(chosen.size(), count) && !candidates.empty()) {
        std::uint64_t at = random_.below(total);
        auto it = candidates.begin();
        for (; at >= it->weight; ++it) at -= it->weight;
        chosen.push_back(it->index);
        total -= it->weight;
        candidates.erase(it);
    }
    return chosen;
}

void LocalStoreSet::report_failure(StoreIndex index, const Error&) {
    {
        std::lock_guard lock(mutex_);
        Member* member = find(index);
        if (member == nullptr || member->state == StoreState::failed || member->store == nullptr) return;
        member->state = StoreState::failed;
    }
    tell();
}

void LocalStoreSet::on_change(std::function<void()> listener) {
    std::lock_guard lock(mutex_);
    listeners_.push_back(std::move(listener));
}

std::shared_ptr<ChunkStore> LocalStoreSet::set(Member member) {
    std::shared_ptr<ChunkStore> old;
    {
        std::lock_guard lock(mutex_);
        if (Member* known = find(member.index)) {
            old = std::exchange(*known, std::move(member)).store;
        } else {
            members_.push_back(std::move(member));
        }
    }
    tell();
    return old;
}

std::shared_ptr<ChunkStore> LocalStoreSet::remove(StoreIndex index) {
    std::shared_ptr<ChunkStore> store;
    {
        std::lock_guard lock(mutex_);
        Member* member = find(index);
        if (member == nullptr) return nullptr;
        store = std::move(member->store);
        std::erase_if(members_, [&](const Member& m) { return m.index == index; });
    }
    tell();
    return store;
}

Task<> LocalStoreSet::close() {
    for (const Member& member : members()) {
        if (member.store != nullptr) co_await member.store->close();
    }
}

bool LocalStoreSet::refresh() {
    bool changed = false;
    {
        std::lock_guard lock(mutex_);
        for (Member& m : members_) {
            const StoreState now = state_now(m);
            changed = changed || usable(now) != usable(m.state);
            m.state = now;
        }
    }
    if (changed) tell();
    return changed;
}

void LocalStoreSet::tell() {
    std::vector<std::function<void()>> listeners;
    {
        std::lock_guard lock(mutex_);
        listeners = listeners_;
    }
    for (const auto& listener : listeners) listener();
}

}  // namespace strata::cluster

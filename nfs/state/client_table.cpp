// SPDX-License-Identifier: Apache-2.0
// ClientTable: the cases of EXCHANGE_ID and SETCLIENTID, confirmation, the end of a client.
#include "nfs/state/client_table.h"

#include <algorithm>
#include <utility>

namespace strata::nfs {

namespace {

// The two ways to become a client do not see each other's owners: a host that changes its minor version is a new client.
std::string owner_key(std::uint8_t minor_version, std::string_view owner) {
    std::string key(1, minor_version == 0 ? '0' : '1');
    key += owner;
    return key;
}

// 18.35.4, cases 6 to 9: only a confirmed record can be updated, by whom it belongs to.
NfsStatus update_status(const Client* old, const ClientTable::Exchange& request) {
    if (old == nullptr) return NfsStatus::noent;
    if (old->verifier != request.verifier) return NfsStatus::not_same;
    return old->principal != request.principal ? NfsStatus::perm : NfsStatus::ok;
}

}  // namespace

StateNumber StateNumber::of(const Stateid& s) { return {load_be32(&s.other[0]), load_be32(&s.other[4]), load_be32(&s.other[8])}; }

Stateid StateNumber::stateid(std::uint32_t seqid) const {
    Stateid s;
    s.seqid = seqid;
    store_be32(&s.other[0], epoch);
    store_be32(&s.other[4], client);
    store_be32(&s.other[8], state);
    return s;
}

Stateid Client::new_stateid(std::uint32_t seqid) {
    return StateNumber{epoch_of(id), number_of(id), scramble(number_key, ++states_made)}.stateid(seqid);
}

// Sessions and owners refer to their clients: the rings are opened here.
ClientTable::~ClientTable() {
    for (const auto& [id, client] : by_id_) release(client);
}

std::shared_ptr<Client> ClientTable::find(ClientId id) const {
    std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
}

bool ClientTable::was_ours(ClientId id) const {
    std::lock_guard lock(mutex_);
    const auto count = unscramble(key_, number_of(id));
    return epoch_of(id) == epoch_ && count != 0 && count <= made_;
}

std::shared_ptr<Client> ClientTable::confirmed_of(std::uint8_t minor_version, std::string_view owner) const {
    std::lock_guard lock(mutex_);
    const auto found = by_owner_.find(owner_key(minor_version, owner));
    return found == by_owner_.end() ? nullptr : found->second.confirmed;
}

// Room for one more. mutex_ is held.
bool ClientTable::make_room(Clients& ended) {
    if (by_id_.size() < clients_max_) return true;
    if (unconfirmed_.empty()) return false;
    ended.push_back(unconfirmed_.begin()->second);
    detach(ended.back());
    return true;
}

// Out of the maps of ids, for good: whoever has found it before sees that. mutex_ is held.
void ClientTable::drop(const std::shared_ptr<Client>& client) {
    client->gone.store(true, std::memory_order_release);
    unconfirmed_.erase(client->order);
    by_id_.erase(client->id);
}

std::shared_ptr<Client> ClientTable::make(const Exchange& request, std::uint8_t minor_version, Instant now) {
    auto client = std::make_shared<Client>();
    client->id = make_client_id(epoch_, scramble(key_, ++made_));
    client->order = made_;
    client->number_key = scramble_round::mix(key_ ^ client->id);
    client->minor_version = minor_version;
    client->owner = request.owner;
    client->verifier = request.verifier;
    client->principal = request.principal;
    client->renew(now);
    by_id_.emplace(client->id, client);
    unconfirmed_.emplace(client->order, client);
    return client;
}

// Out of the maps. mutex_ is held.
void ClientTable::detach(const std::shared_ptr<Client>& client) {
    drop(client);
    const auto found = by_owner_.find(owner_key(client->minor_version, client->owner));
    if (found == by_owner_.end()) return;
    auto& entry = found->second;
    if (entry.confirmed == client) entry.confirmed.reset();
    // With its id, too: what waits to be confirmed may be an update of it (SETCLIENTID).
    if (entry.unconfirmed != nullptr && entry.unconfirmed->id == client->id) entry.unconfirmed.reset();
    if (entry.confirmed == nullptr && entry.unconfirmed == nullptr) by_owner_.erase(found);
}

void ClientTable::release(const std::shared_ptr<Client>& client) {
    std::vector<std::shared_ptr<Session>> ended;
    std::unordered_map<std::uint32_t, std::shared_ptr<State>> states;  // their opens close outside the lock
    {
        std::lock_guard lock(client->mutex);
        ended.swap(client->sessions);
        states.swap(client->states);
        for (auto& [number, state] : states) {
            if (state->kind == State::Kind::lock) files_->release_locks(state->file, client->holder(*state->owner));
            state->parent.reset();
            state->locks.clear();
        }
        for (auto* owners : {&client->open_owners, &client->lock_owners}) {
            for (auto& [name, owner] : *owners) owner->states.clear();
            owners->clear();
        }
        client->closed.clear();
    }
    for (const auto& session : ended) {
        session->destroyed.store(true, std::memory_order_release);
        sessions_->remove(session->id);
    }
}

void ClientTable::remove(const std::shared_ptr<Client>& client) {
    {
        std::lock_guard lock(mutex_);
        detach(client);
    }
    release(client);
}

ClientTable::Exchanged ClientTable::exchange_id(const Exchange& request, Instant now) {
    Exchanged out;
    Clients ended;
    {
        std::lock_guard lock(mutex_);
        const auto key = owner_key(1, request.owner);
        auto found = by_owner_.find(key);
        const auto old = found == by_owner_.end() ? nullptr : found->second.confirmed;
        if (request.update) {
            out.status = update_status(old.get(), request);
            if (out.status != NfsStatus::ok) return out;
            out.client = old;
            out.confirmed = true;
            old->renew(now);
            return out;
        }
        if (old != nullptr && old->principal == request.principal && old->verifier == request.verifier) {
            out.client = old;  // case 2: the same instance, asking again (a retry, or a probe for trunking)
            out.confirmed = true;
            return out;
        }
        if (old != nullptr && old->principal != request.principal) {
            // Case 3: somebody else uses the owner string. He gets it if the first one has nothing to lose.
            const bool in_use = old->has_state() && !old->lease_over(now, lease_);
            if (in_use) {
                out.status = NfsStatus::clid_inuse;
                return out;
            }
            out.replaced.push_back(old);
            ended.push_back(old);
            detach(old);
        }
        // Cases 1, 4 and 5: a new record. A confirmed one of an earlier instance stays until this one is confirmed.
        found = by_owner_.find(key);
        if (found != by_owner_.end() && found->second.unconfirmed != nullptr) {
            ended.push_back(found->second.unconfirmed);
            detach(ended.back());
        }
        if (make_room(ended)) {
            out.client = by_owner_[key].unconfirmed = make(request, 1, now);
        } else {
            out.status = NfsStatus::delay;
        }
    }
    for (const auto& client : ended) release(client);
    return out;
}

std::shared_ptr<Client> ClientTable::confirm(const std::shared_ptr<Client>& client) {
    std::shared_ptr<Client> older;
    {
        std::lock_guard lock(mutex_);
        if (client->confirmed || client->gone.load(std::memory_order_acquire)) return nullptr;
        client->confirmed = true;
        unconfirmed_.erase(client->order);
        auto& entry = by_owner_[owner_key(client->minor_version, client->owner)];
        older = std::move(entry.confirmed);
        entry.confirmed = client;
        if (entry.unconfirmed == client) entry.unconfirmed.reset();
        if (older != nullptr) drop(older);
    }
    if (older != nullptr) release(older);
    return older;
}

ClientTable::Exchanged ClientTable::set_client_id(const Exchange& request, const Verifier& confirm, Instant now) {
    Exchanged out;
    Clients ended;
    {
        std::lock_guard lock(mutex_);
        const auto key = owner_key(0, request.owner);
        auto found = by_owner_.find(key);
        const auto old = found == by_owner_.end() ? nullptr : found->second.confirmed;
        if (old != nullptr && old->principal != request.principal && old->has_state() && !old->lease_over(now, lease_)) {
            out.status = NfsStatus::clid_inuse;
            out.client = old;
            return out;
        }
        const auto pending = found == by_owner_.end() ? nullptr : found->second.unconfirmed;
        if (pending != nullptr && (old == nullptr || pending->id != old->id)) {
            ended.push_back(pending);
            detach(pending);
        }
        if (old != nullptr && old->verifier == request.verifier && old->principal == request.principal) {
            // The same instance with a new callback: the id stays, the confirmation is asked for anew (16.33.5, case 2).
            auto update = std::make_shared<Client>();
            update->id = old->id;
            update->minor_version = 0;
            update->owner = old->owner;
            update->verifier = old->verifier;
            update->principal = old->principal;
            update->confirm = confirm;
            update->renew(now);
            by_owner_[key].unconfirmed = update;
            out.client = update;
        } else if (make_room(ended)) {
            out.client = by_owner_[key].unconfirmed = make(request, 0, now);
            out.client->confirm = confirm;
        } else {
            out.status = NfsStatus::delay;
        }
    }
    for (const auto& client : ended) release(client);
    return out;
}

ClientTable::Exchanged ClientTable::confirm_client_id(ClientId id, const Verifier& confirm_verifier, const Principal& principal,
                                                      Instant now) {
    Exchanged out;
    {
        std::lock_guard lock(mutex_);
        const auto found = by_id_.find(id);
        auto client = found == by_id_.end() ? nullptr : found->second;
        if (client == nullptr || client->minor_version != 0) {
            out.status = NfsStatus::stale_clientid;
            return out;
        }
        auto& entry = by_owner_[owner_key(0, client->owner)];
        const auto pending = entry.unconfirmed;
        if (pending != nullptr && pending->id == id && pending->confirm == confirm_verifier) {
            if (pending->principal != principal) {
                out.status = NfsStatus::clid_inuse;
                return out;
            }
            if (client->confirmed) {
                client->confirm = confirm_verifier;  // an update: nothing else changes
                out.client = client;
            } else {
                client->confirmed = true;
                unconfirmed_.erase(client->order);
                if (entry.confirmed != nullptr) {
                    out.replaced.push_back(entry.confirmed);
                    drop(entry.confirmed);
                }
                entry.confirmed = client;
                out.client = client;
                out.first = true;
            }
            entry.unconfirmed.reset();
        } else if (client->confirmed && client->confirm == confirm_verifier) {
            if (client->principal != principal) {
                out.status = NfsStatus::clid_inuse;
                return out;
            }
            out.client = client;  // a retry
        } else {
            out.status = NfsStatus::stale_clientid;
            return out;
        }
        out.client->renew(now);
        out.confirmed = true;
    }
    for (const auto& client : out.replaced) release(client);
    return out;
}

bool ClientTable::overdue(const Client& client, Instant now, Duration courtesy) const {
    if (!client.lease_over(now, lease_)) return false;
    return !client.confirmed || !client.has_state() || client.lease_over(now, lease_ + courtesy);
}

void ClientTable::forget_idle_owners(Client& client, Instant now) const {
    std::lock_guard lock(client.mutex);
    for (auto* owners : {&client.open_owners, &client.lock_owners}) {
        std::erase_if(*owners, [&](const auto& entry) {
            const auto& owner = *entry.second;
            const bool idle = owner.states.empty() && !owner.busy && now - owner.used > lease_;
            if (idle) client.closed.erase(owner.last_closed);
            return idle;
        });
    }
}

std::vector<std::shared_ptr<Client>> ClientTable::silent(Instant now, std::size_t count) const {
    // Their times are copied: they go on while this sorts.
    std::vector<std::pair<std::int64_t, std::shared_ptr<Client>>> by_time;
    std::lock_guard lock(mutex_);
    for (const auto& [id, client] : by_id_) {
        if (client->lease_over(now, lease_)) by_time.emplace_back(client->renewed.load(std::memory_order_relaxed), client);
    }
    count = std::min(count, by_time.size());
    std::ranges::partial_sort(by_time, by_time.begin() + static_cast<std::ptrdiff_t>(count), {}, [](const auto& e) { return e.first; });
    std::vector<std::shared_ptr<Client>> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(std::move(by_time[i].second));
    return out;
}

std::vector<std::shared_ptr<Client>> ClientTable::some(ClientId after, std::size_t count) const {
    std::vector<std::shared_ptr<Client>> out;
    std::lock_guard lock(mutex_);
    for (auto at = by_id_.upper_bound(after); at != by_id_.end() && out.size() < count; ++at) out.push_back(at->second);
    return out;
}

std::size_t ClientTable::size() const {
    std::lock_guard lock(mutex_);
    return by_id_.size();
}

}  // namespace strata::nfs

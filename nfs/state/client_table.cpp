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

// Sessions and owners refer to their clients: the rings are opened here.
ClientTable::~ClientTable() {
    for (const auto& client : all()) release(client);
}

std::shared_ptr<Client> ClientTable::find(ClientId id) const {
    std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
}

bool ClientTable::was_ours(ClientId id) const {
    std::lock_guard lock(mutex_);
    return epoch_of(id) == epoch_ && number_of(id) != 0 && number_of(id) < next_number_;
}

std::shared_ptr<Client> ClientTable::make(const Exchange& request, std::uint8_t minor_version, Instant now) {
    auto client = std::make_shared<Client>();
    client->id = make_client_id(epoch_, next_number_++);
    client->minor_version = minor_version;
    client->owner = request.owner;
    client->verifier = request.verifier;
    client->principal = request.principal;
    client->renew(now);
    by_id_.emplace(client->id, client);
    return client;
}

// Out of the maps. mutex_ is held.
void ClientTable::detach(const std::shared_ptr<Client>& client) {
    by_id_.erase(client->id);
    const auto found = by_owner_.find(owner_key(client->minor_version, client->owner));
    if (found == by_owner_.end()) return;
    auto& entry = found->second;
    if (entry.confirmed == client) entry.confirmed.reset();
    if (entry.unconfirmed == client) entry.unconfirmed.reset();
    if (entry.confirmed == nullptr && entry.unconfirmed == nullptr) by_owner_.erase(found);
}

void ClientTable::release(const std::shared_ptr<Client>& client) {
    client->gone.store(true, std::memory_order_release);
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
    {
        std::lock_guard lock(mutex_);
        auto& entry = by_owner_[owner_key(1, request.owner)];
        const auto old = entry.confirmed;
        if (request.update) {
            // 18.35.4, case 6 to 9: only a confirmed record can be updated, by whom it belongs to.
            if (old == nullptr) {
                out.status = NfsStatus::noent;
            } else if (old->verifier != request.verifier) {
                out.status = NfsStatus::not_same;
            } else if (old->principal != request.principal) {
                out.status = NfsStatus::perm;
            } else {
                out.client = old;
                out.confirmed = true;
                old->renew(now);
            }
            if (entry.confirmed == nullptr && entry.unconfirmed == nullptr) by_owner_.erase(owner_key(1, request.owner));
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
            by_id_.erase(old->id);
            entry.confirmed.reset();
        }
        // Cases 1, 4 and 5: a new record. A confirmed one of an earlier instance stays until this one is confirmed.
        if (by_id_.size() >= clients_max_) {
            out.status = NfsStatus::delay;
            return out;
        }
        if (entry.unconfirmed != nullptr) by_id_.erase(entry.unconfirmed->id);
        entry.unconfirmed = make(request, 1, now);
        out.client = entry.unconfirmed;
    }
    for (const auto& client : out.replaced) release(client);
    return out;
}

std::shared_ptr<Client> ClientTable::confirm(const std::shared_ptr<Client>& client) {
    std::shared_ptr<Client> older;
    {
        std::lock_guard lock(mutex_);
        if (client->confirmed || client->gone.load(std::memory_order_acquire)) return nullptr;
        client->confirmed = true;
        auto& entry = by_owner_[owner_key(client->minor_version, client->owner)];
        older = std::move(entry.confirmed);
        entry.confirmed = client;
        if (entry.unconfirmed == client) entry.unconfirmed.reset();
        if (older != nullptr) by_id_.erase(older->id);
    }
    if (older != nullptr) release(older);
    return older;
}

ClientTable::Exchanged ClientTable::set_client_id(const Exchange& request, const Verifier& confirm, Instant now) {
    Exchanged out;
    std::lock_guard lock(mutex_);
    auto& entry = by_owner_[owner_key(0, request.owner)];
    const auto old = entry.confirmed;
    if (old != nullptr && old->principal != request.principal && old->has_state() && !old->lease_over(now, lease_)) {
        out.status = NfsStatus::clid_inuse;
        out.client = old;
        return out;
    }
    if (by_id_.size() >= clients_max_) {
        out.status = NfsStatus::delay;
        return out;
    }
    if (entry.unconfirmed != nullptr && (old == nullptr || entry.unconfirmed->id != old->id)) by_id_.erase(entry.unconfirmed->id);
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
        entry.unconfirmed = update;
        out.client = update;
        return out;
    }
    entry.unconfirmed = make(request, 0, now);
    entry.unconfirmed->confirm = confirm;
    out.client = entry.unconfirmed;
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
                if (entry.confirmed != nullptr) {
                    out.replaced.push_back(entry.confirmed);
                    by_id_.erase(entry.confirmed->id);
                }
                entry.confirmed = client;
                out.client = client;
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

std::vector<std::shared_ptr<Client>> ClientTable::overdue(Instant now, Duration courtesy) const {
    std::vector<std::shared_ptr<Client>> out;
    std::lock_guard lock(mutex_);
    for (const auto& [id, client] : by_id_) {
        if (!client->lease_over(now, lease_)) continue;
        if (!client->confirmed || !client->has_state() || client->lease_over(now, lease_ + courtesy)) out.push_back(client);
    }
    return out;
}

void ClientTable::forget_idle_owners(Instant now) {
    for (const auto& client : all()) {
        std::lock_guard lock(client->mutex);
        for (auto* owners : {&client->open_owners, &client->lock_owners}) {
            std::erase_if(*owners, [&](const auto& entry) {
                const auto& owner = *entry.second;
                const bool idle = owner.states.empty() && !owner.busy && now - owner.used > lease_;
                if (idle) client->closed.erase(owner.last_closed);
                return idle;
            });
        }
    }
}

std::size_t ClientTable::size() const {
    std::lock_guard lock(mutex_);
    return by_id_.size();
}

std::vector<std::shared_ptr<Client>> ClientTable::all() const {
    std::vector<std::shared_ptr<Client>> out;
    std::lock_guard lock(mutex_);
    for (const auto& [id, client] : by_id_) out.push_back(client);
    return out;
}

}  // namespace strata::nfs

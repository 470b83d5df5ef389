// SPDX-License-Identifier: Apache-2.0
// Stateids: the order of the checks decides which error a client is told.
#include "nfs/state/find_state.h"

namespace strata::nfs {

NfsStatus find_client(Compound& compound, ClientId id, std::shared_ptr<Client>& out) {
    auto& clients = compound.service.clients;
    out = clients.find(id);
    if (out != nullptr && out->confirmed && out->minor_version == 0) {
        out->renew(compound.service.runtime.clock->now());
        compound.client = id;
        return NfsStatus::ok;
    }
    out.reset();
    return clients.was_ours(id) && clients.find(id) == nullptr ? NfsStatus::expired : NfsStatus::stale_clientid;
}

NfsStatus find_state(Compound& compound, Stateid stateid, FoundState& out, SeqidCheck check) {
    const auto resolved = compound.resolve(stateid);
    if (resolved != NfsStatus::ok) return resolved;
    if (stateid.is_special()) return NfsStatus::bad_stateid;
    auto& clients = compound.service.clients;
    const bool v40 = compound.minor_version == 0;
    const auto number = StateNumber::of(stateid);
    if (number.epoch != clients.epoch()) {
        // Epochs only grow: a larger one was never given out.
        return v40 && number.epoch < clients.epoch() && number.epoch != 0 ? NfsStatus::stale_stateid : NfsStatus::bad_stateid;
    }
    const auto id = make_client_id(number.epoch, number.client);
    if (v40) {
        out.client = clients.find(id);
        if (out.client == nullptr) return clients.was_ours(id) ? NfsStatus::expired : NfsStatus::bad_stateid;
        if (out.client->minor_version != 0) return NfsStatus::bad_stateid;
        out.client->renew(compound.service.runtime.clock->now());
        compound.client = id;
    } else {
        if (id != compound.client) return NfsStatus::bad_stateid;
        out.client = compound.session->client;
    }
    out.lock = std::unique_lock(out.client->mutex);
    const auto found = out.client->states.find(number.state);
    if (found == out.client->states.end()) {
        const bool gone = out.client->gone.load(std::memory_order_acquire);
        out.lock.unlock();
        return gone ? NfsStatus::expired : NfsStatus::bad_stateid;
    }
    out.state = found->second;
    if (check == SeqidCheck::ignore) return NfsStatus::ok;
    const auto status = check_stateid_seqid(compound, stateid, out.state->id);
    if (status != NfsStatus::ok) out.lock.unlock();
    return status;
}

NfsStatus check_grace(const Compound& compound, const Client& client, bool reclaim) {
    const auto& grace = compound.service.grace;
    const bool done = client.reclaim_complete.load(std::memory_order_relaxed);
    if (!reclaim) return grace.active() || (compound.minor_version > 0 && !done) ? NfsStatus::grace : NfsStatus::ok;
    if (done || !grace.active()) return NfsStatus::no_grace;
    return grace.may_reclaim(client.owner) ? NfsStatus::ok : NfsStatus::reclaim_bad;
}

NfsStatus check_stateid_seqid(const Compound& compound, const Stateid& given, const Stateid& current) {
    if (given.seqid == current.seqid || (compound.minor_version != 0 && given.seqid == 0)) return NfsStatus::ok;
    // The difference as a signed number: seqids wrap.
    return static_cast<std::int32_t>(given.seqid - current.seqid) < 0 ? NfsStatus::old_stateid : NfsStatus::bad_stateid;
}

}  // namespace strata::nfs

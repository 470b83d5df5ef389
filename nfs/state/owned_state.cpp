// SPDX-License-Identifier: Apache-2.0
// OwnedState: look-up, sequence, and the check of the stateid in the order that retransmissions need.
#include "nfs/state/owned_state.h"

#include <utility>

#include "nfs/state/find_state.h"

namespace strata::nfs {

bool OwnedState::begin(Compound& compound, Stateid stateid, State::Kind kind, std::uint32_t seqid, std::uint32_t operation,
                       XdrWriter& out) {
    status_ = compound.resolve(stateid);
    if (status_ != NfsStatus::ok) return false;
    stateid_ = stateid;
    {
        FoundState found;
        status_ = find_state(compound, stateid, found, SeqidCheck::ignore);
        if (status_ == NfsStatus::ok) {
            if (found.state->kind != kind || found.state->file != compound.current.id) {
                status_ = NfsStatus::bad_stateid;
                return false;
            }
            state = found.state;
            owner = state->owner;
        } else if (status_ == NfsStatus::bad_stateid && compound.minor_version == 0 && found.client != nullptr && !found.lock.owns_lock()) {
            // A CLOSE that comes once more names a state that its first coming ended.
            std::lock_guard lock(found.client->mutex);
            const auto closed = found.client->closed.find(StateNumber::of(stateid).state);
            if (closed == found.client->closed.end()) return false;
            owner = closed->second;
        } else {
            return false;
        }
        client = found.client;
    }
    if (!sequence_.begin(compound, client, owner, seqid, operation, out)) {
        status_ = sequence_.status();
        return false;
    }
    return true;
}

NfsStatus OwnedState::enter(const Compound& compound, bool confirmed, std::unique_lock<std::mutex>& lock) {
    if (state == nullptr) return NfsStatus::bad_stateid;
    lock = std::unique_lock(client->mutex);
    const auto found = client->states.find(StateNumber::of(stateid_).state);
    auto status = found == client->states.end() || found->second != state ? NfsStatus::bad_stateid
                                                                          : check_stateid_seqid(compound, stateid_, state->id);
    const auto& open_owner = state->parent != nullptr ? *state->parent->owner : *state->owner;
    if (status == NfsStatus::ok && confirmed && !open_owner.confirmed) status = NfsStatus::bad_stateid;
    if (status != NfsStatus::ok) lock.unlock();
    return status;
}

}  // namespace strata::nfs

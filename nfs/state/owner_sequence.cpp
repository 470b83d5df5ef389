// SPDX-License-Identifier: Apache-2.0
// OwnerSequence: counting, and the replay of a last reply.
#include "nfs/state/owner_sequence.h"

#include <utility>

namespace strata::nfs {

namespace {

// Of one client: past what any real one holds.
constexpr std::size_t owners_max = 65536, states_max = 1 << 20;
// What an owner and a state take, roughly, beside the owner's name: themselves, their places in maps, an owner's last reply, a pin.
constexpr std::size_t owner_bytes = 1024, state_bytes = 768;

// Errors that leave the sequence where it was (RFC 7530, 9.1.7).
bool counts(NfsStatus status) {
    switch (status) {
        case NfsStatus::stale_clientid:
        case NfsStatus::stale_stateid:
        case NfsStatus::bad_stateid:
        case NfsStatus::bad_seqid:
        case NfsStatus::badxdr:
        case NfsStatus::resource:
        case NfsStatus::nofilehandle:
        case NfsStatus::moved: return false;
        default: return true;
    }
}

}  // namespace

OwnerSequence::~OwnerSequence() {
    if (owner_ == nullptr) return;
    std::lock_guard lock(client_->mutex);
    owner_->busy = false;
}

bool OwnerSequence::begin(Compound& compound, std::shared_ptr<Client> client, std::shared_ptr<Owner> owner, std::uint32_t seqid,
                          std::uint32_t operation, XdrWriter& out) {
    if (compound.minor_version != 0) return true;
    std::lock_guard lock(client->mutex);
    owner->used = compound.service.runtime.clock->now();
    if (owner->busy) {
        status_ = NfsStatus::resource;  // its last request still runs: this one is not counted, and may come again
        return false;
    }
    if (owner->started && seqid == owner->seqid && owner->last && owner->last->operation == operation) {
        const auto& last = *owner->last;
        status_ = last.status;
        out.raw(last.body);
        compound.keep_error_body = true;
        compound.commit_point.raise(last.commit_index);
        if (status_ == NfsStatus::ok) {
            FileRef file;
            if (compound.file_of(last.handle, file) == NfsStatus::ok) compound.set_current(file);
            compound.current_stateid = last.stateid;
        }
        return false;
    }
    if (owner->started && seqid != owner->seqid + 1) {
        status_ = NfsStatus::bad_seqid;
        return false;
    }
    owner->busy = true;
    client_ = std::move(client);
    owner_ = std::move(owner);
    seqid_ = seqid;
    operation_ = operation;
    body_ = out.mark();
    return true;
}

NfsStatus OwnerSequence::end(Compound& compound, NfsStatus status, const XdrWriter& out) {
    if (owner_ == nullptr || !counts(status)) return status;
    std::lock_guard lock(client_->mutex);
    owner_->started = true;
    owner_->seqid = seqid_;
    auto& last = owner_->last.emplace();
    last.operation = operation_;
    last.status = status;
    if (status == NfsStatus::ok || compound.keep_error_body) out.copy_since(body_, last.body);
    if (!compound.current.is_none()) last.handle = compound.handle_of(compound.current);
    last.stateid = compound.current_stateid;
    last.commit_index = compound.commit_point.index;
    return status;
}

Result<std::shared_ptr<Owner>> find_or_make_owner(Quota& quota, std::map<std::string, std::shared_ptr<Owner>, std::less<>>& owners,
                                                  std::string_view name, Instant now, bool confirmed) {
    auto found = owners.find(name);
    if (found == owners.end()) {
        if (owners.size() >= owners_max) return fail(Errc::too_many);
        auto share = quota.take(owner_bytes + 2 * name.size());
        if (!share) return fail(Errc::no_memory);
        auto owner = std::make_shared<Owner>();
        owner->share = std::move(*share);
        owner->name = name;
        owner->confirmed = confirmed;
        found = owners.emplace(owner->name, std::move(owner)).first;
    }
    found->second->used = now;
    return found->second;
}

Result<Quota::Share> share_for_state(Quota& quota, const Client& client, const Owner& owner) {
    if (client.states.size() >= states_max) return fail(Errc::too_many);
    auto share = quota.take(state_bytes + owner.name.size());
    if (!share) return fail(Errc::no_memory);
    return std::move(*share);
}

void detach_state(Client& client, const std::shared_ptr<State>& state) {
    client.states.erase(StateNumber::of(state->id).state);
    state->owner->states.erase(state->file);
    if (state->parent != nullptr) {
        std::erase_if(state->parent->locks, [&state](const auto& weak) { return weak.expired() || weak.lock() == state; });
    }
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// CLOSE, OPEN_CONFIRM, OPEN_DOWNGRADE: RFC 7530, 16.2, 16.18, 16.19; RFC 8881, 18.2, 18.18.
#include <utility>
#include <vector>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/owned_state.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t op_close_code = 4, op_open_confirm_code = 20, op_open_downgrade_code = 21;

// The client that an owner's next CLOSE may be retransmitted to remembers the one that was last. Client::mutex is held.
void remember_closed(Client& client, const std::shared_ptr<Owner>& owner, std::uint32_t number) {
    client.closed.erase(owner->last_closed);
    owner->last_closed = number;
    client.closed.emplace(number, owner);
}

// The open ends, and with it the locks that were taken through it.
NfsStatus close(Compound& compound, OwnedState& owned, XdrWriter& out) {
    std::vector<std::shared_ptr<State>> ended;  // they unregister outside the lock
    std::unique_lock<std::mutex> lock;
    const auto status = owned.enter(compound, true, lock);
    if (status != NfsStatus::ok) return status;
    auto& client = *owned.client;
    const auto state = owned.state;
    auto& files = *compound.service.parts.files;
    for (const auto& weak : std::exchange(state->locks, {})) {
        auto held = weak.lock();
        if (held == nullptr || held->parent != state) continue;
        files.release_locks(held->file, client.holder(*held->owner));
        detach_state(client, held);
        held->parent.reset();
        if (compound.minor_version != 0 && held->owner->states.empty()) client.lock_owners.erase(held->owner->name);
        ended.push_back(std::move(held));
    }
    detach_state(client, state);
    if (compound.minor_version == 0) {
        remember_closed(client, state->owner, StateNumber::of(state->id).state);
    } else if (state->owner->states.empty()) {
        client.open_owners.erase(state->owner->name);
    }
    // 4.1 returns a stateid that can never be used (18.2.4).
    auto reply = Stateid::invalid();
    if (compound.minor_version == 0) {
        reply = state->id;
        reply.seqid = next_seqid(reply.seqid);
    }
    lock.unlock();
    compound.current_stateid = Stateid::invalid();
    out.write(reply);
    return NfsStatus::ok;
}

NfsStatus confirm(Compound& compound, OwnedState& owned, XdrWriter& out) {
    std::unique_lock<std::mutex> lock;
    const auto status = owned.enter(compound, false, lock);
    if (status != NfsStatus::ok) return status;
    if (owned.owner->confirmed) return NfsStatus::bad_stateid;
    owned.owner->confirmed = true;
    owned.state->id.seqid = next_seqid(owned.state->id.seqid);
    out.write(owned.state->id);
    return NfsStatus::ok;
}

NfsStatus downgrade(Compound& compound, OwnedState& owned, std::uint32_t access, std::uint32_t deny, XdrWriter& out) {
    std::unique_lock<std::mutex> lock;
    const auto status = owned.enter(compound, true, lock);
    if (status != NfsStatus::ok) return status;
    auto& state = *owned.state;
    // 4.1 may send its wishes for delegations here, too.
    if (compound.minor_version != 0) access &= 3;
    if (access == 0 || access > 3 || deny > 3) return NfsStatus::inval;
    // Only to what an OPEN once asked for: the client must have kept count (18.18.3).
    if ((access & ~state.access) != 0 || (deny & ~state.deny) != 0 || (state.history & (1u << (4 * deny + access))) == 0)
        return NfsStatus::inval;
    const auto changed =
        compound.service.parts.files->change(*state.open, static_cast<std::uint8_t>(access), static_cast<std::uint8_t>(deny), nullptr);
    if (!changed) return to_status(changed.error());
    state.access = static_cast<std::uint8_t>(access);
    state.deny = static_cast<std::uint8_t>(deny);
    // What lies above is closed; the combinations within it may be gone back to.
    for (std::uint32_t d = 0; d <= 3; ++d) {
        for (std::uint32_t a = 0; a <= 3; ++a) {
            if ((a & ~access) != 0 || (d & ~deny) != 0) state.history &= static_cast<std::uint16_t>(~(1u << (4 * d + a)));
        }
    }
    state.id.seqid = next_seqid(state.id.seqid);
    compound.current_stateid = state.id;
    out.write(state.id);
    return NfsStatus::ok;
}

}  // namespace

NfsStatus op_close(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto seqid = in.u32();
    Stateid stateid;
    in.read(stateid);
    if (!in.ok()) return NfsStatus::badxdr;
    OwnedState owned;
    if (!owned.begin(compound, stateid, State::Kind::open, seqid, op_close_code, out)) return owned.status();
    return owned.end(compound, close(compound, owned, out), out);
}

NfsStatus op_open_confirm(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    const auto seqid = in.u32();
    if (!in.ok()) return NfsStatus::badxdr;
    OwnedState owned;
    if (!owned.begin(compound, stateid, State::Kind::open, seqid, op_open_confirm_code, out)) return owned.status();
    return owned.end(compound, confirm(compound, owned, out), out);
}

NfsStatus op_open_downgrade(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    const auto seqid = in.u32();
    const auto access = in.u32();
    const auto deny = in.u32();
    if (!in.ok()) return NfsStatus::badxdr;
    OwnedState owned;
    if (!owned.begin(compound, stateid, State::Kind::open, seqid, op_open_downgrade_code, out)) return owned.status();
    return owned.end(compound, downgrade(compound, owned, access, deny, out), out);
}

}  // namespace strata::nfs

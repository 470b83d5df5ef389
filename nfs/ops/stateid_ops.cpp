// SPDX-License-Identifier: Apache-2.0
// TEST_STATEID, FREE_STATEID, DELEGRETURN: RFC 8881, 18.48, 18.38, 18.6.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/find_state.h"
#include "nfs/state/owner_sequence.h"

namespace strata::nfs {

NfsStatus op_test_stateid(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto count = in.count(16);
    if (!in.ok()) return NfsStatus::badxdr;
    out.u32(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        Stateid stateid;
        in.read(stateid);
        FoundState found;
        // The current stateid has no meaning in a list (18.48.3).
        out.write(stateid.is_special() ? NfsStatus::bad_stateid : find_state(compound, stateid, found));
    }
    return in.ok() ? NfsStatus::ok : NfsStatus::badxdr;
}

NfsStatus op_free_stateid(Compound& compound, XdrReader& in, XdrWriter&) {
    Stateid stateid;
    in.read(stateid);
    if (!in.ok()) return NfsStatus::badxdr;
    std::shared_ptr<State> ended;
    FoundState found;
    const auto status = find_state(compound, stateid, found);
    if (status != NfsStatus::ok) return status;
    auto& client = *found.client;
    if (found.state->kind == State::Kind::open) return NfsStatus::locks_held;
    if (compound.service.parts.files->holds_locks(found.state->file, client.holder(*found.state->owner))) return NfsStatus::locks_held;
    ended = found.state;
    detach_state(client, ended);
    if (ended->owner->states.empty()) client.lock_owners.erase(ended->owner->name);
    return NfsStatus::ok;
}

// We grant no delegations, so none can come back.
NfsStatus op_delegreturn(Compound&, XdrReader& in, XdrWriter&) {
    Stateid stateid;
    in.read(stateid);
    return in.ok() ? NfsStatus::bad_stateid : NfsStatus::badxdr;
}

}  // namespace strata::nfs

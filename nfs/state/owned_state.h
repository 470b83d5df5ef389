// SPDX-License-Identifier: Apache-2.0
// OwnedState: the state that CLOSE, OPEN_CONFIRM, OPEN_DOWNGRADE, LOCK and LOCKU change, under its owner's sequence.
#pragma once

#include <memory>
#include <mutex>

#include "nfs/compound.h"
#include "nfs/state/client.h"
#include "nfs/state/owner_sequence.h"

namespace strata::nfs {

class OwnedState {
public:
    // Finds the state of `stateid`, which must be of `kind` and of the current filehandle, and begins its owner's sequence.
    // True: go on with enter(). False: answer status(); a replayed body is written already.
    bool begin(Compound& compound, Stateid stateid, State::Kind kind, std::uint32_t seqid, std::uint32_t operation, XdrWriter& out);
    // Locks the client and checks that the state is as the stateid says. `confirmed`: so must its open-owner be (4.0).
    // Errors: old_stateid, bad_stateid.
    NfsStatus enter(const Compound& compound, bool confirmed, std::unique_lock<std::mutex>& lock);
    NfsStatus status() const { return status_; }
    NfsStatus end(Compound& compound, NfsStatus status, const XdrWriter& out) { return sequence_.end(compound, status, out); }

    // Declared first, so that it outlives the lock of who entered.
    std::shared_ptr<Client> client;
    std::shared_ptr<State> state;
    std::shared_ptr<Owner> owner;

private:
    OwnerSequence sequence_;
    Stateid stateid_;
    NfsStatus status_ = NfsStatus::ok;
};

}  // namespace strata::nfs

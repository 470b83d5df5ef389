// SPDX-License-Identifier: Apache-2.0
// From a stateid on the wire to the state that it stands for, or to the right error (RFC 8881, 8.2.4).
#pragma once

#include <memory>
#include <mutex>

#include "nfs/compound.h"
#include "nfs/state/client.h"

namespace strata::nfs {

struct FoundState {
    std::shared_ptr<Client> client;
    std::shared_ptr<State> state;
    // Client::mutex, held: while it is, the state may be read and changed.
    std::unique_lock<std::mutex> lock;
};

enum class SeqidCheck : std::uint8_t { exact_or_zero, ignore };

// Special stateids are the caller's, the current one is resolved here. In minor version 0 the client's lease is renewed.
// Errors: stale_stateid (4.0) or bad_stateid of an earlier incarnation, bad_stateid, expired, old_stateid.
NfsStatus find_state(Compound& compound, Stateid stateid, FoundState& out, SeqidCheck check = SeqidCheck::exact_or_zero);

// Is the seqid of `given` the one of `current`? Zero is in 4.1. Errors: old_stateid, bad_stateid.
NfsStatus check_stateid_seqid(const Compound& compound, const Stateid& given, const Stateid& current);

// The client of a 4.0 request that names one by its id. Errors: stale_clientid, expired.
NfsStatus find_client(Compound& compound, ClientId id, std::shared_ptr<Client>& out);

// May `client` take an open or a lock that is new, or (`reclaim`) that it had before the restart? Reclaims come before everybody else,
// and a 4.1 client's own before its new ones (RFC 8881, 8.4.2.1 and 18.51.3). Errors: grace, no_grace, reclaim_bad.
NfsStatus check_grace(const Compound& compound, const Client& client, bool reclaim);

}  // namespace strata::nfs

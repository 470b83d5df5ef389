// SPDX-License-Identifier: Apache-2.0
// SEQUENCE: RFC 8881, 18.46.
#include <algorithm>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/session.h"

namespace strata::nfs {

namespace {

// code and status of a result, SEQUENCE's body, code and status of an error behind it.
constexpr std::size_t reply_minimum = 8 + 36 + 8;

std::shared_ptr<Session> find_session(Compound& compound, const SessionId& id) {
    auto& last = compound.connection.last_session;
    if (last != nullptr && last->id == id && !last->destroyed.load(std::memory_order_acquire)) return last;
    last = compound.service.sessions.find(id);
    return last;
}

NfsStatus check_limits(const Compound& compound, const Session& session, const XdrWriter& out) {
    if (compound.request_bytes > session.fore.max_request_size) return NfsStatus::req_too_big;
    if (compound.operation_count > session.fore.max_operations) return NfsStatus::too_many_ops;
    if (compound.room(out) < reply_minimum) return compound.cache_this ? NfsStatus::rep_too_big_to_cache : NfsStatus::rep_too_big;
    return NfsStatus::ok;
}

NfsStatus to_status(Session::Verdict verdict) {
    switch (verdict) {
        case Session::Verdict::fresh:
        case Session::Verdict::replay:
        case Session::Verdict::uncached: return NfsStatus::ok;
        case Session::Verdict::in_progress:
        case Session::Verdict::no_room: return NfsStatus::delay;
        case Session::Verdict::misordered: return NfsStatus::seq_misordered;
        case Session::Verdict::false_retry: return NfsStatus::seq_false_retry;
    }
    return NfsStatus::serverfault;
}

}  // namespace

NfsStatus op_sequence(Compound& compound, XdrReader& in, XdrWriter& out) {
    SessionId id;
    in.read(id);
    const auto sequence = in.u32();
    const auto slot = in.u32();
    const auto highest = in.u32();
    const bool cache_this = in.boolean();
    if (!in.ok()) return NfsStatus::badxdr;
    auto session = find_session(compound, id);
    if (session == nullptr) return NfsStatus::badsession;
    compound.cache_this = cache_this;
    compound.reply_limit = session->fore.max_response_size;
    if (cache_this) compound.reply_limit = std::min<std::size_t>(compound.reply_limit, session->fore.max_response_size_cached);
    auto status = check_limits(compound, *session, out);
    if (status != NfsStatus::ok) return status;
    const auto slots = session->fore.max_requests;
    if (slot >= slots) return NfsStatus::badslot;
    if (highest >= slots) return NfsStatus::bad_high_slot;
    // What identifies the request: all that follows SEQUENCE.
    if (cache_this) compound.request_checksum = checksum_of_request(in.rest());
    auto* keep = cache_this ? &compound.service.session_bytes : nullptr;
    const auto verdict = session->take(slot, sequence, compound.request_checksum, keep, compound.replay);
    status = to_status(verdict);
    if (status != NfsStatus::ok) return status;
    session->client->renew(compound.service.runtime.clock->now());
    if (verdict == Session::Verdict::replay) {
        compound.replayed = true;
        return NfsStatus::ok;
    }
    compound.uncached_retry = verdict == Session::Verdict::uncached;
    compound.slot = slot;
    compound.slot_taken = verdict == Session::Verdict::fresh;
    compound.client = session->client->id;
    out.write(id);
    out.u32(sequence);
    out.u32(slot);
    out.u32(slots - 1);  // the highest slot we keep
    out.u32(slots - 1);  // the highest we want used
    out.u32(0);          // status flags: no back channel of ours is in need, no state was revoked
    compound.session = std::move(session);
    return NfsStatus::ok;
}

}  // namespace strata::nfs

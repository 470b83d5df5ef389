// SPDX-License-Identifier: Apache-2.0
// OPEN, the second half: the open is registered and answered. RFC 7530, 16.16; RFC 8881, 18.16.
#include <utility>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/ops/open_args.h"
#include "nfs/ops/open_file.h"
#include "nfs/state/find_state.h"
#include "nfs/state/owner_sequence.h"
#include "nfs/state/session.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t op_open_code = 18;
constexpr int lookups_max = 8;  // of a name whose file is gone each time
constexpr std::uint32_t result_confirm = 2, result_locktype_posix = 4;
constexpr std::uint32_t delegate_none = 0, delegate_none_ext = 3, why_not_wanted = 0, why_resource = 2;

struct Opening {
    std::shared_ptr<Client> client;
    std::shared_ptr<Owner> owner;
    Stateid stateid;
    bool confirm = false;  // the owner has yet to be confirmed (4.0)
};

// Client::mutex is held. Registers the open, or widens the owner's open of the same file.
Result<> enter(Compound& compound, Opening& opening, const OpenArgs& args, const OpenedFile& opened, std::unique_ptr<vfs::Pin>& pin,
               vfs::Holder* conflict) {
    auto& client = *opening.client;
    auto& files = *compound.service.parts.files;
    const auto found = opening.owner->states.find(opened.file.id);
    std::shared_ptr<State> state;
    if (found != opening.owner->states.end()) {
        state = found->second;
        // An owner's own reservations bind it, too (RFC 7530, 9.9).
        if ((args.access & state->deny) != 0 || (args.deny & state->access) != 0) {
            *conflict = client.holder(*opening.owner);
            return fail(Errc::share_conflict);
        }
        const auto access = static_cast<std::uint8_t>(state->access | args.access);
        const auto deny = static_cast<std::uint8_t>(state->deny | args.deny);
        CHECK_OK(files.change(*state->open, access, deny, conflict));
        state->access = access;
        state->deny = deny;
        state->id.seqid = next_seqid(state->id.seqid);
    } else {
        TRY(share, share_for_state(compound.service.state_bytes, client, *opening.owner));
        TRY(open, files.open(opened.file.id, client.holder(*opening.owner), args.access, args.deny, conflict));
        state = std::make_shared<State>();
        state->share = std::move(share);
        state->id = client.new_stateid(1);
        state->file = opened.file.id;
        state->owner = opening.owner;
        state->open = std::move(open);
        state->pin = std::move(pin);
        state->uid = compound.caller.uid;
        state->access = args.access;
        state->deny = args.deny;
        client.states.emplace(StateNumber::of(state->id).state, state);
        opening.owner->states.emplace(state->file, state);
    }
    state->history |= static_cast<std::uint16_t>(1u << (4 * args.deny + args.access));
    if (args.claim == Claim::previous) opening.owner->confirmed = true;
    opening.stateid = state->id;
    opening.confirm = !opening.owner->confirmed;
    return {};
}

// The client's record is durable before it gets state: and before a file is made for it, so that a create that comes again because the
// record could not be written does not meet the file that it made itself.
Task<NfsStatus> ensure_record(Compound& compound, const Opening& opening, const OpenArgs& args) {
    auto& service = compound.service;
    const auto written = co_await service.ensure_record(opening.client);
    if (!written) co_return to_status(written.error());
    // Grace may have closed while it was written: then it may have been erased again.
    if (args.claim != Claim::previous || service.grace.may_reclaim(opening.client->owner)) co_return NfsStatus::ok;
    opening.client->record.store(Record::unsure);
    co_return NfsStatus::no_grace;
}

// The open enters the file's table. Opens of clients whose lease is over give way.
Task<NfsStatus> register_open(Compound& compound, Opening& opening, const OpenArgs& args, const OpenedFile& opened) {
    auto& service = compound.service;
    auto pinned = co_await compound.fs().pin(compound.ctx, opened.file.id);
    if (!pinned) co_return to_status(pinned.error());
    for (int round = 0; round < courtesy_rounds; ++round) {
        vfs::Holder conflict;
        auto entered = Result<>();
        {
            std::lock_guard lock(opening.client->mutex);
            if (opening.client->gone.load(std::memory_order_acquire)) co_return NfsStatus::stale_clientid;
            entered = enter(compound, opening, args, opened, *pinned, &conflict);
        }
        if (entered) co_return NfsStatus::ok;
        if (entered.error() == Errc::no_memory && co_await service.make_room()) continue;
        if (!(entered.error() == Errc::share_conflict)) co_return to_status(entered.error());
        const bool other_nfs = conflict.protocol == vfs::Protocol::nfs && conflict.client != opening.client->id;
        const auto courtesy = other_nfs ? co_await service.end_if_courtesy(conflict.client) : Service::Courtesy::alive;
        if (courtesy == Service::Courtesy::later) co_return NfsStatus::delay;
        if (courtesy == Service::Courtesy::alive) {
            co_return args.claim == Claim::previous ? NfsStatus::reclaim_conflict : NfsStatus::share_denied;
        }
    }
    co_return NfsStatus::delay;
}

// Gives up what register_open made, if it was made new: the truncation that belongs to the OPEN failed.
void undo(Opening& opening) {
    std::shared_ptr<State> ended;
    std::lock_guard lock(opening.client->mutex);
    const auto found = opening.client->states.find(StateNumber::of(opening.stateid).state);
    if (found == opening.client->states.end() || found->second->id.seqid != 1) return;
    ended = found->second;
    detach_state(*opening.client, ended);
}

void write_result(Compound& compound, const Opening& opening, const OpenArgs& args, const OpenedFile& opened, XdrWriter& out) {
    out.write(opening.stateid);
    out.write(opened.directory);
    out.u32(result_locktype_posix | (opening.confirm ? result_confirm : 0));
    write_mask(out, opened.attributes);
    if (compound.minor_version == 0 || args.want == want_no_preference) {
        out.u32(delegate_none);
    } else if (args.want == want_no_deleg) {
        out.u32(delegate_none_ext);
        out.u32(why_not_wanted);
    } else {
        out.u32(delegate_none_ext);
        out.u32(why_resource);
        out.boolean(false);  // we will not signal when there is one
    }
}

Task<NfsStatus> open(Compound& compound, Opening& opening, OpenArgs& args, XdrWriter& out) {
    if (args.fault != NfsStatus::ok) co_return args.fault;
    auto status = check_grace(compound, *opening.client, args.claim == Claim::previous);
    if (status != NfsStatus::ok) co_return status;
    OpenedFile opened;
    if (args.create) status = co_await ensure_record(compound, opening, args);
    for (int round = 0; status == NfsStatus::ok; ++round) {
        opened = {};
        status = co_await find_or_create(compound, args, opened);
        if (status == NfsStatus::ok && !args.create) status = co_await ensure_record(compound, opening, args);
        if (status == NfsStatus::ok) status = co_await register_open(compound, opening, args, opened);
        if (status == NfsStatus::ok) break;
        // Somebody removed or replaced the file between the look at its name and now: the name is what was asked for.
        if (status == NfsStatus::stale && args.claim == Claim::null && round < lookups_max) status = NfsStatus::ok;
    }
    if (status != NfsStatus::ok) co_return status;
    if (opened.truncate) {
        vfs::SetAttributes truncate;
        truncate.size = 0;
        const auto done = co_await compound.fs().set_attributes(compound.ctx, opened.file.id, truncate, true);
        if (!done) {
            undo(opening);
            co_return to_status(done.error());
        }
    }
    if (args.claim == Claim::previous && compound.minor_version == 0) compound.service.grace.reclaimed(opening.client->owner);
    compound.set_current(opened.file);
    compound.current_stateid = opening.stateid;
    write_result(compound, opening, args, opened, out);
    co_return NfsStatus::ok;
}

// An open-owner that was never confirmed starts over with any seqid that is not a retransmission (RFC 7530, 16.18.5).
void restart_unconfirmed(Client& client, Owner& owner, std::uint32_t seqid) {
    std::vector<std::shared_ptr<State>> ended;
    std::lock_guard lock(client.mutex);
    if (owner.confirmed || owner.busy || !owner.started || seqid == owner.seqid) return;
    for (const auto& [file, state] : owner.states) ended.push_back(state);
    for (const auto& state : ended) detach_state(client, state);
    owner.started = false;
}

}  // namespace

Task<NfsStatus> op_open(Compound& compound, XdrReader& in, XdrWriter& out) {
    auto args = read_open_args(in, compound.minor_version);
    if (!in.ok()) co_return NfsStatus::badxdr;
    const bool v40 = compound.minor_version == 0;
    Opening opening;
    if (v40) {
        const auto status = find_client(compound, args.client, opening.client);
        if (status != NfsStatus::ok) co_return status;
    } else {
        opening.client = compound.session->client;
    }
    for (;;) {
        auto owner = Result<std::shared_ptr<Owner>>();
        {
            std::lock_guard lock(opening.client->mutex);
            owner = find_or_make_owner(compound.service.state_bytes, opening.client->open_owners, args.owner,
                                       compound.service.runtime.clock->now(), !v40);
        }
        opening.owner = owner ? *owner : nullptr;
        if (owner) break;
        // No sequence has counted it: an error that 4.0 does not count, either.
        if (owner.error() == Errc::too_many || !co_await compound.service.make_room()) co_return NfsStatus::resource;
    }
    if (v40) restart_unconfirmed(*opening.client, *opening.owner, args.seqid);
    OwnerSequence sequence;
    if (!sequence.begin(compound, opening.client, opening.owner, args.seqid, op_open_code, out)) co_return sequence.status();
    const auto status = co_await open(compound, opening, args, out);
    co_return sequence.end(compound, status, out);
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// LOCK, LOCKT, LOCKU, RELEASE_LOCKOWNER: RFC 7530, 16.10 - 16.12, 16.37; RFC 8881, 18.10 - 18.12.
#include <optional>
#include <utility>
#include <vector>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/find_state.h"
#include "nfs/state/owned_state.h"
#include "nfs/state/session.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t op_lock_code = 12, op_locku_code = 14;

// nfs_lock_type4. The waiting kinds only tell that the client will try again.
enum class LockType : std::uint32_t { read = 1, write = 2, read_wait = 3, write_wait = 4 };

std::optional<vfs::LockKind> kind_of(LockType type) {
    switch (type) {
        case LockType::read:
        case LockType::read_wait: return vfs::LockKind::shared;
        case LockType::write:
        case LockType::write_wait: return vfs::LockKind::exclusive;
    }
    return std::nullopt;
}

// A length of all ones reaches to the end; zero, or past the last byte that can be, is no range (18.10.3).
NfsStatus check_range(const vfs::ByteRange& range) {
    if (range.length == 0) return NfsStatus::inval;
    if (range.length != UINT64_MAX && range.offset > UINT64_MAX - range.length) return NfsStatus::inval;
    return NfsStatus::ok;
}

struct LockArgs {
    LockType type{};
    bool reclaim = false;
    vfs::ByteRange range;
    bool new_owner = false;
    std::uint32_t open_seqid = 0, lock_seqid = 0;
    Stateid stateid;  // the open's for a new lock-owner, else the lock's
    ClientId client = 0;
    std::string_view owner;
};

LockArgs read_lock(XdrReader& in) {
    LockArgs a;
    in.read(a.type);
    a.reclaim = in.boolean();
    a.range.offset = in.u64();
    a.range.length = in.u64();
    a.new_owner = in.boolean();
    if (a.new_owner) {
        a.open_seqid = in.u32();
        in.read(a.stateid);
        a.lock_seqid = in.u32();
        a.client = in.u64();
        a.owner = in.text(opaque_limit);
    } else {
        in.read(a.stateid);
        a.lock_seqid = in.u32();
    }
    if (!kind_of(a.type)) in.fail();
    return a;
}

// LOCK4denied: who holds what is in the way.
void write_denied(Compound& compound, const vfs::Lock& conflict, XdrWriter& out) {
    out.u64(conflict.range.offset);
    out.u64(conflict.range.length);
    out.write(conflict.kind == vfs::LockKind::shared ? LockType::read : LockType::write);
    out.u64(conflict.holder.protocol == vfs::Protocol::nfs ? conflict.holder.client : 0);
    out.text(conflict.holder.owner);
    compound.keep_error_body = true;
}

// The lock-owner's state of the open's file, made if it has none. Client::mutex is held. Null: too many owners, or a 4.0 lock-owner that
// is not in step.
std::shared_ptr<State> lock_state_of(Compound& compound, Client& client, const std::shared_ptr<State>& open, const LockArgs& args,
                                     NfsStatus& status) {
    auto& owners = client.lock_owners;
    const bool known = owners.find(args.owner) != owners.end();
    const auto found_owner =
        find_or_make_owner(compound.service.state_bytes, owners, args.owner, compound.service.runtime.clock->now(), true);
    if (!found_owner) {
        status = to_status(found_owner.error());
        return nullptr;
    }
    const auto& owner = *found_owner;
    if (compound.minor_version == 0) {
        // The first LOCK for a file comes with the open-owner's sequence; the lock-owner's own goes on from where it says it is.
        if (known && owner->started && args.lock_seqid != owner->seqid && args.lock_seqid != owner->seqid + 1) {
            status = NfsStatus::bad_seqid;
            return nullptr;
        }
        owner->started = true;
        owner->seqid = args.lock_seqid;
        owner->last.reset();
    }
    if (const auto found = owner->states.find(open->file); found != owner->states.end()) return found->second;
    auto share = share_for_state(compound.service.state_bytes, client, *owner);
    if (!share) {
        if (!known) owners.erase(owner->name);
        status = to_status(share.error());
        return nullptr;
    }
    auto state = std::make_shared<State>();
    state->kind = State::Kind::lock;
    state->share = std::move(*share);
    state->id = client.new_stateid(0);
    state->file = open->file;
    state->owner = owner;
    state->parent = open;
    open->locks.push_back(state);
    client.states.emplace(StateNumber::of(state->id).state, state);
    owner->states.emplace(state->file, state);
    return state;
}

// A state that got no lock has no reason to be. Client::mutex is held.
void drop_unused(Client& client, const std::shared_ptr<State>& state) {
    if (state->id.seqid != 0) return;
    detach_state(client, state);
    if (state->owner->states.empty()) client.lock_owners.erase(state->owner->name);
}

NfsStatus check_mode(const State& open, vfs::LockKind kind) {
    const auto needed = kind == vfs::LockKind::shared ? vfs::share::read : vfs::share::write;
    return (open.access & needed) != 0 ? NfsStatus::ok : NfsStatus::openmode;
}

// One try. `denied`: what is in the way, if the answer is denied.
NfsStatus try_lock(Compound& compound, OwnedState& owned, const LockArgs& args, vfs::Lock& denied, XdrWriter& out) {
    std::shared_ptr<State> state;  // goes after the lock is released
    std::unique_lock<std::mutex> lock;
    auto status = owned.enter(compound, true, lock);
    if (status != NfsStatus::ok) return status;
    auto& client = *owned.client;
    const auto kind = *kind_of(args.type);
    const auto& open = args.new_owner ? *owned.state : *owned.state->parent;
    status = check_mode(open, kind);
    if (status != NfsStatus::ok) return status;
    state = args.new_owner ? lock_state_of(compound, client, owned.state, args, status) : owned.state;
    if (state == nullptr) return status;
    const vfs::Lock wanted{client.holder(*state->owner), args.range, kind};
    const auto locked = compound.service.parts.files->lock(state->file, wanted, &denied);
    if (!locked) {
        drop_unused(client, state);
        return locked.error() == Errc::locked ? NfsStatus::denied : to_status(locked.error());
    }
    state->id.seqid = next_seqid(state->id.seqid);
    compound.current_stateid = state->id;
    out.write(state->id);
    return NfsStatus::ok;
}

Task<Service::Courtesy> clear_courtesy(Compound& compound, const vfs::Lock& held, ClientId asking) {
    if (held.holder.protocol != vfs::Protocol::nfs || held.holder.client == asking) co_return Service::Courtesy::alive;
    co_return co_await compound.service.end_if_courtesy(held.holder.client);
}

Task<NfsStatus> lock(Compound& compound, OwnedState& owned, const LockArgs& args, XdrWriter& out) {
    auto status = check_range(args.range);
    if (status == NfsStatus::ok) status = check_grace(compound, *owned.client, args.reclaim);
    if (status != NfsStatus::ok) co_return status;
    for (int round = 0; round < courtesy_rounds; ++round) {
        vfs::Lock denied;
        status = try_lock(compound, owned, args, denied, out);
        // All together hold too much; what the client alone has too much of is `resource`.
        if (status == NfsStatus::delay && co_await compound.service.make_room()) continue;
        if (status != NfsStatus::denied) co_return status;
        const auto courtesy = co_await clear_courtesy(compound, denied, owned.client->id);
        if (courtesy == Service::Courtesy::ended) continue;
        if (courtesy == Service::Courtesy::later) co_return NfsStatus::delay;
        if (args.reclaim) co_return NfsStatus::reclaim_conflict;
        write_denied(compound, denied, out);
        co_return NfsStatus::denied;
    }
    co_return NfsStatus::delay;
}

}  // namespace

Task<NfsStatus> op_lock(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto args = read_lock(in);
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (args.new_owner && compound.minor_version == 0) {
        std::shared_ptr<Client> client;
        const auto known = find_client(compound, args.client, client);
        if (known != NfsStatus::ok) co_return known;
    }
    OwnedState owned;
    const auto kind = args.new_owner ? State::Kind::open : State::Kind::lock;
    const auto seqid = args.new_owner ? args.open_seqid : args.lock_seqid;
    if (!owned.begin(compound, args.stateid, kind, seqid, op_lock_code, out)) co_return owned.status();
    const auto status = co_await lock(compound, owned, args, out);
    co_return owned.end(compound, status, out);
}

Task<NfsStatus> op_lockt(Compound& compound, XdrReader& in, XdrWriter& out) {
    LockType type{};
    vfs::Lock wanted;
    in.read(type);
    wanted.range.offset = in.u64();
    wanted.range.length = in.u64();
    auto client_id = in.u64();
    wanted.holder.owner = in.text(opaque_limit);
    const auto kind = kind_of(type);
    if (!in.ok() || !kind) co_return NfsStatus::badxdr;
    wanted.kind = *kind;
    if (compound.minor_version == 0) {
        std::shared_ptr<Client> client;
        const auto known = find_client(compound, client_id, client);
        if (known != NfsStatus::ok) co_return known;
    } else {
        client_id = compound.client;
    }
    wanted.holder.client = client_id;
    const auto range = check_range(wanted.range);
    if (range != NfsStatus::ok) co_return range;
    if (compound.service.grace.active()) co_return NfsStatus::grace;
    const auto attributes = co_await compound.attributes_of(compound.current);
    if (!attributes) co_return to_status(attributes.error());
    if (attributes->type == vfs::FileType::directory) co_return NfsStatus::isdir;
    if (attributes->type == vfs::FileType::symlink && compound.minor_version != 0) co_return NfsStatus::symlink;
    if (attributes->type != vfs::FileType::regular) co_return compound.minor_version == 0 ? NfsStatus::inval : NfsStatus::wrong_type;
    for (int round = 0; round < courtesy_rounds; ++round) {
        vfs::Lock denied;
        if (compound.service.parts.files->test(compound.current.id, wanted, &denied)) co_return NfsStatus::ok;
        const auto courtesy = co_await clear_courtesy(compound, denied, client_id);
        if (courtesy == Service::Courtesy::ended) continue;
        if (courtesy == Service::Courtesy::later) co_return NfsStatus::delay;
        write_denied(compound, denied, out);
        co_return NfsStatus::denied;
    }
    co_return NfsStatus::delay;
}

namespace {

NfsStatus unlock(Compound& compound, OwnedState& owned, const vfs::ByteRange& range, XdrWriter& out) {
    auto status = check_range(range);
    if (status != NfsStatus::ok) return status;
    std::unique_lock<std::mutex> lock;
    status = owned.enter(compound, true, lock);
    if (status != NfsStatus::ok) return status;
    auto& state = *owned.state;
    const auto unlocked = compound.service.parts.files->unlock(state.file, owned.client->holder(*state.owner), range);
    if (!unlocked) return to_status(unlocked.error());
    state.id.seqid = next_seqid(state.id.seqid);
    compound.current_stateid = state.id;
    out.write(state.id);
    return NfsStatus::ok;
}

}  // namespace

NfsStatus op_locku(Compound& compound, XdrReader& in, XdrWriter& out) {
    LockType type{};
    Stateid stateid;
    vfs::ByteRange range;
    in.read(type);
    const auto seqid = in.u32();
    in.read(stateid);
    range.offset = in.u64();
    range.length = in.u64();
    if (!in.ok() || !kind_of(type)) return NfsStatus::badxdr;
    OwnedState owned;
    if (!owned.begin(compound, stateid, State::Kind::lock, seqid, op_locku_code, out)) return owned.status();
    return owned.end(compound, unlock(compound, owned, range, out), out);
}

NfsStatus op_release_lockowner(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto id = in.u64();
    const auto name = in.text(opaque_limit);
    if (!in.ok()) return NfsStatus::badxdr;
    std::shared_ptr<Client> client;
    const auto status = find_client(compound, id, client);
    if (status != NfsStatus::ok) return status;
    std::vector<std::shared_ptr<State>> ended;
    std::lock_guard lock(client->mutex);
    const auto found = client->lock_owners.find(name);
    if (found == client->lock_owners.end()) return NfsStatus::ok;
    const auto owner = found->second;
    for (const auto& [file, state] : owner->states) {
        if (compound.service.parts.files->holds_locks(file, client->holder(*owner))) return NfsStatus::locks_held;
        ended.push_back(state);
    }
    for (const auto& state : ended) detach_state(*client, state);
    client->lock_owners.erase(found);
    return NfsStatus::ok;
}

}  // namespace strata::nfs

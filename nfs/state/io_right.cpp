// SPDX-License-Identifier: Apache-2.0
// The right to read or write: special stateids, opens, locks, permissions.
#include "nfs/state/io_right.h"

#include "nfs/state/find_state.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {

// I/O without an open: nobody may have denied it, and reclaims come first.
NfsStatus check_anonymous(Compound& compound, std::uint8_t access, bool bypass, vfs::Holder* denying) {
    if (compound.service.grace.active()) return NfsStatus::grace;
    if (bypass && access == vfs::share::read) return NfsStatus::ok;
    const auto allowed = compound.service.parts.files->check_io(compound.current.id, access, denying);
    return allowed ? NfsStatus::ok : NfsStatus::locked;
}

}  // namespace

NfsStatus check_io(Compound& compound, const Stateid& wanted, std::uint8_t access, bool& proven, vfs::Holder* denying) {
    proven = false;
    Stateid stateid = wanted;
    const auto resolved = compound.resolve(stateid);
    if (resolved != NfsStatus::ok) return resolved;
    if (stateid.is_anonymous()) return check_anonymous(compound, access, false, denying);
    if (stateid.is_read_bypass()) return check_anonymous(compound, access, true, denying);
    FoundState found;
    const auto status = find_state(compound, stateid, found);
    if (status != NfsStatus::ok) return status;
    auto& state = *found.state;
    if (state.file != compound.current.id) return NfsStatus::bad_stateid;
    const auto& open = state.kind == State::Kind::lock ? *state.parent : state;
    if (compound.minor_version == 0 && !open.owner->confirmed) return NfsStatus::bad_stateid;
    if ((access & vfs::share::write) != 0 && (open.access & vfs::share::write) == 0) return NfsStatus::openmode;
    // A client that writes parts of pages has to read the rest: an open for writing lets it, if the permissions do (9.1.2).
    proven = (access & ~open.access) == 0 && open.uid == compound.caller.uid;
    return NfsStatus::ok;
}

Task<NfsStatus> authorize_io(Compound& compound, const Stateid& stateid, std::uint8_t access) {
    bool proven = false;
    vfs::Holder denying;
    auto status = check_io(compound, stateid, access, proven, &denying);
    for (int round = 0; status == NfsStatus::locked && denying.protocol == vfs::Protocol::nfs && round < courtesy_rounds; ++round) {
        const auto courtesy = co_await compound.service.end_if_courtesy(denying.client);
        if (courtesy == Service::Courtesy::later) co_return NfsStatus::delay;
        if (courtesy == Service::Courtesy::alive) break;
        status = check_io(compound, stateid, access, proven, &denying);
    }
    if (status != NfsStatus::ok || proven) co_return status;
    const auto attributes = co_await compound.fs().get_attributes(compound.ctx, compound.current.id);
    if (!attributes) co_return to_status(attributes.error());
    if (attributes->type == vfs::FileType::directory) co_return NfsStatus::isdir;
    if (attributes->type == vfs::FileType::symlink) co_return compound.minor_version == 0 ? NfsStatus::inval : NfsStatus::symlink;
    if (attributes->type != vfs::FileType::regular) co_return compound.minor_version == 0 ? NfsStatus::inval : NfsStatus::wrong_type;
    vfs::AccessMask needed = 0;
    if ((access & vfs::share::write) != 0) needed |= vfs::access::write_data;
    if ((access & vfs::share::read) != 0) needed |= vfs::access::read_data;
    const auto granted = co_await compound.fs().check_access(compound.ctx, compound.current.id, needed | vfs::access::execute);
    if (!granted) co_return to_status(granted.error());
    // Who may execute a file may have it read for him.
    const bool readable = (*granted & (vfs::access::read_data | vfs::access::execute)) != 0;
    const bool writable = (*granted & vfs::access::write_data) != 0;
    if ((access & vfs::share::write) != 0 && !writable && attributes->uid != compound.caller.uid) co_return NfsStatus::access;
    if ((access & vfs::share::read) != 0 && !readable && attributes->uid != compound.caller.uid) co_return NfsStatus::access;
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

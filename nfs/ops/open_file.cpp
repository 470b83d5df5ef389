// SPDX-License-Identifier: Apache-2.0
// OPEN, the first half: RFC 8881, 18.16.3.
#include "nfs/ops/open_file.h"

#include <utility>

#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {

// The verifier of an exclusive create is kept beside the file, so that no attribute has to carry it.
vfs::CreateMode mode_of(CreateHow how) {
    switch (how) {
        case CreateHow::unchecked: return vfs::CreateMode::unchecked;
        case CreateHow::guarded: return vfs::CreateMode::guarded;
        default: return vfs::CreateMode::exclusive;
    }
}

NfsStatus check_type(const Compound& compound, const vfs::Attributes& attributes) {
    switch (attributes.type) {
        case vfs::FileType::regular: return NfsStatus::ok;
        case vfs::FileType::directory: return NfsStatus::isdir;
        case vfs::FileType::symlink: return NfsStatus::symlink;
        default: return compound.minor_version == 0 ? NfsStatus::symlink : NfsStatus::wrong_type;
    }
}

Task<NfsStatus> create(Compound& compound, OpenArgs& args, OpenedFile& out) {
    const auto& share = *compound.current.share;
    const auto dir = compound.current.id;
    vfs::CreateRequest request;
    request.mode = mode_of(args.how);
    request.attributes = args.change.set;  // kept: it may be asked again
    request.verifier = to_number(args.verifier);
    if (!request.attributes.mode) request.attributes.mode = 0600;
    // The size comes last: an existing file is truncated only when no open of somebody else denies it.
    const auto size = std::exchange(request.attributes.size, std::nullopt);
    auto created = co_await compound.fs().create(compound.ctx, dir, args.name, request);
    if (!created) {
        const auto status = to_status(created.error());
        co_return status == NfsStatus::inval ? (compound.minor_version == 0 ? NfsStatus::symlink : NfsStatus::wrong_type) : status;
    }
    out.file = {FileRef::Kind::file, &share, created->entry.id};
    out.directory = ChangeInfo::of(created->directory);
    const auto type = check_type(compound, created->entry.attributes);
    if (type != NfsStatus::ok) co_return type;
    out.owner = created->entry.attributes.uid;
    if (!created->existed || request.mode == vfs::CreateMode::exclusive) {
        // The verifier only says that somebody made the file so: it is a retry if the file is the caller's.
        out.created = !created->existed || out.owner == compound.caller.uid;
        out.attributes = args.change.mask;
        if (!created->existed && size && *size != 0) {
            vfs::SetAttributes grow;
            grow.size = size;
            const auto grown = co_await compound.fs().set_attributes(compound.ctx, out.file.id, grow, true);
            if (!grown) co_return to_status(grown.error());
        }
    } else if (size == std::uint64_t{0}) {
        out.truncate = true;
        out.attributes = AttributeMask{Attribute::size};
    }
    co_return NfsStatus::ok;
}

Task<NfsStatus> by_name(Compound& compound, OpenArgs& args, OpenedFile& out) {
    if (compound.current.is_pseudo_root()) {
        // Only shares are there, which are directories, and nothing can be created.
        const bool there = compound.shares->find(args.name) != nullptr;
        if (!there) co_return args.create ? NfsStatus::rofs : NfsStatus::noent;
        co_return args.create&& args.how != CreateHow::unchecked ? NfsStatus::exist : NfsStatus::isdir;
    }
    const auto name = check_name(args.name);
    if (name != NfsStatus::ok) co_return co_await directory_status(compound, compound.current, name);
    const auto& share = *compound.current.share;
    if (args.create && !share.read_only) co_return co_await create(compound, args, out);
    const auto found = co_await compound.fs().lookup(compound.ctx, compound.current.id, args.name);
    if (!found) {
        const auto status = to_status(found.error());
        if (args.create && status == NfsStatus::noent) co_return NfsStatus::rofs;
        co_return status == NfsStatus::notdir ? co_await directory_status(compound, compound.current, status) : status;
    }
    if (args.create && args.how != CreateHow::unchecked) co_return NfsStatus::exist;
    const auto dir = co_await compound.attributes_of(compound.current);
    if (!dir) co_return to_status(dir.error());
    out.directory = {true, dir->change, dir->change};
    out.file = {FileRef::Kind::file, &share, found->id};
    out.owner = found->attributes.uid;
    co_return check_type(compound, found->attributes);
}

Task<NfsStatus> by_handle(Compound& compound, OpenedFile& out) {
    if (compound.current.is_pseudo_root()) co_return NfsStatus::isdir;
    const auto attributes = co_await compound.attributes_of(compound.current);
    if (!attributes) co_return to_status(attributes.error());
    out.file = compound.current;
    out.owner = attributes->uid;
    co_return check_type(compound, *attributes);
}

// Permissions of a file that was there before. To read, the right to execute does as well: a program is read to be run.
Task<NfsStatus> check_rights(Compound& compound, const OpenArgs& args, const OpenedFile& opened) {
    using namespace vfs::access;
    const auto granted = co_await compound.fs().check_access(compound.ctx, opened.file.id, read_data | write_data | execute);
    if (!granted) co_return to_status(granted.error());
    if ((args.access & vfs::share::read) != 0 && (*granted & (read_data | execute)) == 0) co_return NfsStatus::access;
    if (((args.access & vfs::share::write) != 0 || opened.truncate) && (*granted & write_data) == 0) co_return NfsStatus::access;
    co_return NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> find_or_create(Compound& compound, OpenArgs& args, OpenedFile& out) {
    auto status = NfsStatus::ok;
    switch (args.claim) {
        case Claim::null: status = co_await by_name(compound, args, out); break;
        case Claim::fh:
            if (args.create) co_return NfsStatus::inval;
            [[fallthrough]];
        case Claim::previous: status = co_await by_handle(compound, out); break;
        // We have granted no delegations.
        case Claim::delegate_cur:
        case Claim::deleg_cur_fh: co_return NfsStatus::bad_stateid;
        case Claim::delegate_prev:
        case Claim::deleg_prev_fh: co_return NfsStatus::notsupp;
    }
    if (status != NfsStatus::ok) co_return status;
    if (out.file.share->read_only && ((args.access & vfs::share::write) != 0 || out.truncate)) co_return NfsStatus::rofs;
    // What its owner opened before the restart he opened perhaps as its creator, whom the mode did not bind.
    const bool owner_reclaims = args.claim == Claim::previous && out.owner == compound.caller.uid;
    if (out.created || owner_reclaims) co_return NfsStatus::ok;
    co_return co_await check_rights(compound, args, out);
}

}  // namespace strata::nfs

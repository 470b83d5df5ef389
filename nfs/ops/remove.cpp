// SPDX-License-Identifier: Apache-2.0
// REMOVE, RENAME, LINK: RFC 8881, 18.25, 18.26 and 18.9.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/wire/types.h"

namespace strata::nfs {

Task<NfsStatus> op_remove(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto name = in.text(in.remaining());
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (const auto status = check_name(name); status != NfsStatus::ok) {
        co_return co_await directory_status(compound, compound.current, status);
    }
    const auto removed = co_await compound.fs().remove(compound.ctx, compound.current.id, name, vfs::RemoveKind::any);
    if (!removed) co_return to_status(removed.error());
    out.write(ChangeInfo::of(removed->directory));
    co_return NfsStatus::ok;
}

// From the saved to the current filehandle.
Task<NfsStatus> op_rename(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto name = in.text(in.remaining());
    const auto new_name = in.text(in.remaining());
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (compound.saved.share != compound.current.share) co_return NfsStatus::xdev;
    if (const auto status = check_name(name); status != NfsStatus::ok) {
        co_return co_await directory_status(compound, compound.saved, status);
    }
    if (const auto status = check_name(new_name); status != NfsStatus::ok) {
        co_return co_await directory_status(compound, compound.current, status);
    }
    const auto renamed = co_await compound.fs().rename(compound.ctx, compound.saved.id, name, compound.current.id, new_name);
    if (!renamed) co_return to_status(renamed.error());
    out.write(ChangeInfo::of(renamed->source));
    out.write(ChangeInfo::of(renamed->target));
    co_return NfsStatus::ok;
}

// The saved filehandle gets a new name in the current one.
Task<NfsStatus> op_link(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto name = in.text(in.remaining());
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (compound.saved.share != compound.current.share) co_return NfsStatus::xdev;
    if (const auto status = check_name(name); status != NfsStatus::ok) {
        co_return co_await directory_status(compound, compound.current, status);
    }
    const auto change = co_await compound.fs().link(compound.ctx, compound.saved.id, compound.current.id, name);
    if (!change) co_return to_status(change.error());
    out.write(ChangeInfo::of(*change));
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

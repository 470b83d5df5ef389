// SPDX-License-Identifier: Apache-2.0
// LOOKUP, LOOKUPP: RFC 8881, 18.13 and 18.14.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"

namespace strata::nfs {

Task<NfsStatus> op_lookup(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto name = in.text(in.remaining());
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (compound.current.is_pseudo_root()) {
        const auto status = check_name(name);
        if (status != NfsStatus::ok) co_return status;
        const auto* share = compound.shares->find(name);
        if (share == nullptr) co_return NfsStatus::noent;
        compound.set_current(*share, share->root);
        co_return NfsStatus::ok;
    }
    // A symbolic link has a status of its own, and what is no directory has no names to be checked.
    auto status = check_name(name);
    const auto dir = compound.current.id;
    if (status == NfsStatus::ok) {
        const auto found = co_await compound.fs().lookup(compound.ctx, dir, name);
        if (found) {
            compound.set_current(*compound.current.share, found->id);
            co_return NfsStatus::ok;
        }
        status = to_status(found.error());
        if (status != NfsStatus::notdir) co_return status;
    }
    co_return co_await directory_status(compound, compound.current, status);
}

Task<NfsStatus> op_lookupp(Compound& compound, XdrReader&, XdrWriter&) {
    if (compound.current.is_pseudo_root()) co_return NfsStatus::noent;
    if (compound.current.is_share_root()) {
        compound.set_pseudo_root();
        co_return NfsStatus::ok;
    }
    const auto parent = co_await compound.fs().lookup_parent(compound.ctx, compound.current.id);
    if (!parent) {
        const auto status = to_status(parent.error());
        co_return status == NfsStatus::notdir ? co_await directory_status(compound, compound.current, status) : status;
    }
    compound.set_current(*compound.current.share, parent->id);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// SECINFO, SECINFO_NO_NAME: RFC 8881, 18.29 and 18.45.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/rpc/message.h"

namespace strata::nfs {

namespace {

// Best first. Every share takes the same flavors.
void write_flavors(XdrWriter& out) {
    out.u32(2);
    out.u32(auth_flavor::sys);
    out.u32(auth_flavor::none);
}

// 4.1 consumes the current filehandle (2.6.3.1.1.8).
NfsStatus done(Compound& compound, XdrWriter& out) {
    write_flavors(out);
    if (compound.minor_version != 0) compound.set_current(FileRef{});
    return NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_secinfo(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto name = in.text(in.remaining());
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto status = check_name(name);
    if (compound.current.is_pseudo_root()) {
        if (status == NfsStatus::ok && compound.shares->find(name) == nullptr) status = NfsStatus::noent;
        co_return status == NfsStatus::ok ? done(compound, out) : status;
    }
    if (status == NfsStatus::ok) {
        const auto found = co_await compound.fs().lookup(compound.ctx, compound.current.id, name);
        if (found) co_return done(compound, out);
        status = to_status(found.error());
        if (status != NfsStatus::notdir) co_return status;
    }
    co_return co_await directory_status(compound, compound.current, status);
}

Task<NfsStatus> op_secinfo_no_name(Compound& compound, XdrReader& in, XdrWriter& out) {
    constexpr std::uint32_t style_current = 0, style_parent = 1;
    const auto style = in.u32();
    if (!in.ok() || style > style_parent) co_return NfsStatus::badxdr;
    if (style == style_current) co_return done(compound, out);
    if (compound.current.is_pseudo_root()) co_return NfsStatus::noent;
    if (!compound.current.is_share_root()) {
        const auto parent = co_await compound.fs().lookup_parent(compound.ctx, compound.current.id);
        if (!parent) co_return to_status(parent.error());
    }
    co_return done(compound, out);
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// ONC RPC messages: reading calls, writing replies.
#include "nfs/rpc/message.h"

#include "nfs/wire/types.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t rpc_version = 2, reply_type = 1;  // a call's type is 0
constexpr std::uint32_t accepted = 0, denied = 1, reject_rpc_mismatch = 0, reject_auth_error = 1;
constexpr std::size_t auth_size_max = 400, machine_name_max = 255, groups_max = 16;

// The body of an AUTH_SYS credential must be read in full and nothing may be left of it.
AuthStat read_auth_sys(Bytes body, Credentials& out) {
    const auto word = [&body](std::uint32_t& v) {
        if (body.size() < 4) return false;
        v = load_be32(body.data());
        body = body.subspan(4);
        return true;
    };
    std::uint32_t stamp = 0, name_size = 0, count = 0;
    if (!word(stamp) || !word(name_size) || name_size > machine_name_max) return AuthStat::bad_cred;
    const auto padded = name_size + xdr_pad(name_size);
    if (body.size() < padded) return AuthStat::bad_cred;
    body = body.subspan(padded);
    if (!word(out.uid) || !word(out.gid) || !word(count) || count > groups_max || body.size() != count * 4) return AuthStat::bad_cred;
    out.groups.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t gid = 0;
        word(gid);
        out.groups.push_back(gid);
    }
    return AuthStat::ok;
}

}  // namespace

MessageKind read_header(XdrReader& in, CallHeader& out) {
    out.xid = in.u32();
    const auto type = in.u32();
    if (!in.ok() || type > reply_type) return MessageKind::garbage;
    if (type == reply_type) return MessageKind::reply;
    out.rpc_version = in.u32();
    if (in.ok() && out.rpc_version != rpc_version) return MessageKind::call;
    out.program = in.u32();
    out.version = in.u32();
    out.procedure = in.u32();
    out.flavor = in.u32();
    const auto body = in.opaque(auth_size_max);
    in.u32();
    in.opaque(auth_size_max);
    if (!in.ok()) return MessageKind::garbage;
    out.auth = AuthStat::ok;
    if (out.flavor == auth_flavor::sys) {
        out.auth = read_auth_sys(body, out.caller);
    } else {
        out.caller.uid = out.caller.gid = 65534;
        out.caller.groups.clear();
        if (out.flavor != auth_flavor::none) out.auth = AuthStat::rejected_cred;
    }
    return MessageKind::call;
}

void write_accepted(XdrWriter& out, std::uint32_t xid, AcceptStat stat) {
    out.reserve(32);
    out.u32(xid);
    out.u32(reply_type);
    out.u32(accepted);
    out.u32(auth_flavor::none);
    out.u32(0);
    out.u32(static_cast<std::uint32_t>(stat));
    if (stat == AcceptStat::prog_mismatch) {
        out.u32(nfs_version);
        out.u32(nfs_version);
    }
}

void write_rpc_mismatch(XdrWriter& out, std::uint32_t xid) {
    out.u32(xid);
    out.u32(reply_type);
    out.u32(denied);
    out.u32(reject_rpc_mismatch);
    out.u32(rpc_version);
    out.u32(rpc_version);
}

void write_auth_error(XdrWriter& out, std::uint32_t xid, AuthStat stat) {
    out.u32(xid);
    out.u32(reply_type);
    out.u32(denied);
    out.u32(reject_auth_error);
    out.u32(static_cast<std::uint32_t>(stat));
}

}  // namespace strata::nfs

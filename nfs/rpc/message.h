// SPDX-License-Identifier: Apache-2.0
// ONC RPC messages (RFC 5531, 9): call headers in, reply headers out; AUTH_NONE and AUTH_SYS (RFC 5531, 8.2 and appendix A).
#pragma once

#include <cstdint>

#include "nfs/wire/xdr.h"
#include "server/base/credentials.h"

namespace strata::nfs {

namespace auth_flavor {
constexpr std::uint32_t none = 0, sys = 1, gss = 6, tls = 7;
}

enum class AuthStat : std::uint32_t { ok = 0, bad_cred = 1, rejected_cred = 2, bad_verf = 3, rejected_verf = 4, too_weak = 5 };

struct CallHeader {
    std::uint32_t xid = 0;
    std::uint32_t rpc_version = 0;
    std::uint32_t program = 0, version = 0, procedure = 0;
    std::uint32_t flavor = auth_flavor::none;
    AuthStat auth = AuthStat::ok;
    Credentials caller;  // AUTH_SYS: as sent; AUTH_NONE: nobody
};

enum class MessageKind : std::uint8_t {
    call,
    reply,    // to a call of ours: the back channel
    garbage,  // not RPC: the connection is closed
};

// Reads an RPC header; for a call `in` then stands at the procedure's arguments. The caller's credentials are read even where they
// will be refused, so that the arguments are found. Never suspends, allocates nothing for up to 16 groups.
MessageKind read_header(XdrReader& in, CallHeader& out);

// Replies, from the message type on (the record mark is the connection's).
enum class AcceptStat : std::uint32_t {
    success = 0,
    prog_unavail = 1,
    prog_mismatch = 2,
    proc_unavail = 3,
    garbage_args = 4,
    system_err = 5
};
void write_accepted(XdrWriter& out, std::uint32_t xid, AcceptStat stat);  // prog_mismatch: with our only version, 4
void write_rpc_mismatch(XdrWriter& out, std::uint32_t xid);
void write_auth_error(XdrWriter& out, std::uint32_t xid, AuthStat stat);

}  // namespace strata::nfs

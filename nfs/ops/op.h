// SPDX-License-Identifier: Apache-2.0
// OpEntry: one row of the table of operations, which is the only way to a handler.
//
// A handler reads its arguments from `in` (which stands behind the operation's code), and writes to `out` what follows nfsstat4 in the
// successful result: code and status are the dispatcher's. It returns badxdr if !in.ok(). On an error what it wrote is dropped, unless it
// set compound.keep_error_body. Preconditions that are columns here need no check in the handler.
//
// What needs no file system call is a `now` handler: it costs no coroutine frame. All others are `run`.
#pragma once

#include <cstdint>
#include <string_view>

#include "nfs/compound.h"
#include "nfs/wire/status.h"
#include "nfs/wire/xdr.h"
#include "server/base/task.h"

namespace strata::nfs {

using NowHandler = NfsStatus (*)(Compound&, XdrReader&, XdrWriter&);
using RunHandler = Task<NfsStatus> (*)(Compound&, XdrReader&, XdrWriter&);

// Minor versions that know an operation, as bits.
namespace minor {
constexpr std::uint8_t v0 = 1, v1 = 2, v2 = 4, all = 7, since1 = 6;
}

// Where an operation may stand in a COMPOUND of minor version 1 and up (RFC 8881, 2.10.6.1 and 18).
enum class Position : std::uint8_t {
    in_session,  // after SEQUENCE only
    sequence,    // SEQUENCE itself: first only
    alone,       // after SEQUENCE, or without one if it is the only operation
    only,        // without SEQUENCE, the only operation
};

struct OpEntry {
    std::uint32_t code = 0;
    std::string_view name;
    std::uint8_t minors = 0;
    bool needs_current_fh = false;             // else nofilehandle
    bool needs_saved_fh = false;               // else nofilehandle
    bool mutates = false;                      // refused on a read-only share with rofs
    bool changes_state = false;                // of the protocol: opens, locks, owners, clients; on a read-only share, too
    bool repeatable = false;                   // done twice it does the same: minor version 0 need not keep its reply
    NfsStatus on_pseudo_root = NfsStatus::ok;  // what it answers there; ok: the handler knows the pseudo root
    std::uint32_t reply_bound = 0;  // bytes of a success's body, at most; an operation that changes anything is not started without them
    Position position = Position::in_session;
    bool error_has_bitmap = false;  // a failure is followed by an empty bitmap4 where the handler wrote nothing: attrsset
    NowHandler now = nullptr;       // exactly one of both; both null: notsupp
    RunHandler run = nullptr;
};

// Null: no minor version has such an operation.
const OpEntry* find_op(std::uint32_t code);
// The largest operation code that a minor version knows; others are op_illegal.
constexpr std::uint32_t largest_op(std::uint32_t minor_version) { return minor_version == 0 ? 39 : minor_version == 1 ? 58 : 75; }

// Adapt a function of a decoded struct to an entry: decode, run, encode. For operations that are not hot.
template <class Args, class Res, NfsStatus (*Op)(Compound&, const Args&, Res&)>
NfsStatus now_op(Compound& compound, XdrReader& in, XdrWriter& out) {
    Args args{};
    in.read(args);
    if (!in.ok()) return NfsStatus::badxdr;
    Res res{};
    const auto status = Op(compound, args, res);
    if (status == NfsStatus::ok) out.write(res);
    return status;
}
template <class Args, class Res, Task<NfsStatus> (*Op)(Compound&, const Args&, Res&)>
Task<NfsStatus> run_op(Compound& compound, XdrReader& in, XdrWriter& out) {
    Args args{};
    in.read(args);
    if (!in.ok()) co_return NfsStatus::badxdr;
    Res res{};
    const auto status = co_await Op(compound, args, res);
    if (status == NfsStatus::ok) out.write(res);
    co_return status;
}
// Arguments or a result without members.
struct Nothing {
    auto fields() { return std::tie(); }
};

}  // namespace strata::nfs

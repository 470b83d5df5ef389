// SPDX-License-Identifier: Apache-2.0
// The right to read or write that a stateid gives (RFC 8881, 8.2 and 9.1.2).
#pragma once

#include <cstdint>

#include "nfs/compound.h"
#include "nfs/wire/status.h"
#include "nfs/wire/types.h"
#include "server/base/task.h"

namespace strata::nfs {

// May the request read or write (`access`: bits of vfs::share) the current filehandle with `stateid`? Takes the special stateids and the
// current one; renews a 4.0 client's lease. `proven`: an open has proved the right, so the object's permissions need no look.
// Memory only: never suspends. `denying`: whose open is in the way of anonymous use, if the answer is locked.
// Errors: bad_stateid, old_stateid, stale_stateid, expired, openmode, locked, grace.
NfsStatus check_io(Compound& compound, const Stateid& stateid, std::uint8_t access, bool& proven, vfs::Holder* denying = nullptr);

// check_io, where opens of clients whose lease is over give way; and where no open proves the right, the type (isdir, inval) and the
// permissions of the object (access). Errors: delay, too.
Task<NfsStatus> authorize_io(Compound& compound, const Stateid& stateid, std::uint8_t access);

}  // namespace strata::nfs

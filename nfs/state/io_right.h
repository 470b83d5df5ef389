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
// Memory only: never suspends.
// Errors: bad_stateid, old_stateid, stale_stateid, expired, openmode, share_denied -> locked for anonymous use, grace, delay.
NfsStatus check_io(Compound& compound, const Stateid& stateid, std::uint8_t access, bool& proven);

// check_io, and where no open proves it, the type (isdir, inval) and permissions of the object (access).
Task<NfsStatus> authorize_io(Compound& compound, const Stateid& stateid, std::uint8_t access);

}  // namespace strata::nfs

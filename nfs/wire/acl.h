// SPDX-License-Identifier: Apache-2.0
// nfsace4 and vfs::Ace (RFC 8881, 6.2): same bits, and "who" as a string.
#pragma once

#include "nfs/wire/status.h"
#include "nfs/wire/xdr.h"
#include "server/vfs/acl.h"

namespace strata::nfs {

// fattr4_acl: a counted array of nfsace4.
void write_acl(XdrWriter& out, const vfs::Acl& acl);

// Errors: badxdr, badowner (a who that is no number and none of OWNER@, GROUP@, EVERYONE@), attrnotsupp (AUDIT and ALARM),
// inval (unknown flags or rights), nospc (more than vfs::acl_entries_max entries).
NfsStatus read_acl(XdrReader& in, vfs::Acl& acl);

}  // namespace strata::nfs

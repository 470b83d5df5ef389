// SPDX-License-Identifier: Apache-2.0
// The handlers of all operations, by the file that holds them. Only the table names them.
#pragma once

#include "nfs/compound.h"
#include "nfs/wire/status.h"
#include "nfs/wire/xdr.h"
#include "server/base/task.h"

namespace strata::nfs {

// filehandle.cpp
NfsStatus op_putfh(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_putrootfh(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_getfh(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_savefh(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_restorefh(Compound& compound, XdrReader& in, XdrWriter& out);

// lookup.cpp
Task<NfsStatus> op_lookup(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_lookupp(Compound& compound, XdrReader& in, XdrWriter& out);

// getattr.cpp
Task<NfsStatus> op_getattr(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_access(Compound& compound, XdrReader& in, XdrWriter& out);

// verify.cpp
Task<NfsStatus> op_verify(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_nverify(Compound& compound, XdrReader& in, XdrWriter& out);

// setattr.cpp
Task<NfsStatus> op_setattr(Compound& compound, XdrReader& in, XdrWriter& out);

// readdir.cpp
Task<NfsStatus> op_readdir(Compound& compound, XdrReader& in, XdrWriter& out);

// read.cpp
Task<NfsStatus> op_read(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_readlink(Compound& compound, XdrReader& in, XdrWriter& out);

// read_plus.cpp
Task<NfsStatus> op_read_plus(Compound& compound, XdrReader& in, XdrWriter& out);

// write.cpp
Task<NfsStatus> op_write(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_commit(Compound& compound, XdrReader& in, XdrWriter& out);

// create.cpp
Task<NfsStatus> op_create(Compound& compound, XdrReader& in, XdrWriter& out);

// remove.cpp
Task<NfsStatus> op_remove(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_rename(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_link(Compound& compound, XdrReader& in, XdrWriter& out);

// allocate.cpp
Task<NfsStatus> op_allocate(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_deallocate(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_seek(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_io_advise(Compound& compound, XdrReader& in, XdrWriter& out);

// copy.cpp
Task<NfsStatus> op_copy(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_clone(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_offload_cancel(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_offload_status(Compound& compound, XdrReader& in, XdrWriter& out);

// xattr.cpp
Task<NfsStatus> op_getxattr(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_setxattr(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_listxattrs(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_removexattr(Compound& compound, XdrReader& in, XdrWriter& out);

// secinfo.cpp
Task<NfsStatus> op_secinfo(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_secinfo_no_name(Compound& compound, XdrReader& in, XdrWriter& out);

// open.cpp, close.cpp
Task<NfsStatus> op_open(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_open_confirm(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_open_downgrade(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_close(Compound& compound, XdrReader& in, XdrWriter& out);

// lock.cpp
Task<NfsStatus> op_lock(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_lockt(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_locku(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_release_lockowner(Compound& compound, XdrReader& in, XdrWriter& out);

// stateid_ops.cpp
NfsStatus op_test_stateid(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_free_stateid(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_delegreturn(Compound& compound, XdrReader& in, XdrWriter& out);

// clientid.cpp, clientid_v40.cpp
Task<NfsStatus> op_exchange_id(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_destroy_clientid(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_reclaim_complete(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_setclientid(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_setclientid_confirm(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_renew(Compound& compound, XdrReader& in, XdrWriter& out);

// sequence.cpp, session.cpp
NfsStatus op_sequence(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_create_session(Compound& compound, XdrReader& in, XdrWriter& out);
Task<NfsStatus> op_destroy_session(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_bind_conn_to_session(Compound& compound, XdrReader& in, XdrWriter& out);
NfsStatus op_backchannel_ctl(Compound& compound, XdrReader& in, XdrWriter& out);

}  // namespace strata::nfs

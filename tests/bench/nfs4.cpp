// SPDX-License-Identifier: Apache-2.0
// Names of statuses and operations, for messages.
#include "tests/bench/nfs4.h"

#include <cstdint>
#include <string>

namespace strata::bench {

namespace {

struct StatusName {
    std::uint32_t number;
    const char* name;
};
constexpr StatusName status_names[] = {
    {1, "PERM"},
    {2, "NOENT"},
    {5, "IO"},
    {13, "ACCESS"},
    {17, "EXIST"},
    {18, "XDEV"},
    {20, "NOTDIR"},
    {21, "ISDIR"},
    {22, "INVAL"},
    {27, "FBIG"},
    {28, "NOSPC"},
    {30, "ROFS"},
    {31, "MLINK"},
    {63, "NAMETOOLONG"},
    {66, "NOTEMPTY"},
    {69, "DQUOT"},
    {70, "STALE"},
    {10001, "BADHANDLE"},
    {10003, "BAD_COOKIE"},
    {10004, "NOTSUPP"},
    {10005, "TOOSMALL"},
    {10006, "SERVERFAULT"},
    {10007, "BADTYPE"},
    {10008, "DELAY"},
    {10010, "DENIED"},
    {10011, "EXPIRED"},
    {10013, "GRACE"},
    {10015, "SHARE_DENIED"},
    {10016, "WRONGSEC"},
    {10018, "RESOURCE"},
    {10020, "NOFILEHANDLE"},
    {10021, "MINOR_VERS_MISMATCH"},
    {10022, "STALE_CLIENTID"},
    {10023, "STALE_STATEID"},
    {10024, "OLD_STATEID"},
    {10025, "BAD_STATEID"},
    {10026, "BAD_SEQID"},
    {10032, "ATTRNOTSUPP"},
    {10036, "BADXDR"},
    {10038, "OPENMODE"},
    {10040, "BADCHAR"},
    {10044, "OP_ILLEGAL"},
    {10052, "BADSESSION"},
    {10053, "BADSLOT"},
    {10054, "COMPLETE_ALREADY"},
    {10055, "CONN_NOT_BOUND_TO_SESSION"},
    {10063, "SEQ_MISORDERED"},
    {10064, "SEQUENCE_POS"},
    {10065, "REQ_TOO_BIG"},
    {10066, "REP_TOO_BIG"},
    {10067, "REP_TOO_BIG_TO_CACHE"},
    {10068, "RETRY_UNCACHED_REP"},
    {10070, "TOO_MANY_OPS"},
    {10071, "OP_NOT_IN_SESSION"},
    {10074, "CLIENTID_BUSY"},
    {10076, "SEQ_FALSE_RETRY"},
    {10077, "BAD_HIGH_SLOT"},
    {10078, "DEADSESSION"},
};

}  // namespace

std::string status_text(std::uint32_t status) {
    if (status == nfs4_ok) return "NFS4_OK";
    for (const StatusName& entry : status_names) {
        if (entry.number == status) return std::string("NFS4ERR_") + entry.name + " (" + std::to_string(status) + ")";
    }
    return "nfsstat4 " + std::to_string(status);
}

std::string op_text(std::uint32_t op) {
    switch (static_cast<Op>(op)) {
        case Op::access: return "ACCESS";
        case Op::close: return "CLOSE";
        case Op::commit: return "COMMIT";
        case Op::create: return "CREATE";
        case Op::getattr: return "GETATTR";
        case Op::getfh: return "GETFH";
        case Op::link: return "LINK";
        case Op::lock: return "LOCK";
        case Op::locku: return "LOCKU";
        case Op::lookup: return "LOOKUP";
        case Op::lookupp: return "LOOKUPP";
        case Op::open: return "OPEN";
        case Op::open_confirm: return "OPEN_CONFIRM";
        case Op::putfh: return "PUTFH";
        case Op::putrootfh: return "PUTROOTFH";
        case Op::read: return "READ";
        case Op::readdir: return "READDIR";
        case Op::remove: return "REMOVE";
        case Op::rename: return "RENAME";
        case Op::renew: return "RENEW";
        case Op::savefh: return "SAVEFH";
        case Op::setattr: return "SETATTR";
        case Op::setclientid: return "SETCLIENTID";
        case Op::setclientid_confirm: return "SETCLIENTID_CONFIRM";
        case Op::write: return "WRITE";
        case Op::bind_conn_to_session: return "BIND_CONN_TO_SESSION";
        case Op::exchange_id: return "EXCHANGE_ID";
        case Op::create_session: return "CREATE_SESSION";
        case Op::destroy_session: return "DESTROY_SESSION";
        case Op::sequence: return "SEQUENCE";
        case Op::destroy_clientid: return "DESTROY_CLIENTID";
        case Op::reclaim_complete: return "RECLAIM_COMPLETE";
        case Op::deallocate: return "DEALLOCATE";
        case Op::clone: return "CLONE";
    }
    return "operation " + std::to_string(op);
}

}  // namespace strata::bench

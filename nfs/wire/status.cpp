// SPDX-License-Identifier: Apache-2.0
// The table from Errc to nfsstat4, and the statuses' own names.
#include "nfs/wire/status.h"

#include <array>
#include <cstddef>
#include <utility>

namespace strata::nfs {

namespace {

constexpr std::pair<Errc, NfsStatus> by_errc[] = {
    {Errc::not_found, NfsStatus::noent},
    {Errc::exists, NfsStatus::exist},
    {Errc::not_empty, NfsStatus::notempty},
    {Errc::not_directory, NfsStatus::notdir},
    {Errc::is_directory, NfsStatus::isdir},
    {Errc::is_symlink, NfsStatus::symlink},
    {Errc::wrong_type, NfsStatus::inval},
    {Errc::stale, NfsStatus::stale},
    {Errc::bad_handle, NfsStatus::badhandle},
    {Errc::permission, NfsStatus::perm},
    {Errc::access, NfsStatus::access},
    {Errc::read_only, NfsStatus::rofs},
    {Errc::cross_domain, NfsStatus::xdev},
    {Errc::name_too_long, NfsStatus::nametoolong},
    {Errc::bad_name, NfsStatus::badname},
    {Errc::invalid_argument, NfsStatus::inval},
    {Errc::too_big, NfsStatus::fbig},
    {Errc::too_many_links, NfsStatus::mlink},
    {Errc::no_space, NfsStatus::nospc},
    {Errc::quota, NfsStatus::dquot},
    {Errc::bad_cookie, NfsStatus::bad_cookie},
    {Errc::too_small, NfsStatus::toosmall},
    {Errc::share_conflict, NfsStatus::share_denied},
    {Errc::locked, NfsStatus::locked},
    {Errc::lock_range, NfsStatus::lock_range},
    {Errc::deadlock, NfsStatus::deadlock},
    {Errc::grace, NfsStatus::grace},
    {Errc::no_grace, NfsStatus::no_grace},
    {Errc::delay, NfsStatus::delay},
    {Errc::not_supported, NfsStatus::notsupp},
    {Errc::not_same, NfsStatus::not_same},
    {Errc::no_xattr, NfsStatus::noxattr},
    {Errc::io, NfsStatus::io},
    {Errc::corrupt, NfsStatus::io},
    {Errc::store_missing, NfsStatus::delay},
    {Errc::fenced, NfsStatus::delay},
    {Errc::timed_out, NfsStatus::delay},
    {Errc::cancelled, NfsStatus::delay},
    {Errc::closed, NfsStatus::delay},
    {Errc::busy, NfsStatus::delay},
    {Errc::no_memory, NfsStatus::delay},
    {Errc::too_many, NfsStatus::resource},
    {Errc::bad_message, NfsStatus::badxdr},
    {Errc::bad_version, NfsStatus::serverfault},
    {Errc::config, NfsStatus::serverfault},
    {Errc::internal, NfsStatus::serverfault},
};
static_assert(std::size(by_errc) == errc_count);

// Indexed by the error's number, so that the look-up is one load.
constexpr auto table = [] {
    std::array<NfsStatus, errc_count> t{};
    for (const auto& [code, status] : by_errc) t[static_cast<std::size_t>(code)] = status;
    return t;
}();
// NFS4_OK can stand for no error: a zero is an Errc that nobody mapped.
static_assert([] {
    for (const auto status : table) {
        if (status == NfsStatus::ok) return false;
    }
    return true;
}());

struct Name {
    NfsStatus status;
    std::string_view name;
};
constexpr Name names[] = {
    {NfsStatus::ok, "NFS4_OK"},
    {NfsStatus::perm, "NFS4ERR_PERM"},
    {NfsStatus::noent, "NFS4ERR_NOENT"},
    {NfsStatus::io, "NFS4ERR_IO"},
    {NfsStatus::nxio, "NFS4ERR_NXIO"},
    {NfsStatus::access, "NFS4ERR_ACCESS"},
    {NfsStatus::exist, "NFS4ERR_EXIST"},
    {NfsStatus::xdev, "NFS4ERR_XDEV"},
    {NfsStatus::notdir, "NFS4ERR_NOTDIR"},
    {NfsStatus::isdir, "NFS4ERR_ISDIR"},
    {NfsStatus::inval, "NFS4ERR_INVAL"},
    {NfsStatus::fbig, "NFS4ERR_FBIG"},
    {NfsStatus::nospc, "NFS4ERR_NOSPC"},
    {NfsStatus::rofs, "NFS4ERR_ROFS"},
    {NfsStatus::mlink, "NFS4ERR_MLINK"},
    {NfsStatus::nametoolong, "NFS4ERR_NAMETOOLONG"},
    {NfsStatus::notempty, "NFS4ERR_NOTEMPTY"},
    {NfsStatus::dquot, "NFS4ERR_DQUOT"},
    {NfsStatus::stale, "NFS4ERR_STALE"},
    {NfsStatus::badhandle, "NFS4ERR_BADHANDLE"},
    {NfsStatus::bad_cookie, "NFS4ERR_BAD_COOKIE"},
    {NfsStatus::notsupp, "NFS4ERR_NOTSUPP"},
    {NfsStatus::toosmall, "NFS4ERR_TOOSMALL"},
    {NfsStatus::serverfault, "NFS4ERR_SERVERFAULT"},
    {NfsStatus::badtype, "NFS4ERR_BADTYPE"},
    {NfsStatus::delay, "NFS4ERR_DELAY"},
    {NfsStatus::same, "NFS4ERR_SAME"},
    {NfsStatus::denied, "NFS4ERR_DENIED"},
    {NfsStatus::expired, "NFS4ERR_EXPIRED"},
    {NfsStatus::locked, "NFS4ERR_LOCKED"},
    {NfsStatus::grace, "NFS4ERR_GRACE"},
    {NfsStatus::fhexpired, "NFS4ERR_FHEXPIRED"},
    {NfsStatus::share_denied, "NFS4ERR_SHARE_DENIED"},
    {NfsStatus::wrongsec, "NFS4ERR_WRONGSEC"},
    {NfsStatus::clid_inuse, "NFS4ERR_CLID_INUSE"},
    {NfsStatus::resource, "NFS4ERR_RESOURCE"},
    {NfsStatus::moved, "NFS4ERR_MOVED"},
    {NfsStatus::nofilehandle, "NFS4ERR_NOFILEHANDLE"},
    {NfsStatus::minor_vers_mismatch, "NFS4ERR_MINOR_VERS_MISMATCH"},
    {NfsStatus::stale_clientid, "NFS4ERR_STALE_CLIENTID"},
    {NfsStatus::stale_stateid, "NFS4ERR_STALE_STATEID"},
    {NfsStatus::old_stateid, "NFS4ERR_OLD_STATEID"},
    {NfsStatus::bad_stateid, "NFS4ERR_BAD_STATEID"},
    {NfsStatus::bad_seqid, "NFS4ERR_BAD_SEQID"},
    {NfsStatus::not_same, "NFS4ERR_NOT_SAME"},
    {NfsStatus::lock_range, "NFS4ERR_LOCK_RANGE"},
    {NfsStatus::symlink, "NFS4ERR_SYMLINK"},
    {NfsStatus::restorefh, "NFS4ERR_RESTOREFH"},
    {NfsStatus::lease_moved, "NFS4ERR_LEASE_MOVED"},
    {NfsStatus::attrnotsupp, "NFS4ERR_ATTRNOTSUPP"},
    {NfsStatus::no_grace, "NFS4ERR_NO_GRACE"},
    {NfsStatus::reclaim_bad, "NFS4ERR_RECLAIM_BAD"},
    {NfsStatus::reclaim_conflict, "NFS4ERR_RECLAIM_CONFLICT"},
    {NfsStatus::badxdr, "NFS4ERR_BADXDR"},
    {NfsStatus::locks_held, "NFS4ERR_LOCKS_HELD"},
    {NfsStatus::openmode, "NFS4ERR_OPENMODE"},
    {NfsStatus::badowner, "NFS4ERR_BADOWNER"},
    {NfsStatus::badchar, "NFS4ERR_BADCHAR"},
    {NfsStatus::badname, "NFS4ERR_BADNAME"},
    {NfsStatus::bad_range, "NFS4ERR_BAD_RANGE"},
    {NfsStatus::lock_notsupp, "NFS4ERR_LOCK_NOTSUPP"},
    {NfsStatus::op_illegal, "NFS4ERR_OP_ILLEGAL"},
    {NfsStatus::deadlock, "NFS4ERR_DEADLOCK"},
    {NfsStatus::file_open, "NFS4ERR_FILE_OPEN"},
    {NfsStatus::admin_revoked, "NFS4ERR_ADMIN_REVOKED"},
    {NfsStatus::cb_path_down, "NFS4ERR_CB_PATH_DOWN"},
    {NfsStatus::badiomode, "NFS4ERR_BADIOMODE"},
    {NfsStatus::badlayout, "NFS4ERR_BADLAYOUT"},
    {NfsStatus::bad_session_digest, "NFS4ERR_BAD_SESSION_DIGEST"},
    {NfsStatus::badsession, "NFS4ERR_BADSESSION"},
    {NfsStatus::badslot, "NFS4ERR_BADSLOT"},
    {NfsStatus::complete_already, "NFS4ERR_COMPLETE_ALREADY"},
    {NfsStatus::conn_not_bound_to_session, "NFS4ERR_CONN_NOT_BOUND_TO_SESSION"},
    {NfsStatus::deleg_already_wanted, "NFS4ERR_DELEG_ALREADY_WANTED"},
    {NfsStatus::back_chan_busy, "NFS4ERR_BACK_CHAN_BUSY"},
    {NfsStatus::layouttrylater, "NFS4ERR_LAYOUTTRYLATER"},
    {NfsStatus::layoutunavailable, "NFS4ERR_LAYOUTUNAVAILABLE"},
    {NfsStatus::nomatching_layout, "NFS4ERR_NOMATCHING_LAYOUT"},
    {NfsStatus::recallconflict, "NFS4ERR_RECALLCONFLICT"},
    {NfsStatus::unknown_layouttype, "NFS4ERR_UNKNOWN_LAYOUTTYPE"},
    {NfsStatus::seq_misordered, "NFS4ERR_SEQ_MISORDERED"},
    {NfsStatus::sequence_pos, "NFS4ERR_SEQUENCE_POS"},
    {NfsStatus::req_too_big, "NFS4ERR_REQ_TOO_BIG"},
    {NfsStatus::rep_too_big, "NFS4ERR_REP_TOO_BIG"},
    {NfsStatus::rep_too_big_to_cache, "NFS4ERR_REP_TOO_BIG_TO_CACHE"},
    {NfsStatus::retry_uncached_rep, "NFS4ERR_RETRY_UNCACHED_REP"},
    {NfsStatus::unsafe_compound, "NFS4ERR_UNSAFE_COMPOUND"},
    {NfsStatus::too_many_ops, "NFS4ERR_TOO_MANY_OPS"},
    {NfsStatus::op_not_in_session, "NFS4ERR_OP_NOT_IN_SESSION"},
    {NfsStatus::hash_alg_unsupp, "NFS4ERR_HASH_ALG_UNSUPP"},
    {NfsStatus::clientid_busy, "NFS4ERR_CLIENTID_BUSY"},
    {NfsStatus::pnfs_io_hole, "NFS4ERR_PNFS_IO_HOLE"},
    {NfsStatus::seq_false_retry, "NFS4ERR_SEQ_FALSE_RETRY"},
    {NfsStatus::bad_high_slot, "NFS4ERR_BAD_HIGH_SLOT"},
    {NfsStatus::deadsession, "NFS4ERR_DEADSESSION"},
    {NfsStatus::encr_alg_unsupp, "NFS4ERR_ENCR_ALG_UNSUPP"},
    {NfsStatus::pnfs_no_layout, "NFS4ERR_PNFS_NO_LAYOUT"},
    {NfsStatus::not_only_op, "NFS4ERR_NOT_ONLY_OP"},
    {NfsStatus::wrong_cred, "NFS4ERR_WRONG_CRED"},
    {NfsStatus::wrong_type, "NFS4ERR_WRONG_TYPE"},
    {NfsStatus::dirdeleg_unavail, "NFS4ERR_DIRDELEG_UNAVAIL"},
    {NfsStatus::reject_deleg, "NFS4ERR_REJECT_DELEG"},
    {NfsStatus::returnconflict, "NFS4ERR_RETURNCONFLICT"},
    {NfsStatus::deleg_revoked, "NFS4ERR_DELEG_REVOKED"},
    {NfsStatus::partner_notsupp, "NFS4ERR_PARTNER_NOTSUPP"},
    {NfsStatus::partner_no_auth, "NFS4ERR_PARTNER_NO_AUTH"},
    {NfsStatus::union_notsupp, "NFS4ERR_UNION_NOTSUPP"},
    {NfsStatus::offload_denied, "NFS4ERR_OFFLOAD_DENIED"},
    {NfsStatus::wrong_lfs, "NFS4ERR_WRONG_LFS"},
    {NfsStatus::badlabel, "NFS4ERR_BADLABEL"},
    {NfsStatus::offload_no_reqs, "NFS4ERR_OFFLOAD_NO_REQS"},
    {NfsStatus::noxattr, "NFS4ERR_NOXATTR"},
    {NfsStatus::xattr2big, "NFS4ERR_XATTR2BIG"},
};

}  // namespace

NfsStatus to_status(Errc code) { return table[static_cast<std::size_t>(code)]; }

std::string_view to_string(NfsStatus status) {
    for (const auto& entry : names) {
        if (entry.status == status) return entry.name;
    }
    return "NFS4ERR_UNKNOWN";
}

}  // namespace strata::nfs

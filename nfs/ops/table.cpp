// SPDX-License-Identifier: Apache-2.0
// The table of operations: RFC 7530 (16), RFC 8881 (18), RFC 7862 (15), RFC 8276 (8.4).
#include <algorithm>
#include <array>
#include <cstddef>
#include <ranges>

#include "nfs/ops/handlers.h"
#include "nfs/ops/op.h"

namespace strata::nfs {

namespace {

// A row without a handler is an operation that we do not offer: notsupp, in the minor versions that know it.
constexpr OpEntry ops[] = {
    // clang-format off
    {.code = 3, .name = "ACCESS", .minors = minor::all, .needs_current_fh = true, .reply_bound = 8, .run = op_access},
    {.code = 4, .name = "CLOSE", .minors = minor::all, .needs_current_fh = true, .changes_state = true,
     .on_pseudo_root = NfsStatus::bad_stateid,
     .reply_bound = 16, .now = op_close},
    {.code = 5, .name = "COMMIT", .minors = minor::all, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir, .reply_bound = 8,
     .run = op_commit},
    {.code = 6, .name = "CREATE", .minors = minor::all, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 40, .run = op_create},
    {.code = 7, .name = "DELEGPURGE", .minors = minor::all},
    {.code = 8, .name = "DELEGRETURN", .minors = minor::all, .needs_current_fh = true, .on_pseudo_root = NfsStatus::bad_stateid,
     .now = op_delegreturn},
    {.code = 9, .name = "GETATTR", .minors = minor::all, .needs_current_fh = true, .reply_bound = 16, .run = op_getattr},
    {.code = 10, .name = "GETFH", .minors = minor::all, .needs_current_fh = true, .reply_bound = 68, .now = op_getfh},
    {.code = 11, .name = "LINK", .minors = minor::all, .needs_current_fh = true, .needs_saved_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 20, .run = op_link},
    {.code = 12, .name = "LOCK", .minors = minor::all, .needs_current_fh = true, .changes_state = true, .on_pseudo_root = NfsStatus::isdir,
     .reply_bound = 16, .run = op_lock},
    {.code = 13, .name = "LOCKT", .minors = minor::all, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir,
     .reply_bound = 1100, .run = op_lockt},
    {.code = 14, .name = "LOCKU", .minors = minor::all, .needs_current_fh = true, .changes_state = true,
     .on_pseudo_root = NfsStatus::bad_stateid,
     .reply_bound = 16, .now = op_locku},
    {.code = 15, .name = "LOOKUP", .minors = minor::all, .needs_current_fh = true, .run = op_lookup},
    {.code = 16, .name = "LOOKUPP", .minors = minor::all, .needs_current_fh = true, .run = op_lookupp},
    {.code = 17, .name = "NVERIFY", .minors = minor::all, .needs_current_fh = true, .run = op_nverify},
    {.code = 18, .name = "OPEN", .minors = minor::all, .needs_current_fh = true, .changes_state = true, .reply_bound = 80, .run = op_open},
    {.code = 19, .name = "OPENATTR", .minors = minor::all, .needs_current_fh = true, .on_pseudo_root = NfsStatus::notsupp},
    {.code = 20, .name = "OPEN_CONFIRM", .minors = minor::v0, .needs_current_fh = true, .changes_state = true,
     .on_pseudo_root = NfsStatus::bad_stateid,
     .reply_bound = 16, .now = op_open_confirm},
    {.code = 21, .name = "OPEN_DOWNGRADE", .minors = minor::all, .needs_current_fh = true, .changes_state = true,
     .on_pseudo_root = NfsStatus::bad_stateid, .reply_bound = 16, .now = op_open_downgrade},
    {.code = 22, .name = "PUTFH", .minors = minor::all, .now = op_putfh},
    {.code = 23, .name = "PUTPUBFH", .minors = minor::all, .now = op_putrootfh},
    {.code = 24, .name = "PUTROOTFH", .minors = minor::all, .now = op_putrootfh},
    {.code = 25, .name = "READ", .minors = minor::all, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir, .reply_bound = 8,
     .run = op_read},
    {.code = 26, .name = "READDIR", .minors = minor::all, .needs_current_fh = true, .reply_bound = 16, .run = op_readdir},
    {.code = 27, .name = "READLINK", .minors = minor::all, .needs_current_fh = true, .on_pseudo_root = NfsStatus::inval,
     .reply_bound = 8, .run = op_readlink},
    {.code = 28, .name = "REMOVE", .minors = minor::all, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 20, .run = op_remove},
    {.code = 29, .name = "RENAME", .minors = minor::all, .needs_current_fh = true, .needs_saved_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 40, .run = op_rename},
    {.code = 30, .name = "RENEW", .minors = minor::v0, .run = op_renew},
    {.code = 31, .name = "RESTOREFH", .minors = minor::all, .now = op_restorefh},
    {.code = 32, .name = "SAVEFH", .minors = minor::all, .needs_current_fh = true, .now = op_savefh},
    {.code = 33, .name = "SECINFO", .minors = minor::all, .needs_current_fh = true, .reply_bound = 64, .run = op_secinfo},
    {.code = 34, .name = "SETATTR", .minors = minor::all, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 20, .error_has_bitmap = true, .run = op_setattr},
    {.code = 35, .name = "SETCLIENTID", .minors = minor::v0, .changes_state = true, .reply_bound = 300, .run = op_setclientid},
    {.code = 36, .name = "SETCLIENTID_CONFIRM", .minors = minor::v0, .changes_state = true, .run = op_setclientid_confirm},
    {.code = 37, .name = "VERIFY", .minors = minor::all, .needs_current_fh = true, .run = op_verify},
    {.code = 38, .name = "WRITE", .minors = minor::all, .needs_current_fh = true, .mutates = true, .repeatable = true,
     .on_pseudo_root = NfsStatus::isdir, .reply_bound = 16, .run = op_write},
    {.code = 39, .name = "RELEASE_LOCKOWNER", .minors = minor::v0, .changes_state = true, .now = op_release_lockowner},
    {.code = 40, .name = "BACKCHANNEL_CTL", .minors = minor::since1, .now = op_backchannel_ctl},
    {.code = 41, .name = "BIND_CONN_TO_SESSION", .minors = minor::since1, .reply_bound = 32, .position = Position::only,
     .now = op_bind_conn_to_session},
    {.code = 42, .name = "EXCHANGE_ID", .minors = minor::since1, .changes_state = true, .reply_bound = 400, .position = Position::alone,
     .run = op_exchange_id},
    {.code = 43, .name = "CREATE_SESSION", .minors = minor::since1, .changes_state = true, .reply_bound = 100, .position = Position::alone,
     .run = op_create_session},
    {.code = 44, .name = "DESTROY_SESSION", .minors = minor::since1, .changes_state = true, .position = Position::alone,
     .run = op_destroy_session},
    {.code = 45, .name = "FREE_STATEID", .minors = minor::since1, .changes_state = true, .now = op_free_stateid},
    {.code = 46, .name = "GET_DIR_DELEGATION", .minors = minor::since1, .needs_current_fh = true, .reply_bound = 8},
    {.code = 47, .name = "GETDEVICEINFO", .minors = minor::since1},
    {.code = 48, .name = "GETDEVICELIST", .minors = minor::since1},
    {.code = 49, .name = "LAYOUTCOMMIT", .minors = minor::since1, .needs_current_fh = true},
    {.code = 50, .name = "LAYOUTGET", .minors = minor::since1, .needs_current_fh = true},
    {.code = 51, .name = "LAYOUTRETURN", .minors = minor::since1},
    {.code = 52, .name = "SECINFO_NO_NAME", .minors = minor::since1, .needs_current_fh = true, .reply_bound = 64,
     .run = op_secinfo_no_name},
    {.code = 53, .name = "SEQUENCE", .minors = minor::since1, .reply_bound = 36, .position = Position::sequence, .now = op_sequence},
    {.code = 54, .name = "SET_SSV", .minors = minor::since1},
    {.code = 55, .name = "TEST_STATEID", .minors = minor::since1, .now = op_test_stateid},
    {.code = 56, .name = "WANT_DELEGATION", .minors = minor::since1, .needs_current_fh = true},
    {.code = 57, .name = "DESTROY_CLIENTID", .minors = minor::since1, .changes_state = true, .position = Position::alone,
     .run = op_destroy_clientid},
    {.code = 58, .name = "RECLAIM_COMPLETE", .minors = minor::since1, .changes_state = true, .run = op_reclaim_complete},
    {.code = 59, .name = "ALLOCATE", .minors = minor::v2, .needs_current_fh = true, .mutates = true, .on_pseudo_root = NfsStatus::isdir,
     .run = op_allocate},
    {.code = 60, .name = "COPY", .minors = minor::v2, .needs_current_fh = true, .needs_saved_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::isdir, .reply_bound = 60, .run = op_copy},
    {.code = 61, .name = "COPY_NOTIFY", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir},
    {.code = 62, .name = "DEALLOCATE", .minors = minor::v2, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::isdir, .run = op_deallocate},
    {.code = 63, .name = "IO_ADVISE", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir,
     .reply_bound = 16, .run = op_io_advise},
    {.code = 64, .name = "LAYOUTERROR", .minors = minor::v2, .needs_current_fh = true},
    {.code = 65, .name = "LAYOUTSTATS", .minors = minor::v2, .needs_current_fh = true},
    {.code = 66, .name = "OFFLOAD_CANCEL", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir,
     .run = op_offload_cancel},
    {.code = 67, .name = "OFFLOAD_STATUS", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir,
     .reply_bound = 24, .run = op_offload_status},
    {.code = 68, .name = "READ_PLUS", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir,
     .reply_bound = 8, .run = op_read_plus},
    {.code = 69, .name = "SEEK", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::isdir, .reply_bound = 12,
     .run = op_seek},
    {.code = 70, .name = "WRITE_SAME", .minors = minor::v2, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::isdir},
    {.code = 71, .name = "CLONE", .minors = minor::v2, .needs_current_fh = true, .needs_saved_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::isdir, .run = op_clone},
    {.code = 72, .name = "GETXATTR", .minors = minor::v2, .needs_current_fh = true, .on_pseudo_root = NfsStatus::noxattr,
     .reply_bound = 4, .run = op_getxattr},
    {.code = 73, .name = "SETXATTR", .minors = minor::v2, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 20, .run = op_setxattr},
    {.code = 74, .name = "LISTXATTRS", .minors = minor::v2, .needs_current_fh = true, .reply_bound = 16, .run = op_listxattrs},
    {.code = 75, .name = "REMOVEXATTR", .minors = minor::v2, .needs_current_fh = true, .mutates = true,
     .on_pseudo_root = NfsStatus::rofs, .reply_bound = 20, .run = op_removexattr},
    // clang-format on
};
static_assert(std::ranges::is_sorted(ops, {}, &OpEntry::code));
static_assert(std::ranges::none_of(ops, [](const OpEntry& op) { return op.now != nullptr && op.run != nullptr; }));

constexpr std::uint32_t code_max = ops[std::size(ops) - 1].code;
static_assert(code_max == largest_op(2));

// Row numbers by code, 0 for none: row 0 stands for its own code only.
constexpr auto rows = [] {
    std::array<std::uint8_t, code_max + 1> r{};
    r.fill(0xff);
    for (std::size_t i = 0; i < std::size(ops); ++i) r[ops[i].code] = static_cast<std::uint8_t>(i);
    return r;
}();

}  // namespace

const OpEntry* find_op(std::uint32_t code) {
    if (code > code_max || rows[code] == 0xff) return nullptr;
    return &ops[rows[code]];
}

}  // namespace strata::nfs

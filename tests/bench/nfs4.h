// SPDX-License-Identifier: Apache-2.0
// The numbers of NFSv4.1 that the load generator uses (RFC 8881; ONC RPC: RFC 5531).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/bench/xdr.h"

namespace strata::bench {

enum class Op : std::uint32_t {
    access = 3,
    close = 4,
    commit = 5,
    create = 6,
    getattr = 9,
    getfh = 10,
    link = 11,
    lock = 12,
    locku = 14,
    lookup = 15,
    lookupp = 16,
    open = 18,
    open_confirm = 20,
    putfh = 22,
    putrootfh = 24,
    read = 25,
    readdir = 26,
    remove = 28,
    rename = 29,
    renew = 30,
    savefh = 32,
    setattr = 34,
    setclientid = 35,
    setclientid_confirm = 36,
    write = 38,
    bind_conn_to_session = 41,
    exchange_id = 42,
    create_session = 43,
    destroy_session = 44,
    sequence = 53,
    destroy_clientid = 57,
    reclaim_complete = 58,
    deallocate = 62,
    clone = 71,
};

constexpr std::uint32_t nfs4_ok = 0;
constexpr std::uint32_t nfs4err_delay = 10008;
constexpr std::uint32_t nfs4err_grace = 10013;

// Answers that mean: ask again later.
constexpr bool is_not_yet(std::uint32_t status) { return status == nfs4err_delay || status == nfs4err_grace; }

// "NFS4ERR_STALE (70)"; numbers without a name here as "nfsstat4 123".
std::string status_text(std::uint32_t status);
std::string op_text(std::uint32_t op);

using SessionId = std::array<std::byte, 16>;
using Verifier = std::uint64_t;

struct Stateid {
    std::uint32_t seqid = 0;
    std::array<std::byte, 12> other{};
};

// The stateid that an earlier operation of the same COMPOUND left behind (RFC 8881, section 16.2.3.1.2).
constexpr Stateid current_stateid{.seqid = 1};

// What a Linux 6.1 client asks for in GETATTR: type, change, size, fsid, fileid | mode, numlinks, owner, owner_group, rawdev,
// space_used, time_access, time_metadata, time_modify, mounted_on_fileid.
using Bitmap = std::array<std::uint32_t, 2>;
constexpr Bitmap linux_attributes{0x0010011a, 0x00b0a23a};

// READDIR of `ls -l` by the same client: the above with rdattr_error and filehandle.
constexpr Bitmap linux_readdir_plus_attributes{0x0018091a, 0x00b0a23a};

// READDIR of `ls`: rdattr_error, fileid | mounted_on_fileid.
constexpr Bitmap linux_readdir_attributes{0x00100800, 0x00800000};

constexpr std::uint32_t nf4reg = 1;
constexpr std::uint32_t nf4dir = 2;
constexpr std::uint32_t unstable4 = 0;
constexpr std::uint32_t file_sync4 = 2;

}  // namespace strata::bench

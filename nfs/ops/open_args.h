// SPDX-License-Identifier: Apache-2.0
// OPEN's arguments: RFC 7530, 16.16; RFC 8881, 18.16.
#pragma once

#include <cstdint>
#include <string_view>

#include "nfs/wire/attributes.h"
#include "nfs/wire/status.h"
#include "nfs/wire/types.h"
#include "nfs/wire/xdr.h"

namespace strata::nfs {

enum class CreateHow : std::uint32_t { unchecked = 0, guarded = 1, exclusive = 2, exclusive_4_1 = 3 };
enum class Claim : std::uint32_t {
    null = 0,
    previous = 1,
    delegate_cur = 2,
    delegate_prev = 3,
    fh = 4,
    deleg_cur_fh = 5,
    deleg_prev_fh = 6
};

// OPEN4_SHARE_ACCESS_WANT_*.
constexpr std::uint32_t want_mask = 0xff00, want_no_preference = 0, want_no_deleg = 0x400;

struct OpenArgs {
    std::uint32_t seqid = 0;
    std::uint8_t access = 0, deny = 0;  // bits of vfs::share
    std::uint32_t want = 0;
    ClientId client = 0;
    std::string_view owner;
    bool create = false;
    CreateHow how = CreateHow::unchecked;
    AttributeChange change;
    Verifier verifier{};
    Claim claim = Claim::null;
    std::uint32_t reclaimed_delegation = 0;
    Stateid delegation;
    std::string_view name;
    // What is wrong with arguments that could be read: answered once the owner's sequence has counted the request.
    NfsStatus fault = NfsStatus::ok;
};

// `in.ok()` says whether the arguments could be read.
OpenArgs read_open_args(XdrReader& in, std::uint32_t minor_version);

}  // namespace strata::nfs

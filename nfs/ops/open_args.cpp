// SPDX-License-Identifier: Apache-2.0
// OPEN's arguments: decoding, and the faults that need no look at any state.
#include "nfs/ops/open_args.h"

namespace strata::nfs {

namespace {

void read_attributes(XdrReader& in, std::uint32_t minor_version, OpenArgs& args) {
    // A fault in the values must not lose the place where the arguments go on.
    XdrReader values = in;
    read_mask(in);
    in.opaque(in.remaining());
    if (!in.ok()) return;
    const auto status = read_settable(values, minor_version, args.change);
    if (status == NfsStatus::badxdr) return in.fail();
    if (status != NfsStatus::ok) args.fault = status;
}

void read_how(XdrReader& in, std::uint32_t minor_version, OpenArgs& args) {
    args.create = in.boolean();  // opentype4: OPEN4_NOCREATE or OPEN4_CREATE
    if (!args.create) return;
    in.read(args.how);
    switch (args.how) {
        case CreateHow::unchecked:
        case CreateHow::guarded: return read_attributes(in, minor_version, args);
        case CreateHow::exclusive: return in.read(args.verifier);
        case CreateHow::exclusive_4_1:
            if (minor_version == 0) return in.fail();
            in.read(args.verifier);
            read_attributes(in, minor_version, args);
            // Not among suppattr_exclcreat.
            if (args.fault == NfsStatus::ok && args.change.set.size) args.fault = NfsStatus::inval;
            return;
    }
    in.fail();
}

void read_claim(XdrReader& in, std::uint32_t minor_version, OpenArgs& args) {
    in.read(args.claim);
    if (minor_version == 0 && args.claim > Claim::delegate_prev) return in.fail();
    switch (args.claim) {
        case Claim::null:
        case Claim::delegate_prev: args.name = in.text(in.remaining()); return;
        case Claim::previous: args.reclaimed_delegation = in.u32(); return;
        case Claim::delegate_cur:
            in.read(args.delegation);
            args.name = in.text(in.remaining());
            return;
        case Claim::deleg_cur_fh: in.read(args.delegation); return;
        case Claim::fh:
        case Claim::deleg_prev_fh: return;
    }
    in.fail();
}

}  // namespace

OpenArgs read_open_args(XdrReader& in, std::uint32_t minor_version) {
    OpenArgs args;
    args.seqid = in.u32();
    const auto access = in.u32();
    const auto deny = in.u32();
    args.client = in.u64();
    args.owner = in.text(opaque_limit);
    read_how(in, minor_version, args);
    read_claim(in, minor_version, args);
    if (!in.ok()) return args;
    // 4.1 adds wishes for delegations above the access bits; all of them may be ignored.
    constexpr std::uint32_t access_bits = 3, known_wants = 0x37ff00;
    if ((access & access_bits) == 0 || deny > 3 || (access & ~(access_bits | (minor_version == 0 ? 0 : known_wants))) != 0) {
        args.fault = NfsStatus::inval;
    }
    args.access = static_cast<std::uint8_t>(access & access_bits);
    args.deny = static_cast<std::uint8_t>(deny & 3);
    args.want = access & want_mask;
    return args;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// nfsace4 and vfs::Ace: encoding and decoding.
//
//   fattr4_acl := count nfsace4*
//   nfsace4    := type(u32) flag(u32) access_mask(u32) who(utf8string)
#include "nfs/wire/acl.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "nfs/wire/attributes.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t known_flags = 0xff;
// Every right of RFC 8881, 6.2.1.3.1: the data bits, attributes, retention (4.1), DELETE and the ACL bits, SYNCHRONIZE.
constexpr std::uint32_t known_rights = 0x001f0000 | 0x000007ff;
constexpr std::size_t who_size_max = 256;

}  // namespace

void write_acl(XdrWriter& out, const vfs::Acl& acl) {
    out.u32(static_cast<std::uint32_t>(acl.entries.size()));
    for (const auto& entry : acl.entries) {
        out.u32(static_cast<std::uint32_t>(entry.type));
        out.u32(entry.flags);
        out.u32(entry.mask);
        std::array<char, 12> digits;
        std::string_view who;
        switch (entry.who) {
            case vfs::Who::owner_at: who = "OWNER@"; break;
            case vfs::Who::group_at: who = "GROUP@"; break;
            case vfs::Who::everyone_at: who = "EVERYONE@"; break;
            case vfs::Who::user:
            case vfs::Who::group: who = {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), entry.id).ptr}; break;
        }
        out.text(who);
    }
}

NfsStatus read_acl(XdrReader& in, vfs::Acl& acl) {
    const auto count = in.count(16);
    if (!in.ok()) return NfsStatus::badxdr;
    if (count > vfs::acl_entries_max) return NfsStatus::nospc;
    acl.entries.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto type = in.u32();
        vfs::Ace entry;
        entry.flags = in.u32();
        entry.mask = in.u32();
        const auto who = in.text(who_size_max);
        if (!in.ok()) return NfsStatus::badxdr;
        if (type > static_cast<std::uint32_t>(vfs::AceType::alarm)) return NfsStatus::inval;
        if (type > static_cast<std::uint32_t>(vfs::AceType::deny)) return NfsStatus::attrnotsupp;
        if ((entry.flags & ~known_flags) != 0 || (entry.mask & ~known_rights) != 0) return NfsStatus::inval;
        entry.type = static_cast<vfs::AceType>(type);
        if (who == "OWNER@") {
            entry.who = vfs::Who::owner_at;
        } else if (who == "GROUP@") {
            entry.who = vfs::Who::group_at;
            entry.flags |= vfs::ace::identifier_group;
        } else if (who == "EVERYONE@") {
            entry.who = vfs::Who::everyone_at;
        } else {
            if (const auto status = parse_owner(who, entry.id); status != NfsStatus::ok) return status;
            entry.who = (entry.flags & vfs::ace::identifier_group) != 0 ? vfs::Who::group : vfs::Who::user;
        }
        acl.entries.push_back(entry);
    }
    return NfsStatus::ok;
}

}  // namespace strata::nfs

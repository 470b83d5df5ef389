// SPDX-License-Identifier: Apache-2.0
// GETXATTR, SETXATTR, LISTXATTRS, REMOVEXATTR: RFC 8276, 8.4. Names stand on the wire, and with us, without "user.".
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/wire/types.h"

namespace strata::nfs {

namespace {

// Names are free but for their length and NUL.
NfsStatus check_key(std::string_view key) {
    if (key.empty() || key.find('\0') != std::string_view::npos) return NfsStatus::inval;
    return key.size() > vfs::name_size_max ? NfsStatus::nametoolong : NfsStatus::ok;
}

NfsStatus read_key(XdrReader& in, std::string_view& key) {
    key = in.text(in.remaining());
    return in.ok() ? check_key(key) : NfsStatus::badxdr;
}

// Lists follow the hash of the names, so that a cookie (the hash of the last name given) stays good whatever comes and goes.
std::uint64_t cookie_of(std::string_view name) {
    std::uint64_t h = 0xcbf29ce484222325ull;
    for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return h == 0 ? 1 : h;
}

}  // namespace

Task<NfsStatus> op_getxattr(Compound& compound, XdrReader& in, XdrWriter& out) {
    std::string_view key;
    if (const auto status = read_key(in, key); status != NfsStatus::ok) co_return status;
    const auto value = co_await compound.fs().get_xattr(compound.ctx, compound.current.id, key);
    if (!value) co_return to_status(value.error());
    out.text(*value);
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_setxattr(Compound& compound, XdrReader& in, XdrWriter& out) {
    using Mode = vfs::FileSystem::XattrMode;
    const auto option = in.u32();
    std::string_view key;
    const auto status = read_key(in, key);
    if (status == NfsStatus::badxdr) co_return status;
    const auto value = in.text(in.remaining());
    if (!in.ok() || option > static_cast<std::uint32_t>(Mode::replace)) co_return NfsStatus::badxdr;
    if (status != NfsStatus::ok) co_return status;
    if (value.size() > vfs::xattr_size_max) co_return NfsStatus::xattr2big;
    const auto change = co_await compound.fs().set_xattr(compound.ctx, compound.current.id, key, value, static_cast<Mode>(option));
    if (!change) co_return change.error() == Errc::too_big ? NfsStatus::xattr2big : to_status(change.error());
    out.write(ChangeInfo::of(*change));
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_removexattr(Compound& compound, XdrReader& in, XdrWriter& out) {
    std::string_view key;
    if (const auto status = read_key(in, key); status != NfsStatus::ok) co_return status;
    const auto change = co_await compound.fs().remove_xattr(compound.ctx, compound.current.id, key);
    if (!change) co_return to_status(change.error());
    out.write(ChangeInfo::of(*change));
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_listxattrs(Compound& compound, XdrReader& in, XdrWriter& out) {
    constexpr std::size_t around = 8 + 4 + 4;  // cookie, the number of names, eof
    const auto cookie = in.u64();
    const auto maxcount = in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    std::vector<std::string> names;
    if (compound.current.is_file()) {
        auto listed = co_await compound.fs().list_xattrs(compound.ctx, compound.current.id);
        if (!listed) co_return to_status(listed.error());
        names = std::move(*listed);
    }
    std::erase_if(names, [&](const std::string& name) { return cookie != 0 && cookie_of(name) <= cookie; });
    std::ranges::sort(names, {}, [](const std::string& name) { return std::pair(cookie_of(name), std::string_view(name)); });

    const auto room = compound.room(out);
    const auto limit = std::min<std::size_t>(maxcount, room > 0 ? room - 1 : 0);
    if (limit < around) co_return NfsStatus::toosmall;
    std::size_t size = around, fitting = 0;
    while (fitting < names.size()) {
        const auto next = 4 + names[fitting].size() + xdr_pad(names[fitting].size());
        if (size + next > limit) break;
        size += next;
        ++fitting;
    }
    if (fitting == 0 && !names.empty()) co_return NfsStatus::toosmall;
    out.u64(fitting == 0 ? cookie : cookie_of(names[fitting - 1]));
    out.u32(static_cast<std::uint32_t>(fitting));
    for (std::size_t i = 0; i < fitting; ++i) out.text(names[i]);
    out.boolean(fitting == names.size());
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

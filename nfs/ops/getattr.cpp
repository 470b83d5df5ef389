// SPDX-License-Identifier: Apache-2.0
// GETATTR, ACCESS: RFC 8881, 18.7 and 18.1; the xattr rights of ACCESS: RFC 8276, 8.5.
#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/wire/attributes.h"
#include "server/vfs/acl.h"

namespace strata::nfs {

Task<NfsStatus> op_getattr(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto wanted = read_mask(in);
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (wanted.intersects(set_only_attributes)) co_return NfsStatus::inval;
    const FileRef file = compound.current;
    if (file.is_pseudo_root()) {
        const auto object = compound.shares->pseudo_root(compound.service.started);
        write_attributes(out, wanted, attribute_source(compound, file, object, wanted));
        co_return NfsStatus::ok;
    }
    const auto object = co_await compound.fs().get_attributes(compound.ctx, file.id);
    if (!object) co_return to_status(object.error());
    auto source = attribute_source(compound, file, *object, wanted);
    if (wanted.intersects(space_attributes)) {
        const auto space = co_await compound.fs().space(compound.ctx, file.id);
        if (!space) co_return to_status(space.error());
        source.space = *space;
    }
    write_attributes(out, wanted, source);
    co_return NfsStatus::ok;
}

namespace {

namespace access4 {
constexpr std::uint32_t read = 0x1, lookup = 0x2, modify = 0x4, extend = 0x8, remove = 0x10, execute = 0x20;
constexpr std::uint32_t xattr_read = 0x40, xattr_write = 0x80, xattr_list = 0x100;
constexpr std::uint32_t changing = modify | extend | remove | xattr_write;
}  // namespace access4

struct Right {
    std::uint32_t bit;      // of ACCESS
    vfs::AccessMask needs;  // of the object, all of them
};
constexpr Right file_rights[] = {
    {access4::read, vfs::access::read_data},       {access4::modify, vfs::access::write_data},
    {access4::extend, vfs::access::append_data},   {access4::execute, vfs::access::execute},
    {access4::xattr_read, vfs::access::read_data}, {access4::xattr_write, vfs::access::write_data},
    {access4::xattr_list, vfs::access::read_data},
};
constexpr Right directory_rights[] = {
    {access4::read, vfs::access::list_directory},
    {access4::lookup, vfs::access::traverse},
    {access4::modify, vfs::access::add_file | vfs::access::traverse},
    {access4::extend, vfs::access::add_subdirectory | vfs::access::traverse},
    {access4::xattr_read, vfs::access::read_data},
    {access4::xattr_write, vfs::access::write_data},
    {access4::xattr_list, vfs::access::read_data},
};

// Removing needs delete_child by an ACL, or writing and traversing the directory as by mode bits.
bool may_remove_entries(const vfs::Attributes& directory, const Credentials& who) {
    constexpr auto by_mode = vfs::access::write_data | vfs::access::traverse;
    return vfs::evaluate(directory, who, by_mode) == by_mode || vfs::evaluate(directory, who, vfs::access::delete_child) != 0;
}

}  // namespace

Task<NfsStatus> op_access(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto wanted = in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    const std::uint32_t known = compound.minor_version >= 2 ? 0x1ff : 0x3f;
    if ((wanted & ~known) != 0) co_return NfsStatus::inval;
    const FileRef file = compound.current;
    const auto object = file.is_pseudo_root() ? Result<vfs::Attributes>(compound.shares->pseudo_root(compound.service.started))
                                              : co_await compound.fs().get_attributes(compound.ctx, file.id);
    if (!object) co_return to_status(object.error());
    const bool directory = object->type == vfs::FileType::directory;
    std::uint32_t supported = 0, granted = 0;
    for (const Right& right : directory ? std::span<const Right>(directory_rights) : std::span<const Right>(file_rights)) {
        if ((wanted & right.bit) == 0) continue;
        supported |= right.bit;
        if (vfs::evaluate(*object, compound.caller, right.needs) == right.needs) granted |= right.bit;
    }
    if (directory && (wanted & access4::remove) != 0) {
        supported |= access4::remove;
        if (may_remove_entries(*object, compound.caller)) granted |= access4::remove;
    }
    if (file.is_pseudo_root() || file.share->read_only) granted &= ~access4::changing;
    out.u32(supported);
    out.u32(granted);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// CREATE: RFC 8881, 18.4: directories, symbolic links, devices, sockets and fifos. Regular files are OPEN's.
#include <optional>
#include <string_view>
#include <utility>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/wire/attributes.h"
#include "nfs/wire/types.h"

namespace strata::nfs {

namespace {

std::optional<vfs::FileType> creatable(FileType4 type) {
    switch (type) {
        case FileType4::dir: return vfs::FileType::directory;
        case FileType4::lnk: return vfs::FileType::symlink;
        case FileType4::blk: return vfs::FileType::block_device;
        case FileType4::chr: return vfs::FileType::character_device;
        case FileType4::sock: return vfs::FileType::socket;
        case FileType4::fifo: return vfs::FileType::fifo;
        default: return std::nullopt;
    }
}

struct CreateArgs {
    FileType4 type{};
    std::string_view link_target;
    vfs::Device device;
    std::string_view name;
    AttributeChange attributes;
};

NfsStatus read_args(Compound& compound, XdrReader& in, CreateArgs& args) {
    in.read(args.type);
    if (args.type == FileType4::lnk) args.link_target = in.text(in.remaining());
    if (args.type == FileType4::blk || args.type == FileType4::chr) {
        args.device.major = in.u32();
        args.device.minor = in.u32();
    }
    args.name = in.text(in.remaining());
    if (!in.ok()) return NfsStatus::badxdr;
    if (!creatable(args.type)) return NfsStatus::badtype;
    auto status = check_name(args.name);
    if (status == NfsStatus::ok) status = read_settable(in, compound.minor_version, args.attributes);
    if (status != NfsStatus::ok) return status;
    if (args.attributes.set.size) return NfsStatus::inval;
    if (args.type == FileType4::lnk) {
        if (args.link_target.empty() || args.link_target.find('\0') != std::string_view::npos) return NfsStatus::inval;
        if (args.link_target.size() > vfs::symlink_size_max) return NfsStatus::nametoolong;
    }
    const bool device = args.type == FileType4::blk || args.type == FileType4::chr;
    return device && !compound.caller.is_superuser() ? NfsStatus::perm : NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_create(Compound& compound, XdrReader& in, XdrWriter& out) {
    CreateArgs args;
    const auto status = read_args(compound, in, args);
    if (status != NfsStatus::ok) {
        // What is wrong with the name or the type matters only where there is a directory.
        if (status == NfsStatus::badxdr) co_return status;
        co_return co_await directory_status(compound, compound.current, status);
    }
    vfs::CreateRequest request;
    request.type = *creatable(args.type);
    request.mode = vfs::CreateMode::guarded;
    request.attributes = std::move(args.attributes.set);
    request.symlink_target = args.link_target;
    request.device = args.device;
    const auto& share = *compound.current.share;
    const auto created = co_await compound.fs().create(compound.ctx, compound.current.id, args.name, request);
    if (!created) co_return to_status(created.error());
    compound.set_current(share, created->entry.id);
    out.write(ChangeInfo::of(created->directory));
    write_mask(out, args.attributes.mask);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

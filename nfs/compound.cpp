// SPDX-License-Identifier: Apache-2.0
// Compound: the state around a request's operations.
#include "nfs/compound.h"

#include <algorithm>

#include "server/base/crc32c.h"
#include "server/vfs/utf8.h"

namespace strata::nfs {

void Compound::begin(std::uint32_t new_xid, std::uint32_t flavor) {
    xid = new_xid;
    auth_flavor = flavor;
    commit_point = {};
    ctx.clock = service.runtime.clock;
    ctx.log = &service.log;
    ctx.caller = &caller;
    ctx.commit_point = &commit_point;
    ctx.deadline = service.request_deadline();
    ctx.trace_id = (connection.id << 32) | new_xid;
    const auto version = service.parts.shares->version();
    if (connection.shares == nullptr || connection.shares->version() != version) {
        connection.shares = std::make_shared<const ShareView>(version, service.parts.shares->snapshot(), connection.remote);
    }
    shares = connection.shares;
    minor_version = operation_count = operation_index = 0;
    keep_error_body = false;
    session.reset();
    slot = request_checksum = 0;
    slot_taken = cache_this = uncached_retry = replayed = changes_uncounted = false;
    replay.reset();
    client = 0;
    reply_limit = record_size_max;
    reply_base = 0;
    current = saved = FileRef{};
    current_stateid = saved_stateid = Stateid::invalid();
    caller = authenticated;
}

void Compound::set_current(const FileRef& file) {
    if (file.share != nullptr && file.share != current.share) caller = file.share->apply_squash(authenticated, connection.remote);
    current = file;
    current_stateid = Stateid::invalid();
}

std::size_t Compound::room(const XdrWriter& out) const {
    const auto used = out.size() - reply_base;
    return reply_limit > used ? reply_limit - used : 0;
}

NfsStatus Compound::resolve(Stateid& stateid) const {
    if (minor_version == 0 || !stateid.is_current()) return NfsStatus::ok;
    if (current_stateid == Stateid::invalid()) return NfsStatus::bad_stateid;
    stateid = current_stateid;
    return NfsStatus::ok;
}

std::uint32_t checksum_of_request(Bytes rest) {
    constexpr std::size_t checksummed_max = 4096;
    return crc32c(rest.first(std::min(rest.size(), checksummed_max))) ^ static_cast<std::uint32_t>(rest.size());
}

HandleBytes Compound::handle_of(const FileRef& file) const {
    HandleContent content;
    if (file.is_file()) {
        content.kind = HandleContent::Kind::file;
        content.share_name_hash = hash_of(file.share->name);
        content.share_root = file.share->root.inode;
        content.volume = service.volume_hash;
        content.id = file.id;
    }
    return encode_handle(content, service.handle_key);
}

NfsStatus Compound::file_of(Bytes handle, FileRef& out) const {
    HandleContent content;
    const auto status = decode_handle(handle, service.handle_key, content);
    if (status != NfsStatus::ok) return status;
    if (content.kind == HandleContent::Kind::pseudo_root) {
        out = {FileRef::Kind::pseudo_root, nullptr, {}};
        return NfsStatus::ok;
    }
    const auto* share = content.volume == service.volume_hash ? shares->find(content) : nullptr;
    if (share == nullptr) return NfsStatus::stale;
    out = {FileRef::Kind::file, share, content.id};
    return NfsStatus::ok;
}

Task<Result<vfs::Attributes>> Compound::attributes_of(const FileRef& file) const {
    if (file.is_pseudo_root()) co_return shares->pseudo_root(service.started);
    co_return co_await fs().get_attributes(ctx, file.id);
}

Task<NfsStatus> directory_status(Compound& compound, const FileRef& file, NfsStatus otherwise) {
    const auto attributes = co_await compound.attributes_of(file);
    if (!attributes) co_return to_status(attributes.error());
    if (attributes->type == vfs::FileType::directory) co_return otherwise;
    co_return attributes->type == vfs::FileType::symlink ? NfsStatus::symlink : NfsStatus::notdir;
}

NfsStatus check_name(std::string_view name) {
    if (name.empty()) return NfsStatus::inval;
    if (name.size() > vfs::name_size_max) return NfsStatus::nametoolong;
    if (name == "." || name == "..") return NfsStatus::badname;
    if (name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) return NfsStatus::badchar;
    if (!vfs::is_utf8(name)) return NfsStatus::inval;
    return NfsStatus::ok;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// MemoryFileSystem: names, attributes and extended attributes.
#include "tests/sim/memory_file_system.h"

#include <algorithm>
#include <utility>

#include "server/vfs/acl.h"
#include "tests/sim/memory_node.h"

namespace strata::sim {

namespace access = vfs::access;
using vfs::FileType;

namespace {

constexpr std::uint32_t set_uid = 04000, set_gid = 02000;

Result<> check_entry_name(std::string_view name) {
    if (name.size() > vfs::name_size_max) return fail(Errc::name_too_long);
    if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
        return fail(Errc::bad_name);
    return {};
}

}  // namespace

struct MemoryFileSystem::NodePin final : vfs::Pin {
    NodePin(MemoryFileSystem& f, std::uint64_t i) : fs(f), inode(i) { ++fs.pins_; }
    ~NodePin() override {
        --fs.pins_;
        auto& node = *fs.nodes_.at(inode);
        --node.pinned;
        fs.reap(node);
    }
    MemoryFileSystem& fs;
    std::uint64_t inode;
};

MemoryFileSystem::MemoryFileSystem(Clock& clock, std::uint64_t capacity_bytes) : clock_(clock), capacity_(capacity_bytes) {
    auto node = std::make_unique<Node>();
    node->a.id = root();
    node->a.type = FileType::directory;
    node->a.mode = 0755;
    node->a.uid = node->a.gid = 0;
    node->a.link_count = 2;
    node->a.change = 1;
    node->a.size = page_size;
    node->a.access_time = node->a.modify_time = node->a.change_time = node->a.birth_time = clock.wall_time();
    node->parent = root().inode;
    nodes_.emplace(root().inode, std::move(node));
}

MemoryFileSystem::~MemoryFileSystem() = default;

Task<> MemoryFileSystem::enter(std::string_view call) {
    ++calls_;
    if (before_call) co_await before_call(call);
}

void MemoryFileSystem::saw(const Context& ctx) const {
    if (ctx.commit_point != nullptr) ctx.commit_point->raise(change_);
}

Result<MemoryFileSystem::Node*> MemoryFileSystem::find(vfs::FileId id) {
    const auto found = nodes_.find(id.inode);
    if (found == nodes_.end() || found->second->a.id != id) return fail(Errc::stale);
    return found->second.get();
}

Result<MemoryFileSystem::Node*> MemoryFileSystem::directory(vfs::FileId id) {
    TRY(node, find(id));
    if (node->a.type != FileType::directory) return fail(Errc::not_directory);
    return node;
}

Result<MemoryFileSystem::Node*> MemoryFileSystem::entry(Node& dir, std::string_view name) {
    CHECK_OK(check_entry_name(name));
    const auto found = dir.names.find(name);
    if (found == dir.names.end()) return fail(Errc::not_found);
    return nodes_.at(found->second.inode).get();
}

void MemoryFileSystem::touch(Node& node, bool data) {
    node.a.change = ++change_;
    node.a.change_time = clock_.wall_time();
    if (data) node.a.modify_time = node.a.change_time;
}

vfs::ChangeInfo MemoryFileSystem::touch_directory(Node& dir) {
    const auto before = dir.a.change;
    touch(dir, true);
    return {before, dir.a.change};
}

void MemoryFileSystem::put(Node& dir, std::string_view name, Node& node) {
    const auto cookie = dir.next_cookie++;
    dir.names.emplace(std::string(name), Node::Name{cookie, node.a.id.inode});
    dir.by_cookie.emplace(cookie, std::string(name));
    if (node.a.type == FileType::directory) {
        node.parent = dir.a.id.inode;
        ++dir.a.link_count;
    }
}

void MemoryFileSystem::take(Node& dir, std::string_view name, Node& node) {
    const auto found = dir.names.find(name);
    dir.by_cookie.erase(found->second.cookie);
    dir.names.erase(found);
    if (node.a.type == FileType::directory) --dir.a.link_count;
}

// An object without names and pins goes for good.
void MemoryFileSystem::reap(Node& node) {
    if (node.a.link_count != 0 || node.pinned != 0) return;
    pages_ -= node.pages.size();
    nodes_.erase(node.a.id.inode);
}

bool MemoryFileSystem::is_inside(const Node& node, std::uint64_t inode) {
    for (const Node* at = &node;; at = nodes_.at(at->parent).get()) {
        if (at->a.id.inode == inode) return true;
        if (at->a.id == root()) return false;
    }
}

Task<Result<vfs::Entry>> MemoryFileSystem::lookup(const Context& ctx, vfs::FileId id, std::string_view name) {
    co_await enter("lookup");
    CO_TRY(dir, directory(id));
    if (vfs::evaluate(dir->a, *ctx.caller, access::traverse) == 0) co_return fail(Errc::access);
    CO_TRY(node, entry(*dir, name));
    saw(ctx);
    co_return vfs::Entry{node->a.id, node->a};
}

Task<Result<vfs::Entry>> MemoryFileSystem::lookup_parent(const Context& ctx, vfs::FileId id) {
    co_await enter("lookup_parent");
    CO_TRY(dir, directory(id));
    if (vfs::evaluate(dir->a, *ctx.caller, access::traverse) == 0) co_return fail(Errc::access);
    if (id == root() || dir->a.link_count == 0) co_return fail(Errc::not_found);
    const auto& parent = *nodes_.at(dir->parent);
    saw(ctx);
    co_return vfs::Entry{parent.a.id, parent.a};
}

MemoryFileSystem::Node& MemoryFileSystem::make(const Context& ctx, Node& dir, const vfs::CreateRequest& request) {
    auto owned = std::make_unique<Node>();
    auto& node = *owned;
    auto& a = node.a;
    a.id = {next_inode_++, 1};
    a.type = request.type;
    const bool is_directory = a.type == FileType::directory;
    a.uid = request.attributes.uid.value_or(ctx.caller->uid);
    a.gid = request.attributes.gid.value_or((dir.a.mode & set_gid) != 0 ? dir.a.gid : ctx.caller->gid);
    a.mode = request.attributes.mode.value_or(0);
    if (is_directory && (dir.a.mode & set_gid) != 0) a.mode |= set_gid;
    a.link_count = is_directory ? 2 : 1;
    a.domain = request.new_domain != 0 ? request.new_domain : dir.a.domain;
    a.device = request.device;
    a.change = ++change_;
    a.access_time = a.modify_time = a.change_time = a.birth_time = clock_.wall_time();
    if (is_directory) a.size = page_size;
    node.symlink_target = request.symlink_target;
    if (a.type == FileType::symlink) a.size = node.symlink_target.size();
    if (request.attributes.acl) {
        a.acl = *request.attributes.acl;
    } else if (dir.a.acl != nullptr) {
        a.acl = vfs::inherit(*dir.a.acl, is_directory, a.mode);
    }
    if (a.acl != nullptr) a.mode = vfs::mode_of(*a.acl, a.mode);
    if (request.mode == vfs::CreateMode::exclusive) node.verifier = request.verifier;
    auto set = request.attributes;
    set.uid = set.gid = set.mode = std::nullopt;
    set.acl = std::nullopt;
    nodes_.emplace(a.id.inode, std::move(owned));
    apply_set(ctx, node, set);
    return node;
}

Task<Result<vfs::Created>> MemoryFileSystem::create(const Context& ctx, vfs::FileId id, std::string_view name,
                                                    const vfs::CreateRequest& request) {
    co_await enter("create");
    CO_TRY(dir, directory(id));
    if (vfs::evaluate(dir->a, *ctx.caller, access::traverse) == 0) co_return fail(Errc::access);
    const auto found = entry(*dir, name);
    saw(ctx);
    if (found) {
        auto& node = **found;
        if (request.mode == vfs::CreateMode::exclusive && request.verifier != 0 && node.verifier == request.verifier) {
            co_return vfs::Created{{node.a.id, node.a}, {dir->a.change, dir->a.change}, true};
        }
        if (request.mode != vfs::CreateMode::unchecked) co_return fail(Errc::exists);
        if (node.a.type == FileType::directory) co_return fail(Errc::is_directory);
        if (node.a.type == FileType::symlink) co_return fail(Errc::is_symlink);
        if (node.a.type != FileType::regular) co_return fail(Errc::wrong_type);
        if (request.attributes.size == std::uint64_t{0}) {
            vfs::SetAttributes truncate;
            truncate.size = 0;
            CO_CHECK_OK(check_set(ctx, node, truncate, false));
            apply_set(ctx, node, truncate);
        }
        saw(ctx);
        co_return vfs::Created{{node.a.id, node.a}, {dir->a.change, dir->a.change}, true};
    }
    if (found.error().code != Errc::not_found) co_return fail(found.error());
    if (dir->a.link_count == 0) co_return fail(Errc::stale);
    const auto needed = request.type == FileType::directory ? access::add_subdirectory : access::add_file;
    if (vfs::evaluate(dir->a, *ctx.caller, needed) != needed) co_return fail(Errc::access);
    if (request.new_domain != 0 && !ctx.caller->is_superuser()) co_return fail(Errc::permission);
    const auto uid = request.attributes.uid.value_or(ctx.caller->uid);
    const auto gid = request.attributes.gid.value_or(ctx.caller->gid);
    if (!ctx.caller->is_superuser() && (uid != ctx.caller->uid || !ctx.caller->in_group(gid))) co_return fail(Errc::permission);
    if (request.attributes.size.value_or(0) > vfs::file_size_max) co_return fail(Errc::too_big);
    auto& node = make(ctx, *dir, request);
    put(*dir, name, node);
    const auto changed = touch_directory(*dir);
    saw(ctx);
    co_return vfs::Created{{node.a.id, node.a}, changed, false};
}

Task<Result<vfs::Removed>> MemoryFileSystem::remove(const Context& ctx, vfs::FileId id, std::string_view name, vfs::RemoveKind kind) {
    co_await enter("remove");
    CO_TRY(dir, directory(id));
    if (vfs::evaluate(dir->a, *ctx.caller, access::traverse) == 0) co_return fail(Errc::access);
    CO_TRY(node, entry(*dir, name));
    const bool is_directory = node->a.type == FileType::directory;
    if (!vfs::may_remove(dir->a, node->a, *ctx.caller)) {
        const bool writable = vfs::evaluate(dir->a, *ctx.caller, access::write_data) != 0;
        co_return fail(writable ? Errc::permission : Errc::access);
    }
    if (kind == vfs::RemoveKind::directory && !is_directory) co_return fail(Errc::not_directory);
    if (kind == vfs::RemoveKind::not_directory && is_directory) co_return fail(Errc::is_directory);
    if (is_directory && !node->names.empty()) co_return fail(Errc::not_empty);
    take(*dir, name, *node);
    node->a.link_count = is_directory ? 0 : node->a.link_count - 1;
    touch(*node, false);
    vfs::Removed removed{node->a.id, node->a, touch_directory(*dir)};
    reap(*node);
    saw(ctx);
    co_return removed;
}

Task<Result<vfs::Renamed>> MemoryFileSystem::rename(const Context& ctx, vfs::FileId from_id, std::string_view name, vfs::FileId to_id,
                                                    std::string_view new_name) {
    co_await enter("rename");
    CO_TRY(from, directory(from_id));
    CO_TRY(to, directory(to_id));
    for (const auto* dir : {from, to}) {
        if (vfs::evaluate(dir->a, *ctx.caller, access::traverse) == 0) co_return fail(Errc::access);
    }
    CO_TRY(node, entry(*from, name));
    CO_CHECK_OK(check_entry_name(new_name));
    if (from->a.domain != to->a.domain || node->a.domain != to->a.domain) co_return fail(Errc::cross_domain);
    const bool is_directory = node->a.type == FileType::directory;
    if (!vfs::may_remove(from->a, node->a, *ctx.caller)) co_return fail(Errc::access);
    const auto needed = is_directory ? access::add_subdirectory : access::add_file;
    if (vfs::evaluate(to->a, *ctx.caller, needed) != needed) co_return fail(Errc::access);
    if (is_directory && is_inside(*to, node->a.id.inode)) co_return fail(Errc::invalid_argument);
    if (to->a.link_count == 0) co_return fail(Errc::stale);
    vfs::Renamed renamed;
    renamed.moved = node->a.id;
    const auto target = entry(*to, new_name);
    if (target && *target == node) {
        // Two names of one file: rename does nothing (POSIX).
        renamed.source = {from->a.change, from->a.change};
        renamed.target = {to->a.change, to->a.change};
        saw(ctx);
        co_return renamed;
    }
    if (target) {
        auto& old = **target;
        const bool old_directory = old.a.type == FileType::directory;
        if (!vfs::may_remove(to->a, old.a, *ctx.caller)) co_return fail(Errc::access);
        if (is_directory != old_directory) co_return fail(Errc::exists);
        if (old_directory && !old.names.empty()) co_return fail(Errc::not_empty);
        take(*to, new_name, old);
        old.a.link_count = old_directory ? 0 : old.a.link_count - 1;
        touch(old, false);
        if (old.a.link_count == 0) renamed.replaced = old.a.id;
        reap(old);
    }
    take(*from, name, *node);
    put(*to, new_name, *node);
    touch(*node, false);
    renamed.source = touch_directory(*from);
    renamed.target = from == to ? renamed.source : touch_directory(*to);
    saw(ctx);
    co_return renamed;
}

Task<Result<vfs::ChangeInfo>> MemoryFileSystem::link(const Context& ctx, vfs::FileId file, vfs::FileId id, std::string_view name) {
    co_await enter("link");
    CO_TRY(node, find(file));
    CO_TRY(dir, directory(id));
    if (node->a.type == FileType::directory) co_return fail(Errc::is_directory);
    if (vfs::evaluate(dir->a, *ctx.caller, access::traverse) == 0) co_return fail(Errc::access);
    const auto found = entry(*dir, name);
    if (found) co_return fail(Errc::exists);
    if (found.error().code != Errc::not_found) co_return fail(found.error());
    if (vfs::evaluate(dir->a, *ctx.caller, access::add_file) == 0) co_return fail(Errc::access);
    if (node->a.domain != dir->a.domain) co_return fail(Errc::cross_domain);
    if (node->a.link_count == 0 || dir->a.link_count == 0) co_return fail(Errc::stale);
    if (node->a.link_count >= vfs::link_count_max) co_return fail(Errc::too_many_links);
    put(*dir, name, *node);
    ++node->a.link_count;
    touch(*node, false);
    const auto changed = touch_directory(*dir);
    saw(ctx);
    co_return changed;
}

Task<Result<std::string>> MemoryFileSystem::read_link(const Context& ctx, vfs::FileId file) {
    co_await enter("read_link");
    CO_TRY(node, find(file));
    if (node->a.type != FileType::symlink) co_return fail(Errc::invalid_argument);
    saw(ctx);
    co_return node->symlink_target;
}

Task<Result<vfs::DirectoryPage>> MemoryFileSystem::read_directory(const Context& ctx, vfs::FileId id, std::uint64_t cookie,
                                                                  const vfs::DirectoryVisitor& visit) {
    co_await enter("read_directory");
    CO_TRY(dir, directory(id));
    if (vfs::evaluate(dir->a, *ctx.caller, access::list_directory) == 0) co_return fail(Errc::access);
    vfs::DirectoryPage page;
    page.change = dir->a.change;
    saw(ctx);
    for (auto at = dir->by_cookie.upper_bound(cookie); at != dir->by_cookie.end(); ++at) {
        const auto& node = *nodes_.at(dir->names.find(at->second)->second.inode);
        if (!visit({at->first, at->second, node.a.id, &node.a})) co_return page;
    }
    page.end = true;
    co_return page;
}

Task<Result<vfs::Attributes>> MemoryFileSystem::get_attributes(const Context& ctx, vfs::FileId file) {
    co_await enter("get_attributes");
    CO_TRY(node, find(file));
    saw(ctx);
    co_return node->a;
}

Result<> MemoryFileSystem::check_set(const Context& ctx, const Node& node, const vfs::SetAttributes& set, bool opened_for_write) const {
    const auto& who = *ctx.caller;
    const bool owner = who.is_superuser() || who.uid == node.a.uid;
    const auto has = [&](vfs::AccessMask right) { return vfs::evaluate(node.a, who, right) == right; };
    if (set.uid && *set.uid != node.a.uid && !who.is_superuser()) return fail(Errc::permission);
    if (set.gid && *set.gid != node.a.gid && !(owner && (who.is_superuser() || who.in_group(*set.gid)))) return fail(Errc::permission);
    if ((set.mode || set.acl) && !owner && !(node.a.acl != nullptr && has(access::write_acl))) return fail(Errc::permission);
    if (set.size) {
        if (node.a.type == FileType::directory) return fail(Errc::is_directory);
        if (node.a.type != FileType::regular) return fail(Errc::invalid_argument);
        if (!opened_for_write && !has(access::write_data)) return fail(Errc::access);
        if (*set.size > vfs::file_size_max) return fail(Errc::too_big);
    }
    if ((set.access_time || set.modify_time || set.birth_time || set.dos_attributes) && !owner) return fail(Errc::permission);
    if ((set.access_time_now || set.modify_time_now) && !owner && !has(access::write_data)) return fail(Errc::access);
    return {};
}

void MemoryFileSystem::apply_set(const Context& ctx, Node& node, const vfs::SetAttributes& set) {
    auto& a = node.a;
    const auto now = clock_.wall_time();
    const bool new_owner = (set.uid && *set.uid != a.uid) || (set.gid && *set.gid != a.gid);
    if (new_owner && a.type == FileType::regular && !ctx.caller->is_superuser()) a.mode &= ~(set_uid | set_gid);
    if (set.uid) a.uid = *set.uid;
    if (set.gid) a.gid = *set.gid;
    if (set.mode) {
        a.mode = *set.mode & 07777;
        const bool member = ctx.caller->is_superuser() || ctx.caller->in_group(a.gid);
        if (!member && a.type == FileType::regular) a.mode &= ~set_gid;
        if (a.acl != nullptr) a.acl = std::make_shared<const vfs::Acl>(vfs::with_mode(*a.acl, a.mode));
    }
    if (set.acl) {
        a.acl = *set.acl;
        if (a.acl != nullptr) a.mode = vfs::mode_of(*a.acl, a.mode);
    }
    if (set.dos_attributes) a.dos_attributes = *set.dos_attributes;
    if (set.size) {
        resize(node, *set.size);
        a.modify_time = now;
        if (!ctx.caller->is_superuser()) a.mode &= ~(set_uid | set_gid);
    }
    if (set.access_time) a.access_time = *set.access_time;
    if (set.modify_time) a.modify_time = *set.modify_time;
    if (set.birth_time) a.birth_time = *set.birth_time;
    if (set.access_time_now) a.access_time = now;
    if (set.modify_time_now) a.modify_time = now;
    touch(node, false);
}

Task<Result<vfs::Attributes>> MemoryFileSystem::set_attributes(const Context& ctx, vfs::FileId file, const vfs::SetAttributes& set,
                                                               bool opened_for_write) {
    co_await enter("set_attributes");
    CO_TRY(node, find(file));
    CO_CHECK_OK(check_set(ctx, *node, set, opened_for_write));
    apply_set(ctx, *node, set);
    saw(ctx);
    co_return node->a;
}

Task<Result<vfs::AccessMask>> MemoryFileSystem::check_access(const Context& ctx, vfs::FileId file, vfs::AccessMask wanted) {
    co_await enter("check_access");
    CO_TRY(node, find(file));
    saw(ctx);
    co_return vfs::evaluate(node->a, *ctx.caller, wanted);
}

Task<Result<std::string>> MemoryFileSystem::get_xattr(const Context& ctx, vfs::FileId file, std::string_view name) {
    co_await enter("get_xattr");
    CO_TRY(node, find(file));
    if (vfs::evaluate(node->a, *ctx.caller, access::read_data) == 0) co_return fail(Errc::access);
    const auto found = node->xattrs.find(name);
    if (found == node->xattrs.end()) co_return fail(Errc::no_xattr);
    saw(ctx);
    co_return found->second;
}

Task<Result<vfs::ChangeInfo>> MemoryFileSystem::set_xattr(const Context& ctx, vfs::FileId file, std::string_view name,
                                                          std::string_view value, XattrMode mode) {
    co_await enter("set_xattr");
    CO_TRY(node, find(file));
    if (vfs::evaluate(node->a, *ctx.caller, access::write_data) == 0) co_return fail(Errc::access);
    const auto found = node->xattrs.find(name);
    if (mode == XattrMode::create && found != node->xattrs.end()) co_return fail(Errc::exists);
    if (mode == XattrMode::replace && found == node->xattrs.end()) co_return fail(Errc::no_xattr);
    if (value.size() > vfs::xattr_size_max) co_return fail(Errc::too_big);
    node->xattrs.insert_or_assign(std::string(name), std::string(value));
    node->a.has_xattrs = true;
    const auto before = node->a.change;
    touch(*node, false);
    saw(ctx);
    co_return vfs::ChangeInfo{before, node->a.change};
}

Task<Result<vfs::ChangeInfo>> MemoryFileSystem::remove_xattr(const Context& ctx, vfs::FileId file, std::string_view name) {
    co_await enter("remove_xattr");
    CO_TRY(node, find(file));
    if (vfs::evaluate(node->a, *ctx.caller, access::write_data) == 0) co_return fail(Errc::access);
    const auto found = node->xattrs.find(name);
    if (found == node->xattrs.end()) co_return fail(Errc::no_xattr);
    node->xattrs.erase(found);
    node->a.has_xattrs = !node->xattrs.empty();
    const auto before = node->a.change;
    touch(*node, false);
    saw(ctx);
    co_return vfs::ChangeInfo{before, node->a.change};
}

Task<Result<std::vector<std::string>>> MemoryFileSystem::list_xattrs(const Context& ctx, vfs::FileId file) {
    co_await enter("list_xattrs");
    CO_TRY(node, find(file));
    if (vfs::evaluate(node->a, *ctx.caller, access::read_data) == 0) co_return fail(Errc::access);
    std::vector<std::string> out;
    for (const auto& [name, value] : node->xattrs) out.push_back(name);
    saw(ctx);
    co_return out;
}

Task<Result<>> MemoryFileSystem::settle(const Context&) {
    if (on_settle) co_return co_await on_settle();
    co_return Result<>{};
}

bool MemoryFileSystem::settled(const Context& ctx) const {
    return !on_settle || ctx.commit_point == nullptr || ctx.commit_point->index == 0;
}

Task<Result<std::unique_ptr<vfs::Pin>>> MemoryFileSystem::pin(const Context&, vfs::FileId file) {
    co_await enter("pin");
    CO_TRY(node, find(file));
    ++node->pinned;
    co_return std::unique_ptr<vfs::Pin>(std::make_unique<NodePin>(*this, node->a.id.inode));
}

Task<Result<vfs::Space>> MemoryFileSystem::space(const Context&, vfs::FileId) {
    co_await enter("space");
    const auto free = capacity_ - pages_ * page_size;
    co_return vfs::Space{capacity_, free, free, std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - nodes_.size()};
}

}  // namespace strata::sim

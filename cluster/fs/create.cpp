// SPDX-License-Identifier: Apache-2.0
// CREATE, and OPEN's half that makes files; LINK.
#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

namespace {

constexpr std::uint32_t mode_setgid = 02000, mode_bits = 07777;

vfs::AccessMask add_right(vfs::FileType type) {
    return type == vfs::FileType::directory ? vfs::access::add_subdirectory : vfs::access::add_file;
}

// NFS's ASCII fold for now: SMB's table replaces it together with the fold version that the volume freezes.
std::string fold(std::string_view name) {
    std::string folded(name);
    for (char& c : folded) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return folded;
}

}  // namespace

EntryRow entry_row(Node& dir, std::string_view name, const Node& child) {
    EntryRow row;
    row.parent = dir.number;
    row.name = name;
    row.folded = fold(name);
    row.cookie = dir.row.next_cookie++;
    row.child = child.number;
    row.child_generation = child.generation;
    row.child_type = child.type;
    return row;
}

void insert_entry(Node& dir, const EntryRow& row, LogIndex index) {
    auto entry = std::make_shared<DirectoryEntry>();
    entry->name = row.name;
    entry->cookie = row.cookie;
    entry->child = row.child;
    entry->child_generation = row.child_generation;
    entry->child_type = row.child_type;
    entry->pending = index;
    dir.directory->insert(std::move(entry));
}

Task<Result<>> ClusterFileSystem::make_root(const Context& ctx) {
    CO_TRY(row, co_await volume_.meta().inode(ctx, root_inode));
    if (row) co_return Result<>{};
    InodeRow root;
    root.number = root_inode;
    root.generation = 1;
    root.type = vfs::FileType::directory;
    root.mode = 0755;
    root.link_count = 2;
    root.change = 1;
    root.access_time = root.modify_time = root.change_time = root.birth_time = volume_.now();
    auto node = std::make_shared<Node>(root);
    node->directory->begin_complete();
    volume_.nodes().insert(node);
    volume_.inode_count.fetch_add(1);
    std::unique_lock lock(node->mutex);
    const LogIndex index = volume_.submit({}, {node.get()});
    lock.unlock();
    co_return co_await volume_.meta().durable().wait(index, *volume_.runtime().clock, ctx.deadline);
}

// The new object, in memory only. Rights to make it have been checked; dir's mutex is held.
Result<NodePtr> ClusterFileSystem::make_node(const Context& ctx, const Node& dir, const vfs::CreateRequest& request) {
    const auto& set = request.attributes;
    const Credentials& caller = *ctx.caller;
    InodeRow row;
    row.number = volume_.new_inode();
    row.generation = volume_.generation();
    row.type = request.type;
    row.domain = request.new_domain != 0 ? request.new_domain : dir.row.domain;
    row.uid = set.uid.value_or(caller.uid);
    row.gid = set.gid.value_or((dir.row.mode & mode_setgid) ? dir.row.gid : caller.gid);
    if (!caller.is_superuser() && (row.uid != caller.uid || (set.gid && !caller.in_group(row.gid)))) return fail(Errc::permission);
    const bool is_dir = request.type == vfs::FileType::directory;
    row.mode = set.mode.value_or(request.type == vfs::FileType::symlink ? 0777 : 0) & mode_bits;
    if (is_dir && (dir.row.mode & mode_setgid)) row.mode |= mode_setgid;
    if (!is_dir && (row.mode & mode_setgid) && !caller.is_superuser() && !caller.in_group(row.gid)) row.mode &= ~mode_setgid;
    row.link_count = is_dir ? 2 : 1;
    row.change = 1;
    const Timestamp now = volume_.now();
    row.change_time = now;
    row.birth_time = set.birth_time.value_or(now);
    row.access_time = set.access_time && !set.access_time_now ? *set.access_time : now;
    row.modify_time = set.modify_time && !set.modify_time_now ? *set.modify_time : now;
    row.device = request.device;
    row.dos_attributes = set.dos_attributes.value_or(0);
    if (is_dir) row.parent = dir.number;
    if (request.mode == vfs::CreateMode::exclusive) row.verifier = request.verifier;
    if (request.type == vfs::FileType::symlink) {
        if (request.symlink_target.empty() || request.symlink_target.size() > vfs::symlink_size_max) return fail(Errc::invalid_argument);
        row.symlink = request.symlink_target;
        row.size = row.symlink.size();
    }
    if (request.type == vfs::FileType::regular) row.map = volume_.new_map();
    std::shared_ptr<const vfs::Acl> acl;
    if (set.acl && *set.acl) {
        CHECK_OK(vfs::validate(**set.acl, is_dir));
        acl = *set.acl;
        row.mode = vfs::mode_of(*acl, row.mode);
    } else if (dir.acl) {
        acl = vfs::inherit(*dir.acl, is_dir, row.mode);
    }
    if (acl) row.acl = vfs::encode(*acl);
    auto node = std::make_shared<Node>(std::move(row));
    if (is_dir) node->directory->begin_complete();
    return node;
}

Task<Result<vfs::Created>> ClusterFileSystem::create(const Context& ctx, vfs::FileId id, std::string_view name,
                                                     const vfs::CreateRequest& request) {
    CO_CHECK_OK(check_name(name));
    if (request.new_domain != 0 && !ctx.caller->is_superuser()) co_return fail(Errc::permission);
    CO_TRY(dir, co_await directory(ctx, id));
    CO_CHECK_OK(co_await volume_.meta().admit_growth(ctx));
    for (;;) {
        {
            std::lock_guard lock(dir->mutex);
            if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::traverse)) co_return fail(Errc::access);
        }
        CO_TRY(target, co_await resolve(ctx, dir, name));
        std::unique_lock lock(dir->mutex);
        if (target.node != nullptr) {
            const vfs::ChangeInfo unchanged{dir->row.change, dir->row.change};
            observe(ctx, dir->pending);
            lock.unlock();
            CO_TRY(created, co_await open_existing(ctx, std::move(target), request));
            created.directory = unchanged;
            co_return created;
        }
        if (dir->removed) co_return fail(Errc::stale);
        if (!still(*dir, name, nullptr)) continue;
        if (!vfs::evaluate(dir->attributes(), *ctx.caller, add_right(request.type))) co_return fail(Errc::access);
        const bool is_dir = request.type == vfs::FileType::directory;
        if (is_dir && dir->row.link_count >= vfs::link_count_max) co_return fail(Errc::too_many_links);
        CO_TRY(node, make_node(ctx, *dir, request));
        vfs::Created created;
        created.directory.before = dir->row.change;
        const EntryRow row = entry_row(*dir, name, *node);
        if (is_dir) ++dir->row.link_count;
        volume_.touch_directory(*dir);
        created.directory.after = dir->row.change;
        volume_.nodes().insert(node);
        volume_.inode_count.fetch_add(1, std::memory_order_relaxed);
        std::lock_guard child(node->mutex);
        const LogIndex index = volume_.submit({PutEntry{row}}, {node.get(), dir.get()});
        insert_entry(*dir, row, index);
        observe(ctx, index);
        created.entry = {{node->number, node->generation}, node->attributes()};
        co_return created;
    }
}

Task<Result<vfs::Created>> ClusterFileSystem::open_existing(const Context& ctx, Target target, const vfs::CreateRequest& request) {
    const NodePtr& node = target.node;
    vfs::Created created;
    created.existed = true;
    {
        std::lock_guard lock(node->mutex);
        observe(ctx, node->pending);
        if (request.mode == vfs::CreateMode::guarded || request.type != vfs::FileType::regular) co_return fail(Errc::exists);
        if (request.mode == vfs::CreateMode::exclusive) {
            // Zero is what files have that no exclusive create made: it is nobody's.
            const bool same = request.verifier != 0 && node->row.verifier == request.verifier;
            if (!same || node->type != vfs::FileType::regular) co_return fail(Errc::exists);
        }
    }
    if (request.mode == vfs::CreateMode::unchecked) {
        if (node->type == vfs::FileType::directory) co_return fail(Errc::is_directory);
        if (node->type == vfs::FileType::symlink) co_return fail(Errc::is_symlink);
        if (request.attributes.size && node->type == vfs::FileType::regular) {
            vfs::SetAttributes only_size;
            only_size.size = request.attributes.size;
            CO_CHECK_OK(co_await set_attributes(ctx, {node->number, node->generation}, only_size, false));
        }
    }
    std::lock_guard lock(node->mutex);
    created.entry = {{node->number, node->generation}, node->attributes()};
    co_return created;
}

Task<Result<vfs::ChangeInfo>> ClusterFileSystem::link(const Context& ctx, vfs::FileId file, vfs::FileId id, std::string_view name) {
    CO_CHECK_OK(check_name(name));
    CO_TRY(dir, co_await directory(ctx, id));
    CO_TRY(node, co_await volume_.node(ctx, file));
    if (node->type == vfs::FileType::directory) co_return fail(Errc::is_directory);
    CO_CHECK_OK(co_await volume_.meta().admit_growth(ctx));
    for (;;) {
        {
            std::lock_guard lock(dir->mutex);
            if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::traverse)) co_return fail(Errc::access);
        }
        CO_TRY(target, co_await resolve(ctx, dir, name));
        if (target.node != nullptr) co_return fail(Errc::exists);
        std::unique_lock first(dir->number < node->number ? dir->mutex : node->mutex);
        std::unique_lock second(dir->number < node->number ? node->mutex : dir->mutex);
        if (dir->removed || node->removed || node->dead) co_return fail(Errc::stale);
        if (!still(*dir, name, nullptr)) continue;
        if (dir->row.domain != node->row.domain) co_return fail(Errc::cross_domain);
        if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::add_file)) co_return fail(Errc::access);
        if (node->row.link_count >= vfs::link_count_max) co_return fail(Errc::too_many_links);
        vfs::ChangeInfo change{dir->row.change, 0};
        const EntryRow row = entry_row(*dir, name, *node);
        ++node->row.link_count;
        volume_.touch(*node);
        volume_.touch_directory(*dir);
        change.after = dir->row.change;
        const LogIndex index = volume_.submit({PutEntry{row}}, {node.get(), dir.get()});
        insert_entry(*dir, row, index);
        observe(ctx, index);
        co_return change;
    }
}

}  // namespace strata::cluster

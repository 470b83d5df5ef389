// SPDX-License-Identifier: Apache-2.0
// REMOVE: files and empty directories.
#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

Task<Result<vfs::Removed>> ClusterFileSystem::remove(const Context& ctx, vfs::FileId id, std::string_view name, vfs::RemoveKind kind) {
    CO_CHECK_OK(check_name(name));
    CO_TRY(dir, co_await directory(ctx, id));
    CO_CHECK_OK(co_await volume_.meta().admit(ctx));
    for (;;) {
        {
            std::lock_guard lock(dir->mutex);
            if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::traverse)) co_return fail(Errc::access);
        }
        CO_TRY(target, co_await resolve(ctx, dir, name));
        const NodePtr& node = target.node;
        if (node == nullptr) co_return fail(Errc::not_found);
        const bool is_dir = node->type == vfs::FileType::directory;
        if (is_dir && kind == vfs::RemoveKind::not_directory) co_return fail(Errc::is_directory);
        if (!is_dir && kind == vfs::RemoveKind::directory) co_return fail(Errc::not_directory);
        if (is_dir) CO_CHECK_OK(co_await load_any(ctx, node));

        std::unique_lock first(dir->number < node->number ? dir->mutex : node->mutex);
        std::unique_lock second(dir->number < node->number ? node->mutex : dir->mutex);
        if (dir->removed) co_return fail(Errc::stale);
        if (!still(*dir, name, target.entry)) continue;
        if (!vfs::may_remove(dir->attributes(), node->attributes(), *ctx.caller)) co_return fail(Errc::access);
        if (node->row.domain != dir->row.domain && !ctx.caller->is_superuser()) co_return fail(Errc::cross_domain);
        if (is_dir && !node->directory->empty()) co_return fail(Errc::not_empty);
        if (is_dir && !node->directory->complete()) continue;

        vfs::Removed removed;
        removed.id = {node->number, node->generation};
        removed.directory.before = dir->row.change;
        if (is_dir) {
            --dir->row.link_count;
            node->row.link_count = 0;
        } else {
            --node->row.link_count;
        }
        volume_.touch(*node);
        volume_.touch_directory(*dir);
        removed.directory.after = dir->row.change;
        Command command{DeleteEntry{{dir->number, std::string(name)}}};
        volume_.drop_if_unreferenced(*node, command);
        const LogIndex index = volume_.submit(std::move(command), {dir.get()});
        node->pending = node->pending_any = index;
        dir->directory->erase(name, index);
        dir->directory->trim(volume_.meta().applied());
        observe(ctx, index);
        removed.attributes = node->attributes();
        co_return removed;
    }
}

}  // namespace strata::cluster

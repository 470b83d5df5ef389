// SPDX-License-Identifier: Apache-2.0
// READDIR: pages in cookie order, with attributes, from memory once the directory is loaded.
#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

namespace {
constexpr std::size_t batch_entries = 128;
}

Task<Result<vfs::DirectoryPage>> ClusterFileSystem::read_directory(const Context& ctx, vfs::FileId id, std::uint64_t cookie,
                                                                   const vfs::DirectoryVisitor& visit) {
    CO_TRY(dir, co_await directory(ctx, id));
    vfs::DirectoryPage page;
    std::vector<DirectoryEntryPtr> batch;
    std::vector<InodeNumber> missing;
    std::vector<NodePtr> nodes;
    for (;;) {
        batch.clear();
        bool complete = false;
        {
            std::lock_guard lock(dir->mutex);
            if (dir->removed) co_return fail(Errc::stale);
            if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::list_directory)) co_return fail(Errc::access);
            complete = dir->directory->complete();
            page.change = dir->row.change;
            observe(ctx, dir->pending);
            if (complete) dir->directory->page(cookie, batch_entries, batch);
        }
        if (!complete) {
            CO_CHECK_OK(co_await load_all(ctx, dir));
            continue;
        }
        missing.clear();
        nodes.clear();
        for (const auto& entry : batch) {
            nodes.push_back(volume_.nodes().find(entry->child));
            if (nodes.back() == nullptr) missing.push_back(entry->child);
        }
        if (!missing.empty()) {
            CO_CHECK_OK(co_await volume_.preload(ctx, missing));
            for (std::size_t i = 0; i < batch.size(); ++i) {
                if (nodes[i] == nullptr) nodes[i] = volume_.nodes().find(batch[i]->child);
            }
        }
        for (std::size_t i = 0; i < batch.size(); ++i) {
            cookie = batch[i]->cookie;
            if (nodes[i] == nullptr) continue;  // removed since, or evicted at once: the next look-up tells
            vfs::Attributes attributes;
            {
                std::lock_guard lock(nodes[i]->mutex);
                if (nodes[i]->dead) continue;
                observe(ctx, nodes[i]->pending);
                attributes = nodes[i]->attributes();
            }
            const vfs::DirectoryEntry entry{batch[i]->cookie, batch[i]->name, attributes.id, &attributes};
            if (!visit(entry)) co_return page;
        }
        if (batch.size() < batch_entries) {
            page.end = true;
            co_return page;
        }
    }
}

}  // namespace strata::cluster

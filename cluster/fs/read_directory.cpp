// SPDX-License-Identifier: Apache-2.0
// READDIR: pages in cookie order, with attributes; from memory once the directory is loaded, those of a large one from the metadata.
#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

namespace {
constexpr std::size_t batch_entries = 128;
constexpr std::size_t rows_per_page = 256;
}  // namespace

Task<Result<std::vector<DirectoryEntryPtr>>> ClusterFileSystem::read_page(const Context& ctx, NodePtr dir, std::uint64_t cookie) {
    std::vector<DirectoryEntryPtr> out;
    for (;;) {
        {
            std::lock_guard lock(dir->mutex);
            dir->directory->begin_load();
        }
        auto rows = co_await volume_.meta().entries(ctx, dir->number, cookie, rows_per_page);
        std::lock_guard lock(dir->mutex);
        dir->directory->end_load();
        if (!rows) co_return fail(std::move(rows.error()));
        const bool last = rows->size() < rows_per_page;
        const std::uint64_t up_to = last ? UINT64_MAX : rows->back().cookie;
        dir->directory->merge(*rows, cookie, up_to, out);
        if (last || !out.empty()) co_return out;
        cookie = up_to;  // all of them were removed
    }
}

Task<Result<vfs::DirectoryPage>> ClusterFileSystem::read_directory(const Context& ctx, vfs::FileId id, std::uint64_t cookie,
                                                                   const vfs::DirectoryVisitor& visit) {
    CO_TRY(dir, co_await directory(ctx, id));
    vfs::DirectoryPage page;
    std::vector<DirectoryEntryPtr> batch;
    std::vector<InodeNumber> numbers;
    for (;;) {
        batch.clear();
        bool complete = false, large = false;
        {
            std::lock_guard lock(dir->mutex);
            if (dir->removed) co_return fail(Errc::stale);
            if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::list_directory)) co_return fail(Errc::access);
            complete = dir->directory->complete();
            large = dir->directory->large();
            page.change = dir->row.change;
            observe(ctx, dir->pending);
            if (complete) dir->directory->page(cookie, batch_entries, batch);
        }
        if (!complete && !large) {
            CO_CHECK_OK(co_await load_all(ctx, dir));
            continue;
        }
        if (!complete) {
            CO_TRY(read, co_await read_page(ctx, dir, cookie));
            batch = std::move(read);
        }
        numbers.clear();
        for (const auto& entry : batch) numbers.push_back(entry->child);
        CO_TRY(nodes, co_await volume_.preload(ctx, numbers));
        for (std::size_t i = 0; i < batch.size(); ++i) {
            cookie = batch[i]->cookie;
            if (nodes[i] == nullptr) continue;  // removed since
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
        if (complete ? batch.size() < batch_entries : batch.empty()) {
            page.end = true;
            co_return page;
        }
    }
}

}  // namespace strata::cluster

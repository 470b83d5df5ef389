// SPDX-License-Identifier: Apache-2.0
// Finding objects: nodes, names, parents, and what else only looks.
#include <algorithm>

#include <fmt/format.h>

#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"
#include "server/vfs/utf8.h"

namespace strata::cluster {

namespace {

constexpr std::size_t load_page = 4096;  // rows a read
constexpr std::size_t probe_page = 16;   // the first may have been removed already

}  // namespace

Result<> check_name(std::string_view name) {
    if (name.size() > vfs::name_size_max) return fail(Errc::name_too_long);
    if (name.empty() || name == "." || name == "..") return fail(Errc::bad_name);
    if (name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos) return fail(Errc::bad_name);
    if (!vfs::is_utf8(name)) return fail(Errc::bad_name);
    return {};
}

vfs::FileId ClusterFileSystem::root() const { return {root_inode, 1}; }

Task<Result<NodePtr>> ClusterFileSystem::directory(const Context& ctx, vfs::FileId dir) {
    NodePtr node = volume_.find(dir);
    if (node == nullptr) {
        CO_TRY(loaded, co_await volume_.node(ctx, dir));
        node = std::move(loaded);
    }
    if (node->type == vfs::FileType::symlink) co_return fail(Errc::is_symlink);
    if (node->type != vfs::FileType::directory) co_return fail(Errc::not_directory);
    co_return std::move(node);
}

Task<Result<NodePtr>> ClusterFileSystem::regular(const Context& ctx, vfs::FileId file) {
    NodePtr node = volume_.find(file);
    if (node == nullptr) {
        CO_TRY(loaded, co_await volume_.node(ctx, file));
        node = std::move(loaded);
    }
    if (node->type == vfs::FileType::directory) co_return fail(Errc::is_directory);
    if (node->type == vfs::FileType::symlink) co_return fail(Errc::is_symlink);
    if (node->type != vfs::FileType::regular) co_return fail(Errc::wrong_type);
    co_return std::move(node);
}

Task<Result<>> ClusterFileSystem::load_name(const Context& ctx, NodePtr dir, std::string name) {
    {
        std::lock_guard lock(dir->mutex);
        dir->directory->begin_load();
    }
    auto row = co_await volume_.meta().entry(ctx, dir->number, name);
    std::lock_guard lock(dir->mutex);
    dir->directory->end_load();
    if (!row) co_return fail(std::move(row.error()));
    if (*row) {
        dir->directory->loaded(**row);
    } else {
        dir->directory->loaded_absence(name);
    }
    dir->directory->trim(volume_.meta().applied());
    volume_.nodes().weigh(*dir);
    co_return Result<>{};
}

Task<Result<>> ClusterFileSystem::load_until(const Context& ctx, NodePtr dir, std::size_t page, std::function<bool(Directory&)> enough) {
    {
        std::lock_guard lock(dir->mutex);
        if (dir->directory->complete()) co_return Result<>{};
        dir->directory->begin_load();
    }
    Result<> outcome;
    for (std::uint64_t after = 0;;) {
        auto rows = co_await volume_.meta().entries(ctx, dir->number, after, page);
        std::lock_guard lock(dir->mutex);
        if (!rows) {
            outcome = fail(std::move(rows.error()));
            break;
        }
        for (const auto& row : *rows) dir->directory->loaded(row);
        if (rows->size() < page) {
            dir->directory->set_complete();
            break;
        }
        if (enough(*dir->directory)) break;
        after = rows->back().cookie;
    }
    std::lock_guard lock(dir->mutex);
    dir->directory->end_load();
    dir->directory->trim(volume_.meta().applied());
    volume_.nodes().weigh(*dir);
    co_return outcome;
}

Task<Result<>> ClusterFileSystem::load_all(const Context& ctx, NodePtr dir) {
    const std::size_t most = volume_.config().directory_entries_max;
    co_return co_await load_until(ctx, std::move(dir), std::min(load_page, most), [most](Directory& directory) {
        if (directory.size() < most) return false;
        directory.set_large();
        return true;
    });
}

Task<Result<>> ClusterFileSystem::load_any(const Context& ctx, NodePtr dir) {
    {
        std::lock_guard lock(dir->mutex);
        if (!dir->directory->empty()) co_return Result<>{};
    }
    co_return co_await load_until(ctx, std::move(dir), probe_page, [](Directory& directory) { return !directory.empty(); });
}

Task<Result<ClusterFileSystem::Target>> ClusterFileSystem::resolve(const Context& ctx, const NodePtr& dir, std::string_view name) {
    for (;;) {
        Directory::Found found;
        {
            std::lock_guard lock(dir->mutex);
            if (dir->removed) co_return fail(Errc::stale);
            found = dir->directory->find(name);
            if (found.answer == Directory::Answer::absent) observe(ctx, found.pending != 0 ? found.pending : dir->pending);
        }
        if (found.answer == Directory::Answer::absent) co_return Target{};
        if (found.answer == Directory::Answer::unknown) {
            CO_CHECK_OK(co_await load_name(ctx, dir, std::string(name)));
            continue;
        }
        observe(ctx, found.entry->pending);
        NodePtr child = volume_.nodes().find(found.entry->child);
        if (child == nullptr) {
            auto loaded = co_await volume_.node_of(ctx, found.entry->child);
            if (!loaded && loaded.error() == Errc::stale) {
                // The entry went away while we loaded its child; anything else would be a broken volume.
                std::lock_guard lock(dir->mutex);
                if (still(*dir, name, found.entry))
                    co_return fail(Errc::corrupt, fmt::format("entry \"{}\" names inode {}, which is not there", name, found.entry->child));
                continue;
            }
            if (!loaded) co_return fail(std::move(loaded.error()));
            child = std::move(*loaded);
        }
        co_return Target{std::move(child), std::move(found.entry)};
    }
}

bool ClusterFileSystem::still(const Node& dir, std::string_view name, const DirectoryEntryPtr& entry) {
    const auto found = dir.directory->find(name);
    if (entry == nullptr) return found.answer == Directory::Answer::absent;
    return found.answer == Directory::Answer::present && found.entry == entry;
}

Task<Result<vfs::Entry>> ClusterFileSystem::lookup(const Context& ctx, vfs::FileId id, std::string_view name) {
    CO_CHECK_OK(check_name(name));
    CO_TRY(dir, co_await directory(ctx, id));
    {
        std::lock_guard lock(dir->mutex);
        if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::traverse)) co_return fail(Errc::access);
    }
    CO_TRY(target, co_await resolve(ctx, dir, name));
    if (target.node == nullptr) co_return fail(Errc::not_found);
    std::lock_guard lock(target.node->mutex);
    observe(ctx, target.node->pending);
    co_return vfs::Entry{{target.node->number, target.node->generation}, target.node->attributes()};
}

Task<Result<vfs::Entry>> ClusterFileSystem::lookup_parent(const Context& ctx, vfs::FileId id) {
    CO_TRY(dir, co_await directory(ctx, id));
    InodeNumber number = 0;
    {
        std::lock_guard lock(dir->mutex);
        if (dir->removed) co_return fail(Errc::stale);
        if (!vfs::evaluate(dir->attributes(), *ctx.caller, vfs::access::traverse)) co_return fail(Errc::access);
        number = dir->row.parent;
        observe(ctx, dir->pending);
    }
    if (number == 0) co_return fail(Errc::not_found);
    CO_TRY(parent, co_await volume_.node_of(ctx, number));
    std::lock_guard lock(parent->mutex);
    observe(ctx, parent->pending);
    co_return vfs::Entry{{parent->number, parent->generation}, parent->attributes()};
}

Task<Result<std::string>> ClusterFileSystem::read_link(const Context& ctx, vfs::FileId file) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    if (node->type == vfs::FileType::directory) co_return fail(Errc::is_directory);
    if (node->type != vfs::FileType::symlink) co_return fail(Errc::invalid_argument);
    std::lock_guard lock(node->mutex);
    observe(ctx, node->pending);
    co_return node->row.symlink;
}

Task<Result<vfs::AccessMask>> ClusterFileSystem::check_access(const Context& ctx, vfs::FileId file, vfs::AccessMask wanted) {
    NodePtr node = volume_.find(file);
    if (node == nullptr) {
        CO_TRY(loaded, co_await volume_.node(ctx, file));
        node = std::move(loaded);
    }
    std::lock_guard lock(node->mutex);
    if (node->dead) co_return fail(Errc::stale);
    observe(ctx, node->pending);
    co_return vfs::evaluate(node->attributes(), *ctx.caller, wanted);
}

Task<Result<vfs::Attributes>> ClusterFileSystem::get_attributes(const Context& ctx, vfs::FileId file) {
    NodePtr node = volume_.find(file);
    if (node == nullptr) {
        CO_TRY(loaded, co_await volume_.node(ctx, file));
        node = std::move(loaded);
    }
    std::lock_guard lock(node->mutex);
    if (node->dead) co_return fail(Errc::stale);
    observe(ctx, node->pending);
    co_return node->attributes();
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// User attributes: NFS xattrs (RFC 8276) and SMB EAs are the same rows.
#include "cluster/fs/cluster_file_system.h"
#include "server/vfs/acl.h"

namespace strata::cluster {

namespace {
constexpr std::size_t xattrs_max = 1024;          // names of one file
constexpr std::size_t xattr_bytes_max = 1 << 20;  // names and values of one file
}  // namespace

Task<Result<>> ClusterFileSystem::load_xattrs(const Context& ctx, const NodePtr& node) {
    {
        std::lock_guard lock(node->mutex);
        if (node->dead) co_return fail(Errc::stale);
        if (node->xattrs) co_return Result<>{};
        if (!node->row.has_xattrs) {
            node->xattrs.emplace();
            co_return Result<>{};
        }
    }
    CO_TRY(rows, co_await volume_.meta().xattrs(ctx, node->number));
    std::lock_guard lock(node->mutex);
    if (node->xattrs) co_return Result<>{};
    node->xattrs.emplace();
    for (auto& row : rows) node->xattrs->emplace(std::move(row.name), std::move(row.value));
    volume_.nodes().weigh(*node);
    co_return Result<>{};
}

Task<Result<std::string>> ClusterFileSystem::get_xattr(const Context& ctx, vfs::FileId file, std::string_view name) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    CO_CHECK_OK(co_await load_xattrs(ctx, node));
    std::lock_guard lock(node->mutex);
    if (!vfs::evaluate(node->attributes(), *ctx.caller, vfs::access::read_data)) co_return fail(Errc::access);
    observe(ctx, node->pending);
    auto it = node->xattrs->find(std::string(name));
    if (it == node->xattrs->end()) co_return fail(Errc::no_xattr);
    co_return it->second;
}

Task<Result<vfs::ChangeInfo>> ClusterFileSystem::set_xattr(const Context& ctx, vfs::FileId file, std::string_view name,
                                                           std::string_view value, XattrMode mode) {
    if (name.empty()) co_return fail(Errc::invalid_argument);
    if (name.size() > vfs::name_size_max) co_return fail(Errc::name_too_long);
    if (value.size() > vfs::xattr_size_max) co_return fail(Errc::too_big);
    CO_TRY(node, co_await volume_.node(ctx, file));
    CO_CHECK_OK(co_await volume_.meta().admit(ctx));
    CO_CHECK_OK(co_await load_xattrs(ctx, node));
    std::lock_guard lock(node->mutex);
    if (node->dead) co_return fail(Errc::stale);
    if (!vfs::evaluate(node->attributes(), *ctx.caller, vfs::access::write_data)) co_return fail(Errc::access);
    auto& xattrs = *node->xattrs;
    const std::string key(name);
    const bool there = xattrs.contains(key);
    if (there && mode == XattrMode::create) co_return fail(Errc::exists);
    if (!there && mode == XattrMode::replace) co_return fail(Errc::no_xattr);
    std::size_t bytes = key.size() + value.size();
    for (const auto& [n, v] : xattrs) bytes += n == key ? 0 : n.size() + v.size();
    if (bytes > xattr_bytes_max || (!there && xattrs.size() >= xattrs_max)) co_return fail(Errc::no_space);
    xattrs[key] = value;
    node->row.has_xattrs = true;
    vfs::ChangeInfo change{node->row.change, 0};
    volume_.touch(*node);
    change.after = node->row.change;
    observe(ctx, volume_.submit({PutXattr{{node->number, key, std::string(value)}}}, {node.get()}));
    co_return change;
}

Task<Result<vfs::ChangeInfo>> ClusterFileSystem::remove_xattr(const Context& ctx, vfs::FileId file, std::string_view name) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    CO_CHECK_OK(co_await volume_.meta().admit(ctx));
    CO_CHECK_OK(co_await load_xattrs(ctx, node));
    std::lock_guard lock(node->mutex);
    if (node->dead) co_return fail(Errc::stale);
    if (!vfs::evaluate(node->attributes(), *ctx.caller, vfs::access::write_data)) co_return fail(Errc::access);
    const std::string key(name);
    if (node->xattrs->erase(key) == 0) co_return fail(Errc::no_xattr);
    node->row.has_xattrs = !node->xattrs->empty();
    vfs::ChangeInfo change{node->row.change, 0};
    volume_.touch(*node);
    change.after = node->row.change;
    observe(ctx, volume_.submit({DeleteXattr{{node->number, key}}}, {node.get()}));
    co_return change;
}

Task<Result<std::vector<std::string>>> ClusterFileSystem::list_xattrs(const Context& ctx, vfs::FileId file) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    CO_CHECK_OK(co_await load_xattrs(ctx, node));
    std::lock_guard lock(node->mutex);
    observe(ctx, node->pending);
    std::vector<std::string> names;
    for (const auto& [name, value] : *node->xattrs) names.push_back(name);
    co_return names;
}

}  // namespace strata::cluster

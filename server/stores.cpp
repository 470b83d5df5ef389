// SPDX-License-Identifier: Apache-2.0
// Opening this node's chunk stores.
#include "server/stores.h"

#include <algorithm>

#include <fmt/format.h>

namespace strata {

namespace {

using cluster::SegmentChunkStore;
using cluster::SegmentStoreConfig;

struct OpenFolder {
    std::shared_ptr<Disk> disk;
    Result<cluster::StoreIdentity> identity = fail(Errc::store_missing);
    bool empty = false;
};

// Blocks. Errors: io, access.
Result<OpenFolder> look_at(const OpenDisk& open_disk, const std::string& folder, bool create) {
    OpenFolder out;
    TRY(disk, open_disk(folder, create));
    out.disk = std::move(disk);
    out.identity = cluster::read_identity(*out.disk);
    TRY(names, out.disk->list(""));
    std::erase(names, "lost+found");
    out.empty = names.empty();
    return out;
}

Task<OpenedStore> open_one(const Runtime& runtime, std::string folder, const cluster::Uuid& identity, std::shared_ptr<Disk> disk,
                           SegmentStoreConfig config) {
    OpenedStore out;
    out.folder = std::move(folder);
    out.identity = identity;
    out.disk = disk;
    auto store = co_await SegmentChunkStore::open(runtime, std::move(disk), config);
    if (store) {
        out.store = std::move(*store);
        out.state = out.store->state();
    } else {
        out.state = store.error() == Errc::store_missing ? cluster::StoreState::missing : cluster::StoreState::failed;
        out.why = std::move(store.error());
    }
    co_return out;
}

// A store that this node had before.
Task<OpenedStore> open_known(const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking, const NodeFile::Store& known,
                             SegmentStoreConfig config) {
    OpenedStore missing;
    missing.folder = known.folder;
    missing.identity = known.identity;
    auto looked = co_await blocking.run([&] { return look_at(open_disk, known.folder, false); });
    if (!looked) {
        missing.why = Error(Errc::store_missing, fmt::format("{}: {}", known.folder, looked.error().detail));
        co_return missing;
    }
    if (!looked->identity) {
        missing.why =
            Error(looked->identity.error().code,
                  fmt::format("{}: holds no store (is its disk mounted?); to give an empty folder in its place: stratad disk replace",
                              known.folder));
        co_return missing;
    }
    if (looked->identity->uuid != known.identity) {
        missing.why =
            Error(Errc::store_missing, fmt::format("{}: holds another store than before ({} instead of {})", known.folder,
                                                   cluster::to_string(looked->identity->uuid), cluster::to_string(known.identity)));
        co_return missing;
    }
    co_return co_await open_one(runtime, known.folder, known.identity, std::move(looked->disk), config);
}

}  // namespace

Task<Result<OpenedStore>> make_store(const Context&, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                     const cluster::Uuid& cluster_uuid, const std::string& folder, SegmentStoreConfig config) {
    auto looked = co_await blocking.run([&] { return look_at(open_disk, folder, true); });
    if (!looked) co_return fail(Errc::config, fmt::format("store {}: {}", folder, looked.error().detail));
    cluster::StoreIdentity identity;
    const bool fresh = !looked->identity;
    if (looked->identity) {
        identity = *looked->identity;
        if (identity.cluster != cluster_uuid) co_return fail(Errc::config, fmt::format("store {}: belongs to another cluster", folder));
    } else if (looked->identity.error() != Errc::store_missing) {
        co_return fail(Errc::config, fmt::format("store {}: {}", folder, to_string(looked->identity.error())));
    } else if (!looked->empty) {
        co_return fail(Errc::config, fmt::format("store {}: the folder is neither empty nor a store; give an empty one", folder));
    } else {
        auto made = co_await blocking.run([&] { return cluster::format_store(*looked->disk, cluster_uuid, *runtime.random); });
        if (!made) co_return fail(made.error().code, fmt::format("store {}: {}", folder, made.error().detail));
        identity = *made;
    }
    OpenedStore opened = co_await open_one(runtime, folder, identity.uuid, std::move(looked->disk), config);
    if (!opened.store) co_return fail(std::move(*opened.why));
    opened.fresh = fresh;
    co_return opened;
}

Task<Result<std::vector<OpenedStore>>> open_stores(const Context& ctx, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                                   NodeFile& node, std::vector<std::string> folders, SegmentStoreConfig config) {
    std::vector<OpenedStore> opened;
    for (const auto& known : node.stores) {
        opened.push_back(co_await open_known(runtime, open_disk, blocking, known, config));
        std::erase(folders, known.folder);
    }
    for (const auto& folder : folders) {
        CO_TRY(made, co_await make_store(ctx, runtime, open_disk, blocking, node.cluster, folder, config));
        const bool twice = std::ranges::any_of(opened, [&](const OpenedStore& o) { return o.identity == made.identity && o.store; });
        if (twice) co_return fail(Errc::config, fmt::format("store {}: the same store is given under two folders", folder));
        // A known store that moved to another folder replaces its old entry.
        std::erase_if(opened, [&](const OpenedStore& o) { return o.identity == made.identity; });
        std::erase_if(node.stores, [&](const NodeFile::Store& s) { return s.identity == made.identity; });
        node.stores.push_back({made.identity, folder});
        opened.push_back(std::move(made));
    }
    co_return opened;
}

}  // namespace strata

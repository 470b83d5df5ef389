// SPDX-License-Identifier: Apache-2.0
// Opening this node's chunk stores.
#include "server/stores.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "cluster/chunk/segment_files.h"
#include "cluster/chunk/store_identity.h"
#include "cluster/stripe/in_parallel.h"

namespace strata {

namespace {

using cluster::SegmentChunkStore;
using cluster::SegmentStoreConfig;
using cluster::StoreState;

struct OpenFolder {
    std::shared_ptr<Disk> disk;
    Result<cluster::StoreIdentity> identity = fail(Errc::store_missing);
    bool empty = false;  // or as a crash left it while it was made a store: nothing of anybody is lost
};

Result<bool> is_empty(Disk& disk) {
    TRY(names, disk.list(""));
    for (const auto& name : names) {
        if (name == "lost+found" || name == std::string(cluster::identity_path) + ".new") continue;
        if (name != cluster::segment_folder) return false;
        TRY(segments, disk.list(name));
        if (!segments.empty()) return false;
    }
    return true;
}

// Blocks. Errors: those of opening the folder and of listing it.
Result<OpenFolder> look_at(const OpenDisk& open_disk, const std::string& folder, bool create) {
    OpenFolder out;
    TRY(disk, open_disk(folder, create));
    out.disk = std::move(disk);
    out.identity = cluster::read_identity(*out.disk);
    if (out.identity) return out;
    TRY(empty, is_empty(*out.disk));
    out.empty = empty;
    return out;
}

std::string text_of(const Error& error) { return error.detail.empty() ? std::string(to_string(error.code)) : error.detail; }

Error about(const std::string& folder, Errc code, std::string_view what) { return {code, fmt::format("store {}: {}", folder, what)}; }

// A folder that is not there, or is no store, may be a disk that is not mounted. All else is a disk that does not work.
StoreState state_for(const Error& error) {
    const bool absent = error == Errc::store_missing || error == Errc::not_found || error == Errc::not_directory;
    return absent ? StoreState::missing : StoreState::failed;
}

Task<OpenedStore> open_one(const Runtime& runtime, std::string folder, const cluster::Uuid& identity, std::shared_ptr<Disk> disk,
                           SegmentStoreConfig config) {
    OpenedStore out;
    out.folder = std::move(folder);
    out.identity = identity;
    out.disk = disk;
    auto store = co_await SegmentChunkStore::open(runtime, std::move(disk), config);
    if (store) {
        out.upkeep_reserve = (*store)->upkeep_reserve();
        out.store = std::move(*store);
        out.state = out.store->state();
    } else {
        out.state = state_for(store.error());
        out.why = about(out.folder, store.error().code, text_of(store.error()));
    }
    co_return out;
}

OpenedStore not_opened(const NodeFile::Store& known, StoreState state, Errc code, std::string_view why) {
    OpenedStore out;
    out.folder = known.folder;
    out.identity = known.identity;
    out.state = state;
    out.why = about(known.folder, code, why);
    return out;
}

// A store that this node had before.
Task<OpenedStore> open_known(const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking, const cluster::Uuid& cluster_uuid,
                             const NodeFile::Store& known, SegmentStoreConfig config) {
    auto looked = co_await blocking.run([&] { return look_at(open_disk, known.folder, false); });
    if (!looked) co_return not_opened(known, state_for(looked.error()), looked.error().code, text_of(looked.error()));
    const auto& identity = looked->identity;
    if (!identity && identity.error() == Errc::store_missing) {
        co_return not_opened(known, StoreState::missing, Errc::store_missing,
                             "holds no store (is its disk mounted?); to give an empty folder in its place: stratad disk replace");
    }
    if (!identity) co_return not_opened(known, StoreState::failed, identity.error().code, text_of(identity.error()));
    if (identity->uuid != known.identity) {
        co_return not_opened(known, StoreState::missing, Errc::store_missing,
                             fmt::format("holds another store than before ({} instead of {})", cluster::to_string(identity->uuid),
                                         cluster::to_string(known.identity)));
    }
    if (identity->cluster != cluster_uuid)
        co_return not_opened(known, StoreState::missing, Errc::store_missing, "belongs to another cluster");
    co_return co_await open_one(runtime, known.folder, known.identity, std::move(looked->disk), config);
}

Task<> close_all(const std::vector<OpenedStore>& opened) {
    for (const auto& store : opened) {
        if (store.store) co_await store.store->close();
    }
}

// Puts a store that a folder of the command line holds in the place of what is known of it. Errors: config (it is open already).
Result<> place(OpenedStore& made, NodeFile& node, std::vector<OpenedStore>& opened) {
    const auto same = std::ranges::find(opened, made.identity, &OpenedStore::identity);
    if (same != opened.end() && same->store != nullptr) {
        return fail(
            about(made.folder, Errc::config, fmt::format("is the store that {} holds too: one folder of the two is enough", same->folder)));
    }
    std::erase_if(node.stores, [&](const NodeFile::Store& s) { return s.identity == made.identity; });
    node.stores.push_back({made.identity, made.folder});
    if (same != opened.end()) {
        *same = std::move(made);
    } else {
        opened.push_back(std::move(made));
    }
    return {};
}

}  // namespace

Result<std::optional<cluster::Uuid>> cluster_of_stores(const OpenDisk& open_disk, const std::vector<std::string>& folders) {
    std::optional<cluster::Uuid> found;
    std::string found_in;
    for (const auto& folder : folders) {
        const auto disk = open_disk(folder, false);
        if (!disk) continue;
        const auto identity = cluster::read_identity(**disk);
        if (!identity || identity->cluster == found) continue;
        if (found) return fail(Errc::config, fmt::format("the stores {} and {} belong to different clusters", found_in, folder));
        found = identity->cluster;
        found_in = folder;
    }
    return found;
}

Task<Result<OpenedStore>> make_store(const Context&, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                     const cluster::Uuid& cluster_uuid, const std::string& folder, SegmentStoreConfig config) {
    auto looked = co_await blocking.run([&] { return look_at(open_disk, folder, true); });
    if (!looked) co_return fail(about(folder, looked.error().code, text_of(looked.error())));
    const bool fresh = !looked->identity;
    auto identity = std::move(looked->identity);
    if (fresh && identity.error() != Errc::store_missing) co_return fail(about(folder, identity.error().code, text_of(identity.error())));
    if (fresh && !looked->empty) {
        co_return fail(about(folder, Errc::config, "the folder is neither empty nor a store; give an empty one"));
    }
    if (fresh) {
        identity = co_await blocking.run([&] { return cluster::format_store(*looked->disk, cluster_uuid, *runtime.random); });
        if (!identity) co_return fail(about(folder, identity.error().code, text_of(identity.error())));
    }
    if (identity->cluster != cluster_uuid) co_return fail(about(folder, Errc::config, "belongs to another cluster"));
    OpenedStore opened = co_await open_one(runtime, folder, identity->uuid, std::move(looked->disk), config);
    if (!opened.store) co_return fail(std::move(*opened.why));
    opened.fresh = fresh;
    co_return opened;
}

Task<Result<std::vector<OpenedStore>>> open_stores(const Context& ctx, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                                   NodeFile& node, std::vector<std::string> folders, SegmentStoreConfig config) {
    std::vector<OpenedStore> opened;
    NodeFile changed = node;
    std::vector<Task<OpenedStore>> openings;  // side by side: each reads its own disk
    for (const auto& known : node.stores) {
        openings.push_back(open_known(runtime, open_disk, blocking, node.cluster, known, config));
        std::erase(folders, known.folder);
    }
    if (!openings.empty()) opened = co_await cluster::in_parallel(std::move(openings));
    for (const auto& folder : folders) {
        auto made = co_await make_store(ctx, runtime, open_disk, blocking, node.cluster, folder, config);
        Result<> placed;
        if (!made) {
            placed = fail(std::move(made.error()));
        } else if (placed = place(*made, changed, opened); !placed) {
            co_await made->store->close();
        }
        if (!placed) {
            co_await close_all(opened);
            co_return fail(std::move(placed.error()));
        }
    }
    node = std::move(changed);
    co_return opened;
}

}  // namespace strata

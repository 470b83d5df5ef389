// SPDX-License-Identifier: Apache-2.0
// Opening this node's chunk stores: which folders, which of them are new, which are missing.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/chunk/segment_chunk_store.h"
#include "server/base/context.h"
#include "server/base/runtime.h"
#include "server/node_file.h"

namespace strata {

// The way to a folder: open_system_disk, or the simulator's.
using OpenDisk = std::function<Result<std::unique_ptr<Disk>>(const std::string& folder, bool create)>;

struct OpenedStore {
    std::string folder;
    cluster::Uuid identity{};
    std::shared_ptr<Disk> disk;                  // null if missing
    std::shared_ptr<cluster::ChunkStore> store;  // null if missing or failed
    cluster::StoreState state = cluster::StoreState::missing;
    std::optional<Error> why;  // it is not online
    bool fresh = false;        // made just now
};

// Opens the stores that `node` remembers and those of `folders` that it does not know yet; remembers the new ones in `node` (the caller
// saves it). A folder that `node` knows and that has no identity is a missing store, perhaps not mounted, and never made anew; an unknown
// folder is made a store if it is empty or absent, and taken over if it is a store of this cluster.
// Errors: config (another cluster's store, or a folder that is neither empty nor a store), naming the folder.
Task<Result<std::vector<OpenedStore>>> open_stores(const Context& ctx, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                                   NodeFile& node, std::vector<std::string> folders, cluster::SegmentStoreConfig config);

// Makes `folder` a new store of the cluster and opens it. Errors: exists, config, io.
Task<Result<OpenedStore>> make_store(const Context& ctx, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                     const cluster::Uuid& cluster, const std::string& folder, cluster::SegmentStoreConfig config);

}  // namespace strata

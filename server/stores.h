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
    std::optional<Error> why;          // it is not online
    bool fresh = false;                // made just now
    std::uint64_t upkeep_reserve = 0;  // see SegmentChunkStore
};

// The cluster that the stores among `folders` belong to: with it a data folder that was lost, or that the first start did not live to
// write, is made anew. nullopt: none of them is a store. Blocks. Errors: config (they belong to different clusters; names both).
Result<std::optional<cluster::Uuid>> cluster_of_stores(const OpenDisk& open_disk, const std::vector<std::string>& folders);

// Opens the stores that `node` remembers and those of `folders` that it does not know yet; remembers the new ones in `node` (the caller
// saves it). A folder that `node` knows and that has no identity is a missing store, perhaps not mounted, and never made anew; an unknown
// folder is made a store if it is empty or absent, and taken over if it is a store of this cluster. A known store found in another of
// `folders` has moved. One that cannot be read is `failed`, with `why`; the others serve.
// Errors: config (another cluster's store, a folder that is neither empty nor a store, or the same store twice), naming the folder;
// whatever else keeps a new folder from becoming a store (busy, access, no_space, io). No store is left open then.
Task<Result<std::vector<OpenedStore>>> open_stores(const Context& ctx, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                                   NodeFile& node, std::vector<std::string> folders, cluster::SegmentStoreConfig config);

// Makes `folder` a store of the cluster, unless it is one, and opens it. Errors: as for a new folder above.
Task<Result<OpenedStore>> make_store(const Context& ctx, const Runtime& runtime, const OpenDisk& open_disk, Pool& blocking,
                                     const cluster::Uuid& cluster, const std::string& folder, cluster::SegmentStoreConfig config);

}  // namespace strata

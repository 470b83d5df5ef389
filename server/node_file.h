// SPDX-License-Identifier: Apache-2.0
// NodeFile: DATA/node.json: which stores this node had when it last ran. A convenience, not the truth: each store knows its own identity
// and cluster, and metadata know each store's number, so a lost data folder is rebuilt from the stores named on the command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/chunk/chunk_store.h"
#include "server/base/disk.h"
#include "server/base/result.h"

namespace strata {

struct NodeFile {
    struct Store {
        cluster::Uuid identity{};
        std::string folder;  // absolute
    };
    cluster::Uuid cluster{};
    std::vector<Store> stores;
    std::string policy;  // as metadata have it, for knowing how many copies of the metadata to expect; empty: not known

    static constexpr const char* path = "node.json";
    // nullopt: a new data folder. Errors: corrupt (with what to do), bad_version, io.
    static Result<std::optional<NodeFile>> load(Disk& data);
    // Durable on return; after a crash the old or the new content is there. Errors: no_space, io.
    Result<> save(Disk& data) const;
};

}  // namespace strata

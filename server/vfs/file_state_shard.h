// SPDX-License-Identifier: Apache-2.0
// The inside of FileStateTable: one file's state, and the shards that hold them.
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "server/vfs/file_state.h"

namespace strata::vfs {

struct HeldGrant {
    Grant grant;
    GrantHolder* to = nullptr;
};

struct FileState {
    std::vector<const Open*> opens;
    std::vector<Lock> locks;
    std::vector<HeldGrant> grants;

    bool empty() const { return opens.empty() && locks.empty() && grants.empty(); }
};

constexpr std::size_t shard_count = 64;

struct alignas(64) FileStateTable::Shard {
    std::mutex mutex;
    std::unordered_map<FileId, FileState> files;

    void drop_if_empty(std::unordered_map<FileId, FileState>::iterator it) {
        if (it->second.empty()) files.erase(it);
    }
};

}  // namespace strata::vfs

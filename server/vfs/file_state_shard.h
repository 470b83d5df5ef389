// SPDX-License-Identifier: Apache-2.0
// The inside of FileStateTable: one file's state, and the shards that hold them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "server/vfs/file_state.h"

namespace strata::vfs {

struct HeldGrant {
    Grant grant;
    GrantHolder* to = nullptr;
};

// How many opens of a file have each bit of vfs::share.
struct ShareCounts {
    std::array<std::uint32_t, 3> bits{};

    void add(std::uint8_t mask) {
        for (std::size_t i = 0; i < bits.size(); ++i) bits[i] += (mask >> i) & 1u;
    }
    void take(std::uint8_t mask) {
        for (std::size_t i = 0; i < bits.size(); ++i) bits[i] -= (mask >> i) & 1u;
    }
    bool any(std::uint8_t mask) const {
        for (std::size_t i = 0; i < bits.size(); ++i) {
            if (((mask >> i) & 1u) != 0 && bits[i] != 0) return true;
        }
        return false;
    }
};

struct FileState {
    std::vector<Open*> opens;
    ShareCounts accesses, denies;  // of `opens`
    std::vector<Lock> locks;       // one owner's do not overlap
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

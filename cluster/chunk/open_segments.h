// SPDX-License-Identifier: Apache-2.0
// OpenSegments: the open files of a store's sealed segments, the last used ones: descriptors must not bound what a store can hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "server/base/disk.h"

namespace strata::cluster {

// Any thread.
class OpenSegments {
public:
    // `disk` outlives this. A file that is being read stays open, whatever happens here.
    OpenSegments(Disk& disk, std::size_t open_max) : disk_(disk), open_max_(open_max) {}

    // Blocks. Errors: not_found (the segment is gone), too_many, io.
    Result<std::shared_ptr<File>> open(std::uint32_t sequence);
    // The segment was removed.
    void forget(std::uint32_t sequence);

private:
    using Used = std::list<std::pair<std::uint32_t, std::shared_ptr<File>>>;  // the newest first
    void shrink_to(std::size_t count);                                        // mutex held

    Disk& disk_;
    const std::size_t open_max_;
    std::mutex mutex_;
    Used used_;
    std::map<std::uint32_t, Used::iterator> by_sequence_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The least recently used file is closed first.
#include "cluster/chunk/open_segments.h"

#include <utility>

#include "cluster/chunk/segment_files.h"

namespace strata::cluster {

Result<std::shared_ptr<File>> OpenSegments::open(std::uint32_t sequence) {
    {
        std::lock_guard lock(mutex_);
        if (const auto known = by_sequence_.find(sequence); known != by_sequence_.end()) {
            used_.splice(used_.begin(), used_, known->second);
            return known->second->second;
        }
    }
    auto opened = disk_.open(segment_path(sequence), OpenMode::read);
    if (!opened && opened.error() == Errc::too_many) {
        {
            std::lock_guard lock(mutex_);
            shrink_to(used_.size() / 2);
        }
        opened = disk_.open(segment_path(sequence), OpenMode::read);
    }
    if (!opened) return fail(std::move(opened.error()));
    std::shared_ptr<File> file = std::move(*opened);
    std::lock_guard lock(mutex_);
    if (by_sequence_.contains(sequence)) return file;  // another thread was faster
    shrink_to(open_max_ - 1);
    used_.emplace_front(sequence, file);
    by_sequence_[sequence] = used_.begin();
    return file;
}

void OpenSegments::forget(std::uint32_t sequence) {
    std::lock_guard lock(mutex_);
    const auto known = by_sequence_.find(sequence);
    if (known == by_sequence_.end()) return;
    used_.erase(known->second);
    by_sequence_.erase(known);
}

void OpenSegments::shrink_to(std::size_t count) {
    while (used_.size() > count) {
        by_sequence_.erase(used_.back().first);
        used_.pop_back();
    }
}

}  // namespace strata::cluster

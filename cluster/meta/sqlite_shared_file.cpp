// SPDX-License-Identifier: Apache-2.0
// Locks and shared memory of a database file within one process (sqlite.org/lockingv3.html, sqlite.org/walformat.html section 2).
#include "cluster/meta/sqlite_shared_file.h"

#include <sqlite3.h>

#include "server/base/assert.h"

namespace strata::cluster {

bool SqliteSharedFile::lock(int& held, int wanted) {
    if (held >= wanted) return true;
    std::lock_guard lock(mutex_);
    if (wanted == SQLITE_LOCK_SHARED) {
        if (pending_ || exclusive_) return false;
        ++shared_;
    } else if (wanted == SQLITE_LOCK_RESERVED) {
        if (reserved_) return false;
        reserved_ = true;
    } else {
        if (held < SQLITE_LOCK_RESERVED && reserved_) return false;
        reserved_ = pending_ = true;  // no new readers from here on
        if (shared_ > 1) {
            held = SQLITE_LOCK_PENDING;
            return false;
        }
        exclusive_ = true;
    }
    held = wanted;
    return true;
}

void SqliteSharedFile::unlock(int& held, int wanted) {
    if (held <= wanted) return;
    std::lock_guard lock(mutex_);
    if (held == SQLITE_LOCK_EXCLUSIVE) exclusive_ = false;
    if (held >= SQLITE_LOCK_PENDING) pending_ = false;
    if (held >= SQLITE_LOCK_RESERVED) reserved_ = false;
    if (wanted == SQLITE_LOCK_NONE && held >= SQLITE_LOCK_SHARED) --shared_;
    held = wanted;
}

bool SqliteSharedFile::reserved() const {
    std::lock_guard lock(mutex_);
    return reserved_ || exclusive_;
}

bool SqliteSharedFile::lock_slots(SlotLocks& held, int first, int count, bool exclusive) {
    STRATA_ASSERT(first >= 0 && count >= 1 && first + count <= slots);
    std::lock_guard lock(mutex_);
    if (!exclusive) {
        const auto bit = static_cast<std::uint16_t>(1u << first);
        if ((held.shared & bit) != 0) return true;
        if (slot_exclusive_[first]) return false;
        ++slot_shared_[first];
        held.shared |= bit;
        return true;
    }
    for (int slot = first; slot < first + count; ++slot) {
        const int own = (held.shared >> slot) & 1;
        if (((held.exclusive >> slot) & 1) == 0 && (slot_exclusive_[slot] || slot_shared_[slot] > own)) return false;
    }
    for (int slot = first; slot < first + count; ++slot) {
        slot_exclusive_[slot] = true;
        held.exclusive |= static_cast<std::uint16_t>(1u << slot);
    }
    return true;
}

void SqliteSharedFile::unlock_slots(SlotLocks& held, int first, int count, bool exclusive) {
    std::lock_guard lock(mutex_);
    for (int slot = first; slot < first + count; ++slot) {
        const auto bit = static_cast<std::uint16_t>(1u << slot);
        if (exclusive && (held.exclusive & bit) != 0) {
            slot_exclusive_[slot] = false;
            held.exclusive &= static_cast<std::uint16_t>(~bit);
        }
        if (!exclusive && (held.shared & bit) != 0) {
            --slot_shared_[slot];
            held.shared &= static_cast<std::uint16_t>(~bit);
        }
    }
}

void* SqliteSharedFile::region(std::size_t number, std::size_t bytes, bool make) {
    std::lock_guard lock(mutex_);
    if (number >= regions_.size() && !make) return nullptr;
    while (regions_.size() <= number) regions_.push_back(std::make_unique<std::byte[]>(bytes));
    return regions_[number].get();
}

void SqliteSharedFile::attach_index() {
    std::lock_guard lock(mutex_);
    ++index_users_;
}

void SqliteSharedFile::detach_index(SlotLocks& held) {
    unlock_slots(held, 0, slots, true);
    unlock_slots(held, 0, slots, false);
    std::lock_guard lock(mutex_);
    if (--index_users_ == 0) regions_.clear();
}

void SqliteSharedFile::set_frame_checksum(std::size_t frame, std::optional<std::uint32_t> crc) {
    std::lock_guard lock(mutex_);
    if (frame >= frames_.size()) {
        if (!crc) return;
        frames_.resize(frame + 1);
    }
    frames_[frame] = crc;
}

std::optional<std::uint32_t> SqliteSharedFile::frame_checksum(std::size_t frame) const {
    std::lock_guard lock(mutex_);
    return frame < frames_.size() ? frames_[frame] : std::nullopt;
}

void SqliteSharedFile::forget_frames_from(std::size_t first) {
    std::lock_guard lock(mutex_);
    if (first < frames_.size()) frames_.resize(first);
}

}  // namespace strata::cluster

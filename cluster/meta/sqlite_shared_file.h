// SPDX-License-Identifier: Apache-2.0
// SqliteSharedFile: what the connections of this process share of one database file: its locks, the WAL index in plain memory, and the
// checksums of the WAL's pages. No other process ever opens the file: the store's folder is ours.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace strata::cluster {

// Any thread.
class SqliteSharedFile {
public:
    // Database locks, by SQLite's levels (SQLITE_LOCK_*). `held` is the caller's level and is changed. False: busy.
    bool lock(int& held, int wanted);
    void unlock(int& held, int wanted);
    bool reserved() const;

    // A connection's share of the WAL index' lock slots.
    struct SlotLocks {
        std::uint16_t shared = 0, exclusive = 0;  // bit per slot
    };
    static constexpr int slots = 8;
    bool lock_slots(SlotLocks& held, int first, int count, bool exclusive);
    void unlock_slots(SlotLocks& held, int first, int count, bool exclusive);
    // Region `number` of the WAL index, zeroed when made; null if it does not exist and `make` is false.
    void* region(std::size_t number, std::size_t bytes, bool make);
    // The index has users; with the last one it is forgotten, as the next opening builds it from the WAL.
    void attach_index();
    void detach_index(SlotLocks& held);

    // CRC-32C of the page in WAL frame `frame`, as this process wrote it; nothing if it did not.
    void set_frame_checksum(std::size_t frame, std::optional<std::uint32_t> crc);
    std::optional<std::uint32_t> frame_checksum(std::size_t frame) const;
    void forget_frames_from(std::size_t first);

private:
    mutable std::mutex mutex_;
    int shared_ = 0;  // connections that hold at least SHARED
    bool reserved_ = false, pending_ = false, exclusive_ = false;
    std::array<int, slots> slot_shared_{};
    std::array<bool, slots> slot_exclusive_{};
    int index_users_ = 0;
    std::vector<std::unique_ptr<std::byte[]>> regions_;
    std::vector<std::optional<std::uint32_t>> frames_;
};

}  // namespace strata::cluster

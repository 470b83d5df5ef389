// SPDX-License-Identifier: Apache-2.0
// Space accounting of one store.
#include "cluster/chunk/store_space.h"

#include <algorithm>

#include "cluster/chunk/segment_format.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t mebibyte = 1u << 20;

std::uint64_t default_segment_bytes(std::uint64_t total) {
    return std::clamp<std::uint64_t>(total / 64, 16 * mebibyte, 256 * mebibyte) / mebibyte * mebibyte;
}

// Both logs twice (one checkpoint may be late, and the database grows by what it brings), and log segments on top.
std::uint64_t default_log_reserve(std::uint64_t total) {
    return std::max(std::clamp<std::uint64_t>(total / 100, 16 * mebibyte, 1024 * mebibyte), 5 * metadata_log_bytes(total));
}

}  // namespace

std::uint64_t metadata_log_bytes(std::uint64_t total) { return std::clamp<std::uint64_t>(total / 128, 4 * mebibyte, 64 * mebibyte); }

Result<> StoreSpaceGauge::refresh() {
    TRY(space, disk_.space());
    disk_total_ = space.total_bytes;
    disk_free_ = space.free_bytes;
    if (segment_bytes_ == 0) {
        const std::uint64_t total = total_bytes();
        const std::uint64_t wanted = config_.segment_bytes != 0 ? config_.segment_bytes : default_segment_bytes(total);
        segment_bytes_ = std::max<std::uint64_t>(wanted / record_block, 16) * record_block;
        log_reserve_ = config_.log_reserve_bytes != 0 ? config_.log_reserve_bytes : default_log_reserve(disk_total_);
    }
    return {};
}

std::uint64_t StoreSpaceGauge::total_bytes() const {
    const std::uint64_t disk = disk_total_;
    return config_.capacity_bytes == 0 ? disk : std::min(disk, config_.capacity_bytes);
}

std::uint64_t StoreSpaceGauge::free_after(std::uint64_t reserve) const {
    std::uint64_t free = disk_free_;
    if (config_.capacity_bytes != 0) {
        const std::uint64_t used = segments_;
        free = std::min(free, config_.capacity_bytes - std::min(config_.capacity_bytes, used));
    }
    return free > reserve ? free - reserve : 0;
}

std::uint64_t StoreSpaceGauge::free_for_puts() const { return free_after(log_reserve_ + upkeep_reserve()); }
std::uint64_t StoreSpaceGauge::free_for_upkeep() const { return free_after(log_reserve_); }

std::uint64_t StoreSpaceGauge::spare_of_reserve(std::uint64_t unused) const {
    const std::uint64_t all = free_for_upkeep() + unused, reserve = upkeep_reserve();
    return std::min(unused, all > reserve ? all - reserve : 0);
}

}  // namespace strata::cluster

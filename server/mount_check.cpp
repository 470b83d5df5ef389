// SPDX-License-Identifier: Apache-2.0
// Mount points by getmntent(3).
#include "server/mount_check.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <mntent.h>

namespace strata {

namespace {

// Of a table of mounts; empty if it cannot be read.
std::set<std::string> mount_points(const char* table) {
    std::set<std::string> points;
    const std::unique_ptr<FILE, int (*)(FILE*)> list(::setmntent(table, "re"), ::endmntent);
    mntent entry{};
    char text[4096];
    while (list != nullptr && ::getmntent_r(list.get(), &entry, text, sizeof text) != nullptr) points.insert(entry.mnt_dir);
    return points;
}

}  // namespace

Result<> refuse_unmounted(const std::string& folder, const std::set<std::string>& wanted, const std::set<std::string>& mounted) {
    for (const auto& point : wanted) {
        const bool inside = folder == point || (point.size() > 1 && folder.starts_with(point + "/"));
        if (!point.starts_with('/') || !inside || mounted.contains(point)) continue;
        return fail(Errc::config, fmt::format("{}: /etc/fstab names a disk for {}, but none is mounted there, and the folder holds no "
                                              "volume yet; mount it, or take the line out of /etc/fstab",
                                              folder, point));
    }
    return {};
}

Result<> refuse_unmounted(const std::string& folder, const std::string& mark) {
    std::error_code ignored;
    if (std::filesystem::exists(folder + "/" + mark, ignored)) return {};
    return refuse_unmounted(folder, mount_points("/etc/fstab"), mount_points("/proc/self/mounts"));
}

}  // namespace strata

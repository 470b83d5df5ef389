// SPDX-License-Identifier: Apache-2.0
// What every disk can do with the calls it has: whole files.
#include "server/base/disk.h"

namespace strata {

Result<> replace_file(Disk& disk, std::string_view path, std::span<const std::byte> bytes) {
    std::string fresh = std::string(path) + ".new";
    {
        TRY(file, disk.open(fresh, OpenMode::create));
        CHECK_OK(file->truncate(0));  // what an earlier crash left
        CHECK_OK(file->write_at(0, bytes));
        CHECK_OK(file->sync());
    }
    CHECK_OK(disk.rename(fresh, path));
    auto slash = path.rfind('/');
    return disk.sync_folder(slash == std::string_view::npos ? std::string_view() : path.substr(0, slash));
}

Result<std::vector<std::byte>> read_file(Disk& disk, std::string_view path, std::size_t size_max) {
    TRY(file, disk.open(path, OpenMode::read));
    TRY(size, file->size());
    if (size > size_max) {
        return fail(Errc::too_big,
                    std::string(path) + " has " + std::to_string(size) + " bytes, at most " + std::to_string(size_max) + " were expected");
    }
    std::vector<std::byte> bytes(size);
    TRY(got, file->read_at(0, bytes));
    bytes.resize(got);
    return bytes;
}

}  // namespace strata

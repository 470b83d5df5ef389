// SPDX-License-Identifier: Apache-2.0
// FailingDisk: a Disk that works until its switch is thrown, and answers an I/O error from then on.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/base/disk.h"

namespace strata::stress {

class FailingDisk final : public Disk {
public:
    using Switch = std::shared_ptr<const std::atomic<bool>>;
    FailingDisk(std::unique_ptr<Disk> disk, Switch failing) : disk_(std::move(disk)), failing_(std::move(failing)) {}

    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override;
    Result<bool> exists(std::string_view path) override;
    Result<> remove(std::string_view path) override;
    Result<> rename(std::string_view from, std::string_view to) override;
    Result<> make_folder(std::string_view path) override;
    Result<> remove_folder(std::string_view path) override;
    Result<std::vector<std::string>> list(std::string_view folder) override;
    Result<> sync_folder(std::string_view folder) override;
    Result<DiskSpace> space() override;
    std::string description() const override { return disk_->description(); }

private:
    class FailingFile;
    std::unique_ptr<Disk> disk_;
    Switch failing_;
};

}  // namespace strata::stress

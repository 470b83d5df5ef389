// SPDX-License-Identifier: Apache-2.0
// WatchedDisk: a Disk that tells of each call before it is done, so that a test can cut the power in the middle of a job.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/base/disk.h"

namespace strata::sim {

class WatchedDisk final : public Disk {
public:
    using Watch = std::function<void()>;
    WatchedDisk(std::shared_ptr<Disk> disk, Watch watch) : disk_(std::move(disk)), watch_(std::make_shared<Watch>(std::move(watch))) {}

    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override;
    Result<bool> exists(std::string_view path) override { return (*watch_)(), disk_->exists(path); }
    Result<> remove(std::string_view path) override { return (*watch_)(), disk_->remove(path); }
    Result<> rename(std::string_view from, std::string_view to) override { return (*watch_)(), disk_->rename(from, to); }
    Result<> make_folder(std::string_view path) override { return (*watch_)(), disk_->make_folder(path); }
    Result<> remove_folder(std::string_view path) override { return (*watch_)(), disk_->remove_folder(path); }
    Result<std::vector<std::string>> list(std::string_view folder) override { return (*watch_)(), disk_->list(folder); }
    Result<> sync_folder(std::string_view folder) override { return (*watch_)(), disk_->sync_folder(folder); }
    Result<DiskSpace> space() override { return disk_->space(); }
    std::string description() const override { return disk_->description(); }

private:
    class WatchedFile;
    std::shared_ptr<Disk> disk_;
    std::shared_ptr<Watch> watch_;
};

}  // namespace strata::sim

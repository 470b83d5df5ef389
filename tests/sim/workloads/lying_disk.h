// SPDX-License-Identifier: Apache-2.0
// LyingDisk: says that a file is synced when it is not: the canary that every simulation of power cuts has to catch.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/base/disk.h"

namespace strata::sim {

class LyingDisk final : public Disk {
public:
    // Lies about the files whose path contains one of `parts`.
    LyingDisk(std::shared_ptr<Disk> disk, std::vector<std::string> parts) : disk_(std::move(disk)), parts_(std::move(parts)) {}

    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
        TRY(file, disk_->open(path, mode));
        const auto meant = [path](const std::string& part) { return path.find(part) != std::string_view::npos; };
        if (std::ranges::none_of(parts_, meant)) return std::move(file);
        return std::make_unique<LyingFile>(std::move(file));
    }
    Result<bool> exists(std::string_view path) override { return disk_->exists(path); }
    Result<> remove(std::string_view path) override { return disk_->remove(path); }
    Result<> rename(std::string_view from, std::string_view to) override { return disk_->rename(from, to); }
    Result<> make_folder(std::string_view path) override { return disk_->make_folder(path); }
    Result<> remove_folder(std::string_view path) override { return disk_->remove_folder(path); }
    Result<std::vector<std::string>> list(std::string_view folder) override { return disk_->list(folder); }
    Result<> sync_folder(std::string_view folder) override { return disk_->sync_folder(folder); }
    Result<DiskSpace> space() override { return disk_->space(); }
    std::string description() const override { return disk_->description(); }

private:
    class LyingFile final : public File {
    public:
        explicit LyingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
        using File::write_at;
        Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override { return file_->read_at(offset, out); }
        Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
            return file_->write_at(offset, pieces);
        }
        Result<> sync() override { return {}; }
        Result<std::uint64_t> size() override { return file_->size(); }
        Result<> truncate(std::uint64_t size) override { return file_->truncate(size); }
        Result<> allocate(std::uint64_t offset, std::uint64_t length) override { return file_->allocate(offset, length); }
        Result<> punch(std::uint64_t offset, std::uint64_t length) override { return file_->punch(offset, length); }

    private:
        std::unique_ptr<File> file_;
    };

    std::shared_ptr<Disk> disk_;
    std::vector<std::string> parts_;
};

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// Every call of a disk and its files, announced.
#include "tests/sim/watched_disk.h"

namespace strata::sim {

class WatchedDisk::WatchedFile final : public File {
public:
    WatchedFile(std::unique_ptr<File> file, std::shared_ptr<Watch> watch) : file_(std::move(file)), watch_(std::move(watch)) {}

    using File::write_at;
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        return (*watch_)(), file_->read_at(offset, out);
    }
    Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
        return (*watch_)(), file_->write_at(offset, pieces);
    }
    Result<> sync() override { return (*watch_)(), file_->sync(); }
    Result<std::uint64_t> size() override { return file_->size(); }
    Result<> truncate(std::uint64_t size) override { return (*watch_)(), file_->truncate(size); }
    Result<> allocate(std::uint64_t offset, std::uint64_t length) override { return (*watch_)(), file_->allocate(offset, length); }
    Result<> punch(std::uint64_t offset, std::uint64_t length) override { return (*watch_)(), file_->punch(offset, length); }

private:
    std::unique_ptr<File> file_;
    std::shared_ptr<Watch> watch_;
};

Result<std::unique_ptr<File>> WatchedDisk::open(std::string_view path, OpenMode mode) {
    (*watch_)();
    TRY(file, disk_->open(path, mode));
    return std::make_unique<WatchedFile>(std::move(file), watch_);
}

}  // namespace strata::sim

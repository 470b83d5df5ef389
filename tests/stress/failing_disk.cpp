// SPDX-License-Identifier: Apache-2.0
// Every call asks the switch first.
#include "tests/stress/failing_disk.h"

namespace strata::stress {

namespace {

Result<> works(const FailingDisk::Switch& failing) {
    if (failing->load(std::memory_order_relaxed)) return fail(Errc::io, "this disk is made to fail");
    return {};
}

}  // namespace

class FailingDisk::FailingFile final : public File {
public:
    FailingFile(std::unique_ptr<File> file, Switch failing) : file_(std::move(file)), failing_(std::move(failing)) {}

    using File::write_at;
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        CHECK_OK(works(failing_));
        return file_->read_at(offset, out);
    }
    Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
        CHECK_OK(works(failing_));
        return file_->write_at(offset, pieces);
    }
    Result<> sync() override {
        CHECK_OK(works(failing_));
        return file_->sync();
    }
    Result<std::uint64_t> size() override {
        CHECK_OK(works(failing_));
        return file_->size();
    }
    Result<> truncate(std::uint64_t size) override {
        CHECK_OK(works(failing_));
        return file_->truncate(size);
    }
    Result<> allocate(std::uint64_t offset, std::uint64_t length) override {
        CHECK_OK(works(failing_));
        return file_->allocate(offset, length);
    }
    Result<> punch(std::uint64_t offset, std::uint64_t length) override {
        CHECK_OK(works(failing_));
        return file_->punch(offset, length);
    }

private:
    std::unique_ptr<File> file_;
    Switch failing_;
};

Result<std::unique_ptr<File>> FailingDisk::open(std::string_view path, OpenMode mode) {
    CHECK_OK(works(failing_));
    TRY(file, disk_->open(path, mode));
    return std::make_unique<FailingFile>(std::move(file), failing_);
}

Result<bool> FailingDisk::exists(std::string_view path) {
    CHECK_OK(works(failing_));
    return disk_->exists(path);
}

Result<> FailingDisk::remove(std::string_view path) {
    CHECK_OK(works(failing_));
    return disk_->remove(path);
}

Result<> FailingDisk::rename(std::string_view from, std::string_view to) {
    CHECK_OK(works(failing_));
    return disk_->rename(from, to);
}

Result<> FailingDisk::make_folder(std::string_view path) {
    CHECK_OK(works(failing_));
    return disk_->make_folder(path);
}

Result<> FailingDisk::remove_folder(std::string_view path) {
    CHECK_OK(works(failing_));
    return disk_->remove_folder(path);
}

Result<std::vector<std::string>> FailingDisk::list(std::string_view folder) {
    CHECK_OK(works(failing_));
    return disk_->list(folder);
}

Result<> FailingDisk::sync_folder(std::string_view folder) {
    CHECK_OK(works(failing_));
    return disk_->sync_folder(folder);
}

Result<DiskSpace> FailingDisk::space() {
    CHECK_OK(works(failing_));
    return disk_->space();
}

}  // namespace strata::stress

// SPDX-License-Identifier: Apache-2.0
// HookedDisk: passes on to another disk and lets a test step in before and after each change: power cuts between a write and its sync.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "server/base/disk.h"

namespace strata::cluster {

enum class DiskChange { write, sync, other };

struct DiskHooks {
    std::function<void(DiskChange)> before = [](DiskChange) {};
    std::function<void(DiskChange)> after = [](DiskChange) {};
    bool ignore_sync = false;  // a disk that lies
    bool out_of_descriptors = false;
    std::shared_ptr<int> open_files = std::make_shared<int>(0);  // now
};

class HookedFile final : public File {
public:
    HookedFile(std::unique_ptr<File> inner, std::shared_ptr<DiskHooks> hooks) : inner_(std::move(inner)), hooks_(std::move(hooks)) {
        ++*hooks_->open_files;
    }
    ~HookedFile() override { --*hooks_->open_files; }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override { return inner_->read_at(offset, out); }
    Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
        return change(DiskChange::write, [&] { return inner_->write_at(offset, pieces); });
    }
    Result<> sync() override {
        return change(DiskChange::sync, [&] { return hooks_->ignore_sync ? Result<>() : inner_->sync(); });
    }
    Result<std::uint64_t> size() override { return inner_->size(); }
    Result<> truncate(std::uint64_t size) override {
        return change(DiskChange::other, [&] { return inner_->truncate(size); });
    }
    Result<> allocate(std::uint64_t offset, std::uint64_t length) override {
        return change(DiskChange::other, [&] { return inner_->allocate(offset, length); });
    }
    Result<> punch(std::uint64_t offset, std::uint64_t length) override { return inner_->punch(offset, length); }

private:
    template <class F>
    Result<> change(DiskChange what, F f) {
        hooks_->before(what);
        auto result = f();
        hooks_->after(what);
        return result;
    }

    std::unique_ptr<File> inner_;
    std::shared_ptr<DiskHooks> hooks_;
};

class HookedDisk final : public Disk {
public:
    HookedDisk(std::shared_ptr<Disk> inner, std::shared_ptr<DiskHooks> hooks) : inner_(std::move(inner)), hooks_(std::move(hooks)) {}
    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
        if (hooks_->out_of_descriptors) return fail(Errc::too_many);
        TRY(file, inner_->open(path, mode));
        return std::make_unique<HookedFile>(std::move(file), hooks_);
    }
    Result<bool> exists(std::string_view path) override { return inner_->exists(path); }
    Result<> remove(std::string_view path) override {
        return change([&] { return inner_->remove(path); });
    }
    Result<> rename(std::string_view from, std::string_view to) override {
        return change([&] { return inner_->rename(from, to); });
    }
    Result<> make_folder(std::string_view path) override { return inner_->make_folder(path); }
    Result<> remove_folder(std::string_view path) override { return inner_->remove_folder(path); }
    Result<std::vector<std::string>> list(std::string_view folder) override { return inner_->list(folder); }
    Result<> sync_folder(std::string_view folder) override {
        return change([&] { return inner_->sync_folder(folder); });
    }
    Result<DiskSpace> space() override { return inner_->space(); }
    std::string description() const override { return inner_->description(); }

private:
    template <class F>
    Result<> change(F f) {
        hooks_->before(DiskChange::other);
        auto result = f();
        hooks_->after(DiskChange::other);
        return result;
    }

    std::shared_ptr<Disk> inner_;
    std::shared_ptr<DiskHooks> hooks_;
};

}  // namespace strata::cluster

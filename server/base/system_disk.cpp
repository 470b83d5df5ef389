// SPDX-License-Identifier: Apache-2.0
// A folder of the host's file system as a Disk.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/base/direct_io.h"
#include "server/base/disk.h"

namespace strata {

namespace {

Errc errc_of(int error) {
    switch (error) {
        case ENOENT: return Errc::not_found;
        case EEXIST: return Errc::exists;
        case ENOTEMPTY: return Errc::not_empty;
        case ENOTDIR: return Errc::not_directory;
        case EISDIR: return Errc::is_directory;
        case ELOOP: return Errc::is_symlink;
        case ENOSPC: return Errc::no_space;
        case EDQUOT: return Errc::no_space;
        case EFBIG: return Errc::too_big;
        case EACCES: return Errc::access;
        case EPERM: return Errc::permission;
        case EROFS: return Errc::read_only;
        case ENAMETOOLONG: return Errc::name_too_long;
        case EMFILE: return Errc::too_many;
        case ENFILE: return Errc::too_many;
        case EBUSY: return Errc::busy;
        default: return Errc::io;
    }
}

std::unexpected<Error> fail_errno(int error, std::string_view doing, const std::string& path) {
    return fail(errc_of(error), std::string(doing) + " " + path + ": " + std::strerror(error));
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

// Repeats `call` while signals interrupt it.
template <class F>
auto retrying(F call) {
    decltype(call()) result;
    do {
        result = call();
    } while (result < 0 && errno == EINTR);
    return result;
}

class SystemFile final : public File {
public:
    SystemFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        std::size_t done = 0;
        while (done < out.size()) {
            auto n = retrying([&] { return ::pread(fd_.get(), out.data() + done, out.size() - done, off_t(offset + done)); });
            if (n < 0) return fail_errno(errno, "reading", path_);
            if (n == 0) break;
            done += static_cast<std::size_t>(n);
        }
        return done;
    }

    // Where the page cache cannot be passed by, it is told to forget.
    Result<std::size_t> read_from_disk(std::uint64_t offset, std::span<std::byte> out) override {
        const auto read = read_directly(fd_.get(), offset, out);
        if (read >= 0) return static_cast<std::size_t>(read);
        if (errno != EINVAL && errno != EMFILE && errno != ENFILE) return fail_errno(errno, "reading", path_);
        (void)::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(out.size()), POSIX_FADV_DONTNEED);
        return read_at(offset, out);
    }

    using File::write_at;
    Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
        CHECK_OK(check_trust());
        if (direct_possible_.load(std::memory_order_relaxed)) {
            const auto direct = write_directly(fd_.get(), offset, pieces);
            if (direct == DirectWrite::written) return {};
            if (direct == DirectWrite::failed) return fail_errno(errno, "writing", path_);
            if (direct == DirectWrite::impossible) direct_possible_.store(false, std::memory_order_relaxed);
        }
        std::size_t skip = 0;  // bytes of the first piece that are written already
        while (!pieces.empty()) {
            iovec vectors[64];
            int count = 0;
            for (std::size_t i = 0; i < pieces.size() && count < 64; ++i) {
                auto piece = i == 0 ? pieces[i].subspan(skip) : pieces[i];
                if (piece.empty()) continue;
                vectors[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
            }
            if (count == 0) return {};
            auto n = retrying([&] { return ::pwritev(fd_.get(), vectors, count, off_t(offset)); });
            if (n < 0) return fail_errno(errno, "writing", path_);
            if (n == 0) return fail(Errc::io, "writing " + path_ + ": nothing was taken");
            offset += static_cast<std::uint64_t>(n);
            for (auto left = static_cast<std::size_t>(n); !pieces.empty();) {
                auto rest = pieces[0].size() - skip;
                if (left < rest) {
                    skip += left;
                    break;
                }
                left -= rest;
                skip = 0;
                pieces = pieces.subspan(1);
                if (left == 0) break;
            }
        }
        return {};
    }

    Result<> sync() override {
        CHECK_OK(check_trust());
        if (retrying([&] { return ::fdatasync(fd_.get()); }) != 0) {
            // The kernel forgets pages that it failed to write: a later "ok" would say nothing about them.
            int error = errno;
            trusted_.store(false);
            return fail_errno(error, "syncing", path_);
        }
        return {};
    }

    Result<std::uint64_t> size() override {
        struct stat attributes{};
        if (::fstat(fd_.get(), &attributes) != 0) return fail_errno(errno, "asking the size of", path_);
        return static_cast<std::uint64_t>(attributes.st_size);
    }

    Result<> truncate(std::uint64_t size) override {
        CHECK_OK(check_trust());
        if (retrying([&] { return ::ftruncate(fd_.get(), off_t(size)); }) != 0) return fail_errno(errno, "truncating", path_);
        return {};
    }

    Result<> allocate(std::uint64_t offset, std::uint64_t length) override {
        CHECK_OK(check_trust());
        if (length == 0) return {};
        if (retrying([&] { return ::fallocate(fd_.get(), 0, off_t(offset), off_t(length)); }) == 0) return {};
        if (errno != EOPNOTSUPP) return fail_errno(errno, "reserving space in", path_);
        TRY(now, size());  // a file system that cannot reserve: at least the size is as asked
        return now < offset + length ? truncate(offset + length) : Result<>();
    }

    Result<> punch(std::uint64_t offset, std::uint64_t length) override {
        CHECK_OK(check_trust());
        if (length == 0) return {};
        int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        if (retrying([&] { return ::fallocate(fd_.get(), mode, off_t(offset), off_t(length)); }) == 0) return {};
        if (errno != EOPNOTSUPP) return fail_errno(errno, "giving back space of", path_);
        TRY(end, size());
        auto stop = std::min(end, offset + length);
        std::vector<std::byte> zeros(std::size_t(64) << 10);
        while (offset < stop) {
            auto n = std::min<std::uint64_t>(zeros.size(), stop - offset);
            CHECK_OK(write_at(offset, std::span<const std::byte>(zeros.data(), n)));
            offset += n;
        }
        return {};
    }

private:
    Result<> check_trust() const {
        if (trusted_.load()) return {};
        return fail(Errc::io, path_ + ": an earlier sync failed; open the file again and check what it holds");
    }

    Descriptor fd_;
    std::string path_;  // absolute, for messages
    std::atomic<bool> trusted_{true};
    std::atomic<bool> direct_possible_{true};
};

class SystemDisk final : public Disk {
public:
    SystemDisk(Descriptor folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}

    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
        TRY(name, checked(path));
        int flags = O_CLOEXEC | O_NOFOLLOW;
        switch (mode) {
            case OpenMode::read: flags |= O_RDONLY; break;
            case OpenMode::read_write: flags |= O_RDWR; break;
            case OpenMode::create: flags |= O_RDWR | O_CREAT; break;
            case OpenMode::create_new: flags |= O_RDWR | O_CREAT | O_EXCL; break;
        }
        Descriptor fd(retrying([&] { return ::openat(folder_.get(), name.c_str(), flags, 0600); }));
        if (fd.get() < 0) return fail_errno(errno, "opening", full(name));
        struct stat attributes{};
        if (::fstat(fd.get(), &attributes) != 0) return fail_errno(errno, "opening", full(name));
        if (S_ISDIR(attributes.st_mode)) return fail_errno(EISDIR, "opening", full(name));
        return std::make_unique<SystemFile>(std::move(fd), full(name));
    }

    Result<bool> exists(std::string_view path) override {
        TRY(name, checked(path));
        struct stat attributes{};
        if (::fstatat(folder_.get(), name.c_str(), &attributes, AT_SYMLINK_NOFOLLOW) == 0) return true;
        if (errno == ENOENT || errno == ENOTDIR) return false;
        return fail_errno(errno, "looking for", full(name));
    }

    Result<> remove(std::string_view path) override {
        TRY(name, checked(path));
        if (::unlinkat(folder_.get(), name.c_str(), 0) != 0) return fail_errno(errno, "removing", full(name));
        return {};
    }

    Result<> rename(std::string_view from, std::string_view to) override {
        TRY(source, checked(from));
        TRY(target, checked(to));
        if (::renameat(folder_.get(), source.c_str(), folder_.get(), target.c_str()) != 0) {
            return fail_errno(errno, "renaming " + full(source) + " to", full(target));
        }
        return {};
    }

    Result<> make_folder(std::string_view path) override {
        TRY(name, checked(path));
        for (std::size_t end = 0; end != std::string::npos;) {
            end = name.find('/', end + 1);
            auto part = name.substr(0, end);
            if (::mkdirat(folder_.get(), part.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "making", full(part));
        }
        struct stat attributes{};
        if (::fstatat(folder_.get(), name.c_str(), &attributes, 0) != 0) return fail_errno(errno, "making", full(name));
        if (!S_ISDIR(attributes.st_mode)) return fail_errno(ENOTDIR, "making", full(name));
        return {};
    }

    Result<> remove_folder(std::string_view path) override {
        TRY(name, checked(path));
        if (::unlinkat(folder_.get(), name.c_str(), AT_REMOVEDIR) != 0) return fail_errno(errno, "removing", full(name));
        return {};
    }

    Result<std::vector<std::string>> list(std::string_view folder) override {
        TRY(fd, open_folder(folder));
        int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);  // closedir() closes what fdopendir() was given
        if (copy < 0) return fail_errno(errno, "listing", full(std::string(folder)));
        std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
        if (stream == nullptr) {
            ::close(copy);
            return fail_errno(errno, "listing", full(std::string(folder)));
        }
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            auto* entry = ::readdir(stream.get());
            if (entry == nullptr) break;
            std::string_view name = entry->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (errno != 0) return fail_errno(errno, "listing", full(std::string(folder)));
        std::sort(names.begin(), names.end());
        return names;
    }

    Result<> sync_folder(std::string_view folder) override {
        TRY(fd, open_folder(folder));
        if (retrying([&] { return ::fsync(fd.get()); }) != 0) return fail_errno(errno, "syncing", full(std::string(folder)));
        return {};
    }

    Result<DiskSpace> space() override {
        struct statvfs numbers{};
        if (::fstatvfs(folder_.get(), &numbers) != 0) return fail_errno(errno, "asking the space of", path_);
        return DiskSpace{.total_bytes = std::uint64_t(numbers.f_blocks) * numbers.f_frsize,
                         .free_bytes = std::uint64_t(numbers.f_bavail) * numbers.f_frsize};
    }

    std::string description() const override { return path_; }

private:
    std::string full(const std::string& name) const { return name.empty() || name == "." ? path_ : path_ + "/" + name; }

    // Inside the folder, whatever the caller was fed.
    Result<std::string> checked(std::string_view path) const {
        bool bad = path.empty() || path.front() == '/' || path.find('\0') != std::string_view::npos;
        for (std::size_t start = 0; !bad && start <= path.size();) {
            auto end = std::min(path.find('/', start), path.size());
            if (path.substr(start, end - start) == "..") bad = true;
            start = end + 1;
        }
        if (bad) return fail(Errc::invalid_argument, "\"" + std::string(path) + "\" is not a path inside " + path_);
        return std::string(path);
    }

    Result<Descriptor> open_folder(std::string_view folder) const {
        std::string name = ".";
        if (!folder.empty()) {
            TRY(inside, checked(folder));
            name = inside;
        }
        Descriptor fd(retrying([&] { return ::openat(folder_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
        if (fd.get() < 0) return fail_errno(errno, "opening", full(name));
        return fd;
    }

    Descriptor folder_;
    std::string path_;
};

// The process whose lock the kernel lists for this file ("1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF"). nullopt: not to be told.
std::optional<pid_t> lock_holder(const struct stat& file) {
    std::unique_ptr<FILE, int (*)(FILE*)> list(std::fopen("/proc/locks", "re"), std::fclose);
    if (list == nullptr) return std::nullopt;
    char line[256];
    while (std::fgets(line, sizeof line, list.get()) != nullptr) {
        int pid = 0;
        unsigned major_number = 0, minor_number = 0;
        unsigned long long inode = 0;
        if (std::sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &major_number, &minor_number, &inode) != 4) continue;
        if (inode == file.st_ino && ::makedev(major_number, minor_number) == file.st_dev) return pid;
    }
    return std::nullopt;
}

Result<> lock_folder(int fd, const std::string& folder) {
    if (retrying([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0) return {};
    if (errno != EWOULDBLOCK) return {};  // a file system without such locks: it has to do without
    struct stat attributes{};
    std::optional<pid_t> holder;
    if (::fstat(fd, &attributes) == 0) holder = lock_holder(attributes);
    if (holder == ::getpid()) return fail(Errc::busy, folder + ": this process uses the folder already, perhaps under another name");
    return fail(Errc::busy, folder + ": another process uses the folder" + (holder ? " (pid " + std::to_string(*holder) + ")" : ""));
}

// Else a power cut could take the folder away with all that was made durable in it.
Result<> sync_parent_of(const std::string& folder) {
    const auto slash = folder.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : folder.substr(0, slash);
    Descriptor fd(retrying([&] { return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0 && errno == EACCES) return {};  // a folder that may be searched and not read: nothing can be done
    if (fd.get() < 0) return fail_errno(errno, "opening", parent);
    if (retrying([&] { return ::fsync(fd.get()); }) != 0 && errno != EINVAL) return fail_errno(errno, "syncing", parent);
    return {};
}

Result<Descriptor> open_folder_at(const std::string& folder, bool create) {
    if (folder.empty()) return fail(Errc::invalid_argument, "the folder's name is empty");
    if (create) {
        for (std::size_t end = 0; end != std::string::npos;) {
            end = folder.find('/', end + 1);
            auto part = folder.substr(0, end);
            if (::mkdir(part.c_str(), 0700) == 0) {
                CHECK_OK(sync_parent_of(part));
            } else if (errno != EEXIST) {
                return fail_errno(errno, "making", part);
            }
        }
    }
    Descriptor fd(retrying([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0) return fail_errno(errno, "opening", folder);
    return fd;
}

std::unique_ptr<Disk> make_disk(Descriptor fd, const std::string& folder) {
    std::unique_ptr<char, void (*)(void*)> absolute(::realpath(folder.c_str(), nullptr), std::free);
    return std::make_unique<SystemDisk>(std::move(fd), absolute == nullptr ? folder : std::string(absolute.get()));
}

}  // namespace

Result<std::unique_ptr<Disk>> open_system_disk(const std::string& folder, bool create) {
    TRY(fd, open_folder_at(folder, create));
    return make_disk(std::move(fd), folder);
}

Result<std::unique_ptr<Disk>> open_exclusive_disk(const std::string& folder, bool create) {
    TRY(fd, open_folder_at(folder, create));
    CHECK_OK(lock_folder(fd.get(), folder));
    return make_disk(std::move(fd), folder);
}

}  // namespace strata

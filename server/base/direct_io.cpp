// SPDX-License-Identifier: Apache-2.0
// Gathering into an aligned buffer, one for each thread that writes.
#include "server/base/direct_io.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace strata {

namespace {

constexpr std::size_t block = 4096;            // of every file system and disk that we know
constexpr std::size_t least = 128 << 10;       // below, waiting for the disk costs more than the copy
constexpr std::size_t gathered_max = 4 << 20;  // bytes of one call

struct Release {
    void operator()(void* memory) const { std::free(memory); }
};

// Kept by the thread: fresh memory for every write would be what this file is there to avoid.
std::byte* gathering_buffer() {
    thread_local const std::unique_ptr<void, Release> buffer(std::aligned_alloc(block, gathered_max));
    return static_cast<std::byte*>(buffer.get());
}

// A description of its own: the flag of the file's other one would hold for the reads of all threads.
int open_directly(int fd, int access) { return ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), access | O_DIRECT | O_CLOEXEC); }

class DirectFile {
public:
    DirectFile(int fd, std::uint64_t offset) : fd_(open_directly(fd, O_WRONLY)), offset_(offset) {}
    DirectFile(const DirectFile&) = delete;
    DirectFile& operator=(const DirectFile&) = delete;
    ~DirectFile() {
        if (fd_ >= 0) ::close(fd_);
    }

    bool is_open() const { return fd_ >= 0; }
    // False: errno says why.
    bool append(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const auto written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset_));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return false;
            const auto count = static_cast<std::size_t>(written);
            if (count == 0 || count % block != 0) {  // the rest would not be aligned any more
                errno = EIO;
                return false;
            }
            bytes = bytes.subspan(count);
            offset_ += count;
        }
        return true;
    }

private:
    int fd_;
    std::uint64_t offset_;
};

bool gather_and_append(DirectFile& file, std::byte* buffer, std::span<const std::span<const std::byte>> pieces) {
    std::size_t gathered = 0;
    for (auto piece : pieces) {
        while (!piece.empty()) {
            const std::size_t count = std::min(piece.size(), gathered_max - gathered);
            std::memcpy(buffer + gathered, piece.data(), count);
            piece = piece.subspan(count);
            gathered += count;
            if (gathered == gathered_max && !file.append({buffer, std::exchange(gathered, 0)})) return false;
        }
    }
    return file.append({buffer, gathered});
}

}  // namespace

DirectWrite write_directly(int fd, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) {
    std::size_t total = 0;
    for (const auto& piece : pieces) total += piece.size();
    if (total < least || total % block != 0 || offset % block != 0) return DirectWrite::unsuitable;
    std::byte* const buffer = gathering_buffer();
    if (buffer == nullptr) return DirectWrite::unsuitable;
    DirectFile file(fd, offset);
    if (!file.is_open()) return errno == EINVAL ? DirectWrite::impossible : DirectWrite::unsuitable;
    if (gather_and_append(file, buffer, pieces)) return DirectWrite::written;
    return errno == EINVAL ? DirectWrite::impossible : DirectWrite::failed;
}

ssize_t read_directly(int fd, std::uint64_t offset, std::span<std::byte> out) {
    const int direct = open_directly(fd, O_RDONLY);
    if (direct < 0) return -1;
    std::size_t done = 0;
    ssize_t count = 0;
    do {
        count = ::pread(direct, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (count > 0) done += static_cast<std::size_t>(count);
    } while (done < out.size() && (count > 0 ? done % block == 0 : count < 0 && errno == EINTR));
    const int error = errno;
    ::close(direct);
    errno = error;
    return count < 0 ? -1 : static_cast<ssize_t>(done);
}

}  // namespace strata

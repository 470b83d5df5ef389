// SPDX-License-Identifier: Apache-2.0
// The frame of posix_checks: named checks, each in a fresh directory, that say what failed by throwing Failure.
#pragma once

#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct Failure {
    std::string reason;
};

// `needs` names a feature of the server ("xattr", "clone", ...) without which the check is reported NOTRUN, or "".
struct Check {
    const char* name;
    const char* needs;
    void (*run)();
};

std::vector<Check> name_checks();
std::vector<Check> data_checks();
std::vector<Check> attribute_checks();
std::vector<Check> space_checks();
std::vector<Check> directory_checks();

inline std::string errno_text(int error) {
    const char* name = error == 0 ? "no error" : strerrorname_np(error);
    return name ? name : "errno " + std::to_string(error);  // a client kernel may hand on numbers of its own
}

#define EXPECT(condition)                                                                                                                 \
    do {                                                                                                                                  \
        errno = 0;                                                                                                                        \
        if (!(condition)) throw Failure{std::string(#condition) + " (" + errno_text(errno) + ", line " + std::to_string(__LINE__) + ")"}; \
    } while (false)

// The call fails with exactly this errno.
#define EXPECT_ERRNO(call, expected)                                                                                \
    do {                                                                                                            \
        errno = 0;                                                                                                  \
        const bool failed = (call) < 0;                                                                             \
        const int got = failed ? errno : 0;                                                                         \
        if (got != (expected)) throw Failure{std::string(#call) + " gave " + errno_text(got) + ", not " #expected}; \
    } while (false)

// An open file, closed at the end of its scope. Throws when it cannot be opened.
class File {
public:
    File(const char* path, int flags, mode_t mode = 0644) : fd_(::open(path, flags, mode)) {
        if (fd_ < 0) throw Failure{std::string("open ") + path + ": " + errno_text(errno)};
    }
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    operator int() const { return fd_; }
    // close() is where an NFS client reports errors of earlier writes.
    void close() {
        const int fd = fd_;
        fd_ = -1;
        if (::close(fd) != 0) throw Failure{"close: " + errno_text(errno)};
    }

private:
    int fd_;
};

void write_all(int fd, std::string_view bytes, off_t offset);
void write_file(const char* path, std::string_view bytes);
std::string read_range(int fd, off_t offset, std::size_t count);
std::string read_file(const char* path);
std::string pattern(std::size_t count, unsigned seed);
struct stat stat_of(const char* path);
std::set<std::string> names_in(const char* path);
// The client's cached pages and names are dropped, so that what follows comes from the server.
void forget_cache();

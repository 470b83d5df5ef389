// SPDX-License-Identifier: Apache-2.0
// posix_checks DIR FEATURES [NAME...]: what a POSIX file system does, checked on a mount, one OK/FAIL/NOTRUN line a check.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <dirent.h>
#include <sys/stat.h>

#include "check.h"

void write_all(int fd, std::string_view bytes, off_t offset) {
    while (!bytes.empty()) {
        const ssize_t done = pwrite(fd, bytes.data(), bytes.size(), offset);
        if (done <= 0) throw Failure{"pwrite: " + errno_text(errno)};
        bytes.remove_prefix(static_cast<std::size_t>(done));
        offset += done;
    }
}

void write_file(const char* path, std::string_view bytes) {
    File file(path, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(file, bytes, 0);
    file.close();
}

std::string read_range(int fd, off_t offset, std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
        const ssize_t done = pread(fd, bytes.data() + have, count - have, offset + static_cast<off_t>(have));
        if (done < 0) throw Failure{"pread: " + errno_text(errno)};
        if (done == 0) break;
        have += static_cast<std::size_t>(done);
    }
    bytes.resize(have);
    return bytes;
}

std::string read_file(const char* path) {
    File file(path, O_RDONLY);
    struct stat status;
    if (fstat(file, &status) != 0) throw Failure{"fstat: " + errno_text(errno)};
    return read_range(file, 0, static_cast<std::size_t>(status.st_size) + 1);
}

std::string pattern(std::size_t count, unsigned seed) {
    std::string bytes(count, '\0');
    unsigned long long state = seed * 2654435761ULL + 1;
    for (char& byte : bytes) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        byte = static_cast<char>(state >> 56);
    }
    return bytes;
}

struct stat stat_of(const char* path) {
    struct stat status;
    if (lstat(path, &status) != 0) throw Failure{std::string("lstat ") + path + ": " + errno_text(errno)};
    return status;
}

std::set<std::string> names_in(const char* path) {
    std::set<std::string> names;
    DIR* directory = opendir(path);
    if (!directory) throw Failure{std::string("opendir ") + path + ": " + errno_text(errno)};
    while (const dirent* entry = readdir(directory)) {
        if (!names.insert(entry->d_name).second) {
            closedir(directory);
            throw Failure{std::string(entry->d_name) + " listed twice"};
        }
    }
    closedir(directory);
    names.erase(".");
    names.erase("..");
    return names;
}

void forget_cache() {
    sync();
    File knob("/proc/sys/vm/drop_caches", O_WRONLY);
    if (write(knob, "3\n", 2) != 2) throw Failure{"drop_caches: " + errno_text(errno)};
}

namespace {

bool offered(std::string_view features, std::string_view needed) {
    while (!features.empty()) {
        const auto end = features.find(',');
        if (features.substr(0, end) == needed) return true;
        if (end == std::string_view::npos) break;
        features.remove_prefix(end + 1);
    }
    return needed.empty();
}

bool chosen(const char* name, int argc, char** argv) {
    if (argc <= 3) return true;
    for (int i = 3; i < argc; ++i)
        if (std::strcmp(name, argv[i]) == 0) return true;
    return false;
}

// True when the check passed or was left out; before 4.2 nobody expects what came with it.
bool run(const Check& check, const std::string& top, std::string_view features) {
    if (!offered(features, check.needs)) {
        if (!offered(features, "4.2")) return true;
        std::printf("NOTRUN %s the server has no %s\n", check.name, check.needs);
        return true;
    }
    const std::string directory = top + "/" + check.name;
    try {
        EXPECT(mkdir(directory.c_str(), 0755) == 0);
        EXPECT(chdir(directory.c_str()) == 0);
        check.run();
        std::printf("OK %s\n", check.name);
    } catch (const Failure& failure) {
        std::printf("FAIL %s %s\n", check.name, failure.reason.c_str());
        return false;
    }
    std::error_code ignored;
    if (chdir(top.c_str()) == 0) std::filesystem::remove_all(directory, ignored);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: posix_checks DIR FEATURES [NAME...]\n");
        return 2;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    umask(022);
    int failures = 0;
    for (const auto& group : {name_checks(), data_checks(), attribute_checks(), space_checks(), directory_checks()})
        for (const Check& check : group)
            if (chosen(check.name, argc, argv) && !run(check, argv[1], argv[2])) ++failures;
    return failures > 100 ? 100 : failures;
}

// SPDX-License-Identifier: Apache-2.0
// directory_entries make|list|stat|remove DIR FROM TO: entries FROM to TO (not included) of a very large directory.
//
// One entry in ten is a file, one a symbolic link, the others are fifos: these cost one call, and the directory is the subject.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

std::string name_of(int number) { return "an-entry-with-a-number-" + std::to_string(number); }

int fail(const std::string& what) {
    std::printf("%s: %s\n", what.c_str(), strerror(errno));
    return 1;
}

int make(int from, int to) {
    for (int i = from; i < to; ++i) {
        const std::string name = name_of(i);
        int result = 0;
        if (i % 10 == 0) {
            const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
            result = fd < 0 ? -1 : close(fd);
        } else {
            result = i % 10 == 1 ? symlink("somewhere", name.c_str()) : mknod(name.c_str(), S_IFIFO | 0644, 0);
        }
        if (result != 0) return fail("make " + name);
    }
    return 0;
}

// Exactly these entries, each once.
int list(int from, int to) {
    DIR* directory = opendir(".");
    if (!directory) return fail("opendir");
    std::vector<int> seen(static_cast<std::size_t>(to), 0);
    errno = 0;
    while (const dirent* entry = readdir(directory)) {
        int number = -1;
        if (entry->d_name[0] == '.') continue;
        if (std::sscanf(entry->d_name, "an-entry-with-a-number-%d", &number) != 1 || number < from || number >= to || seen[number]++) {
            std::printf("%s is listed %s\n", entry->d_name, number >= from && number < to ? "twice" : "but should not be");
            return 1;
        }
    }
    if (errno != 0) return fail("readdir");
    closedir(directory);
    for (int i = from; i < to; ++i) {
        if (!seen[i]) {
            std::printf("%s is missing\n", name_of(i).c_str());
            return 1;
        }
    }
    return 0;
}

int stat_some(int from, int to) {
    for (int i = from; i < to; i += 97) {
        struct stat status;
        if (lstat(name_of(i).c_str(), &status) != 0) return fail("lstat " + name_of(i));
        const mode_t type = i % 10 == 0 ? S_IFREG : i % 10 == 1 ? S_IFLNK : S_IFIFO;
        if ((status.st_mode & S_IFMT) != type || status.st_nlink != 1) return fail(name_of(i) + " has another type");
    }
    return access(name_of(-1).c_str(), F_OK) == 0 ? fail("an absent entry is found") : 0;
}

int remove(int from, int to) {
    for (int i = from; i < to; ++i)
        if (unlink(name_of(i).c_str()) != 0) return fail("unlink " + name_of(i));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5 || chdir(argv[2]) != 0) return 2;
    const std::string verb = argv[1];
    const int from = std::atoi(argv[3]), to = std::atoi(argv[4]);
    if (verb == "make") return make(from, to);
    if (verb == "list") return list(from, to);
    if (verb == "stat") return stat_some(from, to);
    return verb == "remove" ? remove(from, to) : 2;
}

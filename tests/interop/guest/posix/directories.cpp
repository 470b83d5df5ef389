// SPDX-License-Identifier: Apache-2.0
// Checks of directories: listing, positions under deletion, depth, and one of very many entries.
#include <dirent.h>
#include <sys/syscall.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "check.h"

namespace {

void a_listing_shows_types_and_inodes() {
    write_file("file", "x");
    EXPECT(mkdir("directory", 0755) == 0);
    EXPECT(symlink("x", "link") == 0);
    forget_cache();
    DIR* directory = opendir(".");
    EXPECT(directory != nullptr);
    int seen = 0;
    while (const dirent* entry = readdir(directory)) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        ++seen;
        if (stat_of(name.c_str()).st_ino != entry->d_ino) throw Failure{name + ": d_ino differs from st_ino"};
        const int wanted = name == "file" ? DT_REG : name == "link" ? DT_LNK : DT_DIR;
        if (entry->d_type != wanted && entry->d_type != DT_UNKNOWN) throw Failure{name + ": wrong d_type"};
    }
    closedir(directory);
    EXPECT(seen == 3);
}

// Entries deleted behind and ahead of the position: each remaining name is seen once, no deleted one after a rewind.
void positions_hold_under_deletion() {
    const int count = 3000;
    for (int i = 0; i < count; ++i) EXPECT(symlink("x", ("n" + std::to_string(i)).c_str()) == 0);
    forget_cache();
    DIR* directory = opendir(".");
    EXPECT(directory != nullptr);
    std::multiset<std::string> seen;
    std::string marked;
    long position = -1;
    for (int i = 0; const dirent* entry = readdir(directory); ++i) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        seen.insert(name);
        if (i == 1500) {
            position = telldir(directory);
            const dirent* following = readdir(directory);
            EXPECT(following != nullptr);
            marked = following->d_name;
            seekdir(directory, position);
        }
        if (i % 3 == 0) EXPECT(unlink(name.c_str()) == 0);
    }
    for (int i = 0; i < count; ++i)
        if (seen.count("n" + std::to_string(i)) != 1)
            throw Failure{"n" + std::to_string(i) + " seen " + std::to_string(seen.count("n" + std::to_string(i))) + " times"};
    seekdir(directory, position);
    const dirent* again = readdir(directory);
    EXPECT(again != nullptr && (marked == again->d_name || access(marked.c_str(), F_OK) != 0));
    const auto left = names_in(".");
    rewinddir(directory);
    std::size_t listed = 0;
    while (const dirent* entry = readdir(directory)) listed += entry->d_name[0] == 'n' && left.count(entry->d_name);
    closedir(directory);
    EXPECT(listed == left.size());
    EXPECT(left.size() < count);
}

void deep_paths_work() {
    std::string path = ".";
    for (int depth = 0; depth < 60; ++depth) {
        path += "/level" + std::to_string(depth);
        EXPECT(mkdir(path.c_str(), 0755) == 0);
    }
    write_file((path + "/f").c_str(), "deep");
    forget_cache();
    EXPECT(read_file((path + "/f").c_str()) == "deep");
}

// Names for all, one kind of file in ten: nodes and links cost one call each, files three, and the directory is the subject.
void make_many(int count) {
    write_file("first", "x");
    for (int i = 1; i < count; ++i) {
        const std::string name = "entry-" + std::to_string(i);
        int result = 0;
        if (i % 10 == 0) {
            const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
            result = fd < 0 ? -1 : close(fd);
        } else {
            result = i % 10 == 1 ? symlink("first", name.c_str()) : mknod(name.c_str(), S_IFIFO | 0644, 0);
        }
        if (result != 0) throw Failure{"making " + name + ": " + errno_text(errno)};
    }
}

void many_entries(int count) {
    make_many(count);
    forget_cache();
    EXPECT(static_cast<int>(names_in(".").size()) == count);
    for (int i = 10; i < count; i += count / 500) {
        const std::string name = "entry-" + std::to_string(i);
        EXPECT(stat_of(name.c_str()).st_nlink == 1);
    }
    EXPECT_ERRNO(access("entry-0", F_OK), ENOENT);
    for (int i = 1; i < count; ++i)
        if (unlink(("entry-" + std::to_string(i)).c_str()) != 0) throw Failure{"unlink " + std::to_string(i) + ": " + errno_text(errno)};
    forget_cache();
    EXPECT(names_in(".") == std::set<std::string>{"first"});
}

void directory_of_5000_entries() {
    many_entries(5000);
}

void directory_of_100000_entries() {
    many_entries(100000);
}

}  // namespace

std::vector<Check> directory_checks() {
    return {
        {"a_listing_shows_types_and_inodes", "", a_listing_shows_types_and_inodes},
        {"positions_hold_under_deletion", "", positions_hold_under_deletion},
        {"deep_paths_work", "", deep_paths_work},
        {"directory_of_5000_entries", "small", directory_of_5000_entries},
        {"directory_of_100000_entries", "huge", directory_of_100000_entries},
    };
}

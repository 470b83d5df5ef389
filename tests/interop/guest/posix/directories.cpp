// SPDX-License-Identifier: Apache-2.0
// Checks of directories: listing, positions under deletion, depth, more entries than fit one reply.
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <dirent.h>
#include <sys/syscall.h>

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

// More entries than a reply to READDIR holds, by far.
void directory_of_5000_entries() {
    const int count = 5000;
    for (int i = 0; i < count; ++i) {
        const std::string name = "entry-" + std::to_string(i);
        const int result = i % 10 == 0 ? symlink("x", name.c_str()) : mknod(name.c_str(), S_IFIFO | 0644, 0);
        if (result != 0) throw Failure{"making " + name + ": " + errno_text(errno)};
    }
    forget_cache();
    EXPECT(names_in(".").size() == static_cast<std::size_t>(count));
    for (int i = 0; i < count; i += 50) EXPECT(S_ISLNK(stat_of(("entry-" + std::to_string(i)).c_str()).st_mode));
    for (int i = 0; i < count; ++i)
        if (unlink(("entry-" + std::to_string(i)).c_str()) != 0) throw Failure{"unlink " + std::to_string(i) + ": " + errno_text(errno)};
    forget_cache();
    EXPECT(names_in(".").empty());
}

}  // namespace

std::vector<Check> directory_checks() {
    return {
        {"a_listing_shows_types_and_inodes", "", a_listing_shows_types_and_inodes},
        {"positions_hold_under_deletion", "", positions_hold_under_deletion},
        {"deep_paths_work", "", deep_paths_work},
        {"directory_of_5000_entries", "", directory_of_5000_entries},
    };
}

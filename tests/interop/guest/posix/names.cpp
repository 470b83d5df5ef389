// SPDX-License-Identifier: Apache-2.0
// Checks of names: links, nodes, renames, removal, and what a name may be.
#include <climits>
#include <cstdio>

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "check.h"

namespace {

void hard_links_share_one_inode() {
    write_file("a", "hello");
    EXPECT(link("a", "b") == 0);
    forget_cache();
    EXPECT(stat_of("a").st_nlink == 2);
    EXPECT(stat_of("a").st_ino == stat_of("b").st_ino);
    EXPECT(read_file("b") == "hello");
    EXPECT(unlink("a") == 0);
    EXPECT(stat_of("b").st_nlink == 1);
    EXPECT_ERRNO(link("b", "b"), EEXIST);
    EXPECT(mkdir("d", 0755) == 0);
    EXPECT_ERRNO(link("d", "e"), EPERM);
}

void symbolic_links_keep_any_target() {
    std::string target(1000, 'x');
    target.replace(10, 4, "/../");
    EXPECT(symlink(target.c_str(), "long") == 0);
    EXPECT(symlink("file", "short") == 0);
    write_file("file", "through the link");
    forget_cache();
    char buffer[PATH_MAX];
    const ssize_t size = readlink("long", buffer, sizeof buffer);
    EXPECT(size == 1000 && std::string(buffer, 1000) == target);
    EXPECT(stat_of("long").st_size == 1000);
    EXPECT(S_ISLNK(stat_of("short").st_mode));
    EXPECT(read_file("short") == "through the link");
    EXPECT_ERRNO(symlink("x", "short"), EEXIST);
    EXPECT_ERRNO(open("short", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT(symlink("loop", "loop") == 0);
    EXPECT_ERRNO(open("loop", O_RDONLY), ELOOP);
}

void special_nodes_keep_type_and_device() {
    EXPECT(mkfifo("fifo", 0640) == 0);
    EXPECT(mknod("char", S_IFCHR | 0600, makedev(300, 70000)) == 0);
    EXPECT(mknod("block", S_IFBLK | 0600, makedev(8, 17)) == 0);
    EXPECT(mknod("socket", S_IFSOCK | 0600, 0) == 0);
    forget_cache();
    EXPECT(S_ISFIFO(stat_of("fifo").st_mode) && (stat_of("fifo").st_mode & 07777) == 0640);
    EXPECT(S_ISCHR(stat_of("char").st_mode) && stat_of("char").st_rdev == makedev(300, 70000));
    EXPECT(S_ISBLK(stat_of("block").st_mode) && stat_of("block").st_rdev == makedev(8, 17));
    EXPECT(S_ISSOCK(stat_of("socket").st_mode));
}

void a_fifo_connects_two_ends() {
    EXPECT(mkfifo("fifo", 0600) == 0);
    File both("fifo", O_RDWR | O_NONBLOCK);
    EXPECT(write(both, "ping", 4) == 4);
    char buffer[4];
    EXPECT(read(both, buffer, 4) == 4 && std::memcmp(buffer, "ping", 4) == 0);
}

void names_up_to_255_bytes_of_utf8() {
    std::string wide;
    while (wide.size() + 4 <= 255) wide += "\xF0\x9F\x93\x81";  // a folder sign, 4 bytes
    wide += "abc";
    const std::vector<std::string> names = {wide,
                                            std::string(255, 'n'),
                                            "\xC3\xA9t\xC3\xA9",
                                            "e\xCC\x81te\xCC\x81",
                                            "\xE6\x97\xA5\xE6\x9C\xAC",
                                            " leading and trailing ",
                                            "a\\b:c*d?\"<>|",
                                            "new\nline",
                                            "-rf",
                                            "..."};
    for (const auto& name : names) write_file(name.c_str(), name);
    forget_cache();
    const auto listed = names_in(".");
    EXPECT(listed == std::set<std::string>(names.begin(), names.end()));
    for (const auto& name : names) EXPECT(read_file(name.c_str()) == name);
    EXPECT_ERRNO(open(std::string(256, 'n').c_str(), O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
    EXPECT_ERRNO(mkdir(std::string(256, 'n').c_str(), 0755), ENAMETOOLONG);
    EXPECT(pathconf(".", _PC_NAME_MAX) == 255);
}

void names_differ_by_case() {
    write_file("Name", "1");
    write_file("name", "2");
    forget_cache();
    EXPECT(read_file("Name") == "1" && read_file("name") == "2");
    EXPECT(rename("name", "NAME") == 0);
    EXPECT(names_in(".") == (std::set<std::string>{"Name", "NAME"}));
}

void rename_replaces_what_is_there() {
    write_file("from", "new");
    write_file("to", "old");
    const auto inode = stat_of("from").st_ino;
    EXPECT(rename("from", "to") == 0);
    forget_cache();
    EXPECT(read_file("to") == "new" && stat_of("to").st_ino == inode);
    EXPECT_ERRNO(open("from", O_RDONLY), ENOENT);
    EXPECT(link("to", "same") == 0);
    EXPECT(rename("same", "to") == 0);  // two names of one file: nothing happens
    EXPECT(stat_of("same").st_nlink == 2);
}

void rename_of_directories_follows_posix() {
    EXPECT(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0 && mkdir("empty", 0755) == 0 && mkdir("full", 0755) == 0);
    write_file("full/x", "x");
    write_file("file", "f");
    EXPECT_ERRNO(rename("a", "a/b/c"), EINVAL);
    errno = 0;
    EXPECT(rename("a", "full") < 0);
    EXPECT_ERRNO(rename("a", "file"), ENOTDIR);
    EXPECT_ERRNO(rename("file", "a"), EISDIR);
    EXPECT(rename("a", "empty") == 0);
    EXPECT(stat_of("empty/b").st_mode & S_IFDIR);
    EXPECT(rename("empty/b", "moved") == 0);
    forget_cache();
    EXPECT(stat_of("moved/..").st_ino == stat_of(".").st_ino);
    EXPECT(stat_of(".").st_nlink == 4 + 1 || stat_of(".").st_nlink == 1);  // ., .., empty, full, moved; or uncounted
}

void rename_over_an_open_file_keeps_it_readable() {
    write_file("victim", "still here");
    write_file("new", "new");
    File open_victim("victim", O_RDWR);
    EXPECT(rename("new", "victim") == 0);
    EXPECT(read_range(open_victim, 0, 100) == "still here");
    write_all(open_victim, "STILL", 0);
    EXPECT(fsync(open_victim) == 0);
    EXPECT(read_range(open_victim, 0, 100) == "STILL here");
    EXPECT(read_file("victim") == "new");
}

void unlink_of_an_open_file_keeps_it_usable() {
    File file("gone", O_RDWR | O_CREAT);
    write_all(file, pattern(100000, 5), 0);
    EXPECT(unlink("gone") == 0);
    EXPECT_ERRNO(open("gone", O_RDONLY), ENOENT);
    EXPECT(fsync(file) == 0);
    write_all(file, "tail", 100000);
    forget_cache();
    EXPECT(read_range(file, 0, 200000) == pattern(100000, 5) + "tail");
    EXPECT(ftruncate(file, 10) == 0);
    file.close();
    EXPECT(names_in(".").empty());
}

void exclusive_create_has_one_winner() {
    File first("lock", O_WRONLY | O_CREAT | O_EXCL, 0600);
    EXPECT_ERRNO(open("lock", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    EXPECT((stat_of("lock").st_mode & 07777) == 0600);
    EXPECT(symlink("nowhere", "dangling") == 0);
    EXPECT_ERRNO(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
}

void removal_refuses_the_wrong_kind() {
    EXPECT(mkdir("d", 0755) == 0);
    write_file("d/x", "x");
    write_file("f", "x");
    EXPECT_ERRNO(rmdir("d"), ENOTEMPTY);
    EXPECT_ERRNO(unlink("d"), EISDIR);
    EXPECT_ERRNO(rmdir("f"), ENOTDIR);
    EXPECT_ERRNO(unlink("missing"), ENOENT);
    EXPECT_ERRNO(mkdir("d", 0755), EEXIST);
    EXPECT_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("d", O_WRONLY), EISDIR);
    EXPECT(unlink("d/x") == 0 && rmdir("d") == 0);
    EXPECT_ERRNO(access("d", F_OK), ENOENT);
}

}  // namespace

std::vector<Check> name_checks() {
    return {
        {"hard_links_share_one_inode", "", hard_links_share_one_inode},
        {"symbolic_links_keep_any_target", "", symbolic_links_keep_any_target},
        {"special_nodes_keep_type_and_device", "", special_nodes_keep_type_and_device},
        {"a_fifo_connects_two_ends", "", a_fifo_connects_two_ends},
        {"names_up_to_255_bytes_of_utf8", "", names_up_to_255_bytes_of_utf8},
        {"names_differ_by_case", "", names_differ_by_case},
        {"rename_replaces_what_is_there", "", rename_replaces_what_is_there},
        {"rename_of_directories_follows_posix", "", rename_of_directories_follows_posix},
        {"rename_over_an_open_file_keeps_it_readable", "", rename_over_an_open_file_keeps_it_readable},
        {"unlink_of_an_open_file_keeps_it_usable", "", unlink_of_an_open_file_keeps_it_usable},
        {"exclusive_create_has_one_winner", "", exclusive_create_has_one_winner},
        {"removal_refuses_the_wrong_kind", "", removal_refuses_the_wrong_kind},
    };
}

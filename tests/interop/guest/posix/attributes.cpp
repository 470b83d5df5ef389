// SPDX-License-Identifier: Apache-2.0
// Checks of attributes: modes, owners, times, extended attributes and the file system's own figures.
#include <ctime>

#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/xattr.h>

#include "check.h"

namespace {

void chmod_and_chown_are_kept() {
    write_file("f", "x");
    EXPECT(mkdir("d", 0755) == 0);
    EXPECT(chmod("f", 04751) == 0 && chmod("d", 01777) == 0);
    EXPECT(chown("d", 1234, 5678) == 0);
    forget_cache();
    EXPECT((stat_of("f").st_mode & 07777) == 04751);
    EXPECT((stat_of("d").st_mode & 07777) == 01777);
    EXPECT(stat_of("d").st_uid == 1234 && stat_of("d").st_gid == 5678);
    EXPECT(symlink("f", "s") == 0);
    EXPECT(lchown("s", 77, 88) == 0);
    EXPECT(stat_of("s").st_uid == 77 && stat_of("f").st_uid == 0);
}

void chown_takes_away_setuid() {
    write_file("f", "x");
    EXPECT(chmod("f", 06755) == 0);
    EXPECT(chown("f", 1000, 1000) == 0);
    forget_cache();
    EXPECT((stat_of("f").st_mode & 06000) == 0);
}

void times_are_set_to_the_nanosecond() {
    write_file("f", "x");
    const timespec times[] = {{1000000001, 123456789}, {2000000002, 987654321}};
    EXPECT(utimensat(AT_FDCWD, "f", times, 0) == 0);
    EXPECT(symlink("f", "s") == 0);
    const timespec old[] = {{-100, 0}, {5, 7}};
    EXPECT(utimensat(AT_FDCWD, "s", old, AT_SYMLINK_NOFOLLOW) == 0);
    forget_cache();
    const auto status = stat_of("f");
    EXPECT(status.st_atim.tv_sec == 1000000001 && status.st_atim.tv_nsec == 123456789);
    EXPECT(status.st_mtim.tv_sec == 2000000002 && status.st_mtim.tv_nsec == 987654321);
    EXPECT(stat_of("s").st_mtim.tv_sec == 5 && stat_of("s").st_mtim.tv_nsec == 7);
    const timespec now[] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    EXPECT(utimensat(AT_FDCWD, "f", now, 0) == 0);
    forget_cache();
    const auto drift = time(nullptr) - stat_of("f").st_mtim.tv_sec;
    EXPECT(drift > -60 && drift < 60);
    EXPECT(stat_of("f").st_atim.tv_sec == 1000000001);
}

bool later(const timespec& one, const timespec& other) {
    return one.tv_sec > other.tv_sec || (one.tv_sec == other.tv_sec && one.tv_nsec > other.tv_nsec);
}

void changes_move_the_times() {
    write_file("f", "x");
    EXPECT(mkdir("d", 0755) == 0);
    forget_cache();
    const auto file = stat_of("f"), directory = stat_of("d");
    usleep(30000);
    write_file("d/new", "x");
    EXPECT(chmod("f", 0600) == 0);
    forget_cache();
    EXPECT(later(stat_of("f").st_ctim, file.st_ctim) && !later(stat_of("f").st_mtim, file.st_mtim));
    EXPECT(later(stat_of("d").st_mtim, directory.st_mtim));
    usleep(30000);
    {
        File out("f", O_WRONLY);
        write_all(out, "yy", 0);
        out.close();
    }
    forget_cache();
    EXPECT(later(stat_of("f").st_mtim, file.st_mtim));
    EXPECT(stat_of("f").st_size == 2);
}

void new_files_get_mode_owner_and_set_gid_group() {
    EXPECT(mkdir("d", 0755) == 0);
    EXPECT(chown("d", 0, 4321) == 0 && chmod("d", 02775) == 0);
    {
        File created("d/f", O_WRONLY | O_CREAT, 0666);
    }
    EXPECT(mkdir("d/sub", 0777) == 0);
    forget_cache();
    EXPECT(stat_of("d/f").st_gid == 4321 && stat_of("d/sub").st_gid == 4321);
    EXPECT((stat_of("d/f").st_mode & 0777) == 0644);
    EXPECT((stat_of("d/sub").st_mode & 07777) == 02755);
}

void the_file_system_has_figures() {
    struct statvfs figures;
    EXPECT(statvfs(".", &figures) == 0);
    EXPECT(figures.f_blocks > 0 && figures.f_bfree > 0 && figures.f_bfree <= figures.f_blocks);
    EXPECT(figures.f_bavail <= figures.f_bfree);
    EXPECT(figures.f_namemax == 255);
}

void blocks_grow_with_the_file() {
    write_file("f", pattern(4 << 20, 8));
    forget_cache();
    EXPECT(stat_of("f").st_blocks >= (4 << 20) / 512 / 2);
    EXPECT(stat_of("f").st_blocks <= (4 << 20) / 512 * 3);
}

void extended_attributes_round_trip() {
    write_file("f", "x");
    EXPECT(mkdir("d", 0755) == 0);
    const std::string big = pattern(40000, 6), value("a\0b", 3);
    EXPECT(setxattr("f", "user.small", value.data(), value.size(), 0) == 0);
    EXPECT(setxattr("f", "user.big", big.data(), big.size(), 0) == 0);
    EXPECT(setxattr("f", "user.empty", "", 0, 0) == 0);
    EXPECT(setxattr("d", "user.on_directory", "1", 1, 0) == 0);
    EXPECT_ERRNO(setxattr("f", "user.small", "x", 1, XATTR_CREATE), EEXIST);
    EXPECT_ERRNO(setxattr("f", "user.absent", "x", 1, XATTR_REPLACE), ENODATA);
    forget_cache();
    std::string buffer(65536, '\0');
    EXPECT(getxattr("f", "user.small", buffer.data(), buffer.size()) == 3 && buffer.substr(0, 3) == value);
    EXPECT(getxattr("f", "user.big", buffer.data(), buffer.size()) == 40000 && buffer.substr(0, 40000) == big);
    EXPECT(getxattr("f", "user.empty", buffer.data(), buffer.size()) == 0);
    EXPECT(getxattr("f", "user.big", nullptr, 0) == 40000);
    EXPECT_ERRNO(getxattr("f", "user.absent", buffer.data(), buffer.size()), ENODATA);
    const ssize_t size = listxattr("f", buffer.data(), buffer.size());
    EXPECT(size > 0);
    std::set<std::string> names;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size); at += std::strlen(buffer.c_str() + at) + 1)
        if (std::string_view(buffer.c_str() + at).starts_with("user.")) names.insert(buffer.c_str() + at);
    EXPECT(names == (std::set<std::string>{"user.small", "user.big", "user.empty"}));
    EXPECT(removexattr("f", "user.small") == 0);
    EXPECT_ERRNO(removexattr("f", "user.small"), ENODATA);
    EXPECT(read_file("f") == "x");
}

}  // namespace

std::vector<Check> attribute_checks() {
    return {
        {"chmod_and_chown_are_kept", "", chmod_and_chown_are_kept},
        {"chown_takes_away_setuid", "", chown_takes_away_setuid},
        {"times_are_set_to_the_nanosecond", "", times_are_set_to_the_nanosecond},
        {"changes_move_the_times", "", changes_move_the_times},
        {"new_files_get_mode_owner_and_set_gid_group", "", new_files_get_mode_owner_and_set_gid_group},
        {"the_file_system_has_figures", "", the_file_system_has_figures},
        {"blocks_grow_with_the_file", "", blocks_grow_with_the_file},
        {"extended_attributes_round_trip", "xattr", extended_attributes_round_trip},
    };
}

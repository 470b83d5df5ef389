// SPDX-License-Identifier: Apache-2.0
// permission_checks plain|squashed DIR: what uid 1000 and root may do on a share without and with root squash.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr uid_t user = 1000, stranger = 1001, nobody = 65534;
constexpr gid_t team = 2000;
int failures = 0;

// The parts are evaluated in the order written, as they are elements of a braced list.
void report(const char* name, std::initializer_list<std::string> parts) {
    std::string wrong;
    for (const std::string& part : parts) wrong += part;
    if (wrong.empty()) {
        std::printf("OK %s\n", name);
    } else {
        std::printf("FAIL %s %s\n", name, wrong.c_str());
        ++failures;
    }
}

// errno of `action` (0: it succeeded) done by a process of that uid, its gid the same number, with these further groups.
int as(uid_t uid, const std::vector<gid_t>& groups, const std::function<int()>& action) {
    const pid_t child = fork();
    if (child == 0) {
        if (setgroups(groups.size(), groups.data()) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) _exit(255);
        errno = 0;
        _exit(action() < 0 ? errno : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
}

// "" or a sentence saying that `what` gave another errno than expected.
std::string expect(const char* what, int got, int wanted) {
    if (got == wanted) return "";
    const auto name = [](int error) {
        const char* text = error ? strerrorname_np(error) : "success";
        return text ? std::string(text) : "errno " + std::to_string(error);
    };
    return std::string(what) + " gave " + name(got) + ", not " + name(wanted) + "; ";
}

std::function<int()> opens(const char* path, int flags) {
    return [=] {
        const int fd = open(path, flags, 0666);
        return fd < 0 ? -1 : close(fd);
    };
}

std::function<int()> writes(const char* path) {
    return [=] {
        const int fd = open(path, O_WRONLY);
        if (fd < 0 || write(fd, "w", 1) != 1) return -1;
        return close(fd);
    };
}

void make(const char* path, mode_t mode, uid_t uid, gid_t gid) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, "content", 7) != 7 || fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0 || close(fd) != 0)
        report("make", {std::string(path) + ": " + strerror(errno)});
}

void make_directory(const char* path, mode_t mode, uid_t uid, gid_t gid) {
    if (mkdir(path, 0700) != 0 || chown(path, uid, gid) != 0 || chmod(path, mode) != 0)
        report("make_directory", {std::string(path) + ": " + strerror(errno)});
}

struct stat stat_of(const char* path) {
    struct stat status = {};
    if (lstat(path, &status) != 0) report("stat", {std::string(path) + ": " + strerror(errno)});
    return status;
}

void files_on_a_plain_share() {
    make("secret", 0600, 0, 0);
    make("own", 0600, user, user);
    make("teams", 0640, 0, team);
    make("sealed", 0000, user, user);
    report("mode_bits_keep_others_out", {expect("read of root's 0600", as(user, {}, opens("secret", O_RDONLY)), EACCES),
                                         expect("write of root's 0600", as(user, {}, opens("secret", O_WRONLY)), EACCES),
                                         expect("own file", as(user, {}, opens("own", O_RDWR)), 0),
                                         expect("stranger", as(stranger, {}, opens("own", O_RDONLY)), EACCES)});
    report("further_groups_count", {expect("read by group", as(user, {5, team, 9}, opens("teams", O_RDONLY)), 0),
                                    expect("write by group", as(user, {team}, opens("teams", O_WRONLY)), EACCES),
                                    expect("read by others", as(user, {}, opens("teams", O_RDONLY)), EACCES)});
    report("root_passes_everywhere", {expect("root reads 0000", as(0, {}, opens("sealed", O_RDWR)), 0),
                                      expect("owner of 0000", as(user, {}, opens("sealed", O_RDONLY)), EACCES)});
    report("access_agrees_with_open", {expect("R_OK", as(user, {}, [] { return access("secret", R_OK); }), EACCES),
                                       expect("W_OK own", as(user, {}, [] { return access("own", W_OK); }), 0),
                                       expect("X_OK own", as(user, {}, [] { return access("own", X_OK); }), EACCES),
                                       expect("R_OK group", as(user, {team}, [] { return access("teams", R_OK); }), 0)});
}

void ownership_on_a_plain_share() {
    make("theirs", 0666, stranger, stranger);
    make("mine", 0644, user, user);
    const timespec past[] = {{1000, 0}, {1000, 0}};
    report("only_the_owner_changes_attributes",
           {expect("chmod", as(user, {}, [] { return chmod("theirs", 0600); }), EPERM),
            expect("chown away", as(user, {}, [] { return chown("mine", stranger, -1); }), EPERM),
            expect("chgrp to a foreign group", as(user, {}, [] { return chown("mine", -1, team); }), EPERM),
            expect("chgrp to an own group", as(user, {team}, [] { return chown("mine", -1, team); }), 0),
            expect("own chmod", as(user, {}, [] { return chmod("mine", 0600); }), 0),
            expect("set times of a writable file", as(user, {}, [&] { return utimensat(AT_FDCWD, "theirs", past, 0); }), EPERM),
            expect("touch a writable file", as(user, {}, [] { return utimensat(AT_FDCWD, "theirs", nullptr, 0); }), 0)});
    make("setuid", 06777, stranger, stranger);
    const int written = as(user, {}, writes("setuid"));
    report("a_write_by_another_takes_away_setuid",
           {expect("write", written, 0), ((stat_of("setuid").st_mode & 06000) ? "setuid or setgid is still there" : "")});
}

void directories_on_a_plain_share() {
    make_directory("closed", 0700, 0, 0);
    make("closed/f", 0666, 0, 0);
    make_directory("listable", 0744, 0, 0);
    make("listable/f", 0666, 0, 0);
    make_directory("passable", 0711, 0, 0);
    make("passable/f", 0666, 0, 0);
    make_directory("sticky", 01777, 0, 0);
    make("sticky/strangers", 0666, stranger, stranger);
    auto lists = [](const char* path) {
        return [=] {
            DIR* directory = opendir(path);
            if (!directory) return -1;
            const bool any = readdir(directory) != nullptr;
            return closedir(directory) == 0 && any ? 0 : -1;
        };
    };
    report("directories_need_search_and_read", {expect("open in 0700", as(user, {}, opens("closed/f", O_RDONLY)), EACCES),
                                                expect("list 0744", as(user, {}, lists("listable")), 0),
                                                expect("open in 0744", as(user, {}, opens("listable/f", O_RDONLY)), EACCES),
                                                expect("list 0711", as(user, {}, lists("passable")), EACCES),
                                                expect("open in 0711", as(user, {}, opens("passable/f", O_RDONLY)), 0)});
    report("directories_need_write_to_change",
           {expect("create in 0711", as(user, {}, opens("passable/new", O_WRONLY | O_CREAT)), EACCES),
            expect("unlink in 0711", as(user, {}, [] { return unlink("passable/f"); }), EACCES),
            expect("rename out of 0711", as(user, {}, [] { return rename("passable/f", "sticky/f"); }), EACCES)});
    report("sticky_directories_protect_files",
           {expect("unlink of another's", as(user, {}, [] { return unlink("sticky/strangers"); }), EPERM),
            expect("create", as(user, {}, opens("sticky/mine", O_WRONLY | O_CREAT)), 0),
            expect("rename over another's", as(user, {}, [] { return rename("sticky/mine", "sticky/strangers"); }), EPERM),
            expect("unlink of own", as(user, {}, [] { return unlink("sticky/mine"); }), 0)});
    as(user, {}, opens("sticky/made", O_WRONLY | O_CREAT));
    const auto made = stat_of("sticky/made");
    report("new_files_belong_to_their_maker",
           {made.st_uid == user && made.st_gid == user ? "" : "owner is " + std::to_string(made.st_uid)});
}

// The share's root belongs to `user`, mode 0755; root arrives as nobody.
void squashed_share() {
    report("squashed_root_is_a_stranger",
           {expect("create by root", as(0, {}, opens("by_root", O_WRONLY | O_CREAT)), EACCES),
            expect("mkdir by root", as(0, {}, [] { return mkdir("by_root_too", 0755); }), EACCES),
            expect("mkdir by the owner", as(user, {}, [] { return mkdir("owned", 0755); }), 0),
            expect("create by the owner", as(user, {}, opens("owned/open", O_WRONLY | O_CREAT)), 0),
            expect("create of a secret", as(user, {}, [] { return mknod("owned/secret", S_IFREG | 0600, 0); }), 0)});
    report("squashed_root_reads_what_all_may",
           {expect("0644", as(0, {}, opens("owned/open", O_RDONLY)), 0), expect("0600", as(0, {}, opens("owned/secret", O_RDONLY)), EACCES),
            expect("write of 0644", as(0, {}, opens("owned/open", O_WRONLY)), EACCES),
            expect("unlink", as(0, {}, [] { return unlink("owned/open"); }), EACCES),
            expect("chmod", as(0, {}, [] { return chmod("owned/open", 0777); }), EPERM),
            expect("chown", as(0, {}, [] { return chown("owned/open", 0, 0); }), EPERM)});
    report("the_owner_opens_a_drop_box", {expect("mkdir", as(user, {}, [] { return mkdir("drop", 0777); }), 0),
                                          expect("chmod", as(user, {}, [] { return chmod("drop", 01777); }), 0)});
    report("squashed_root_creates_as_nobody", {expect("create", as(0, {}, opens("drop/f", O_WRONLY | O_CREAT)), 0)});
    const auto dropped = stat_of("drop/f");
    report("the_file_belongs_to_nobody",
           {dropped.st_uid == nobody && dropped.st_gid == nobody ? ""
                                                                 : std::to_string(dropped.st_uid) + ":" + std::to_string(dropped.st_gid)});
    const auto owned = stat_of("owned/open");
    report("the_owners_files_stay_the_owners", {owned.st_uid == user && owned.st_gid == user ? "" : std::to_string(owned.st_uid)});
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    umask(022);
    if (argc != 3 || chdir(argv[2]) != 0) return 2;
    if (std::strcmp(argv[1], "squashed") == 0) {
        squashed_share();
    } else {
        files_on_a_plain_share();
        ownership_on_a_plain_share();
        directories_on_a_plain_share();
    }
    return failures;
}

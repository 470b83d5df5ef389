// SPDX-License-Identifier: Apache-2.0
// Checks of bytes: sizes, offsets, appending, mapping, direct and vectored I/O.
#include <algorithm>
#include <cstdlib>

#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "check.h"

namespace {

void files_of_every_size_come_back() {
    const std::size_t sizes[] = {0, 1, 511, 2047, 2048, 2049, 4095, 4096, 4097, 65536, 131071, 131072, 1048575, 1048577, 9000001};
    for (const std::size_t size : sizes) write_file(std::to_string(size).c_str(), pattern(size, static_cast<unsigned>(size)));
    forget_cache();
    for (const std::size_t size : sizes) {
        const std::string name = std::to_string(size);
        EXPECT(stat_of(name.c_str()).st_size == static_cast<off_t>(size));
        if (read_file(name.c_str()) != pattern(size, static_cast<unsigned>(size))) throw Failure{name + " bytes differ"};
    }
}

// Random overlapping writes, truncations and reads against a copy in memory, part of them after the cache was dropped.
void random_writes_match_a_model() {
    File file("f", O_RDWR | O_CREAT);
    std::string model;
    unsigned long long state = 42;
    auto next = [&](std::size_t bound) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<std::size_t>((state >> 33) % bound);
    };
    for (int step = 0; step < 400; ++step) {
        const std::size_t offset = next(3000000);
        if (step % 23 == 22) {
            EXPECT(ftruncate(file, static_cast<off_t>(offset)) == 0);
            model.resize(offset);
        } else {
            const std::string bytes = pattern(1 + next(step % 7 == 0 ? 300000 : 9000), static_cast<unsigned>(step));
            write_all(file, bytes, static_cast<off_t>(offset));
            if (model.size() < offset + bytes.size()) model.resize(offset + bytes.size());
            model.replace(offset, bytes.size(), bytes);
        }
        if (step % 80 == 79) {
            EXPECT(fsync(file) == 0);
            forget_cache();
            const std::string whole = read_range(file, 0, model.size() + 1);
            if (whole != model) {
                const auto where = std::mismatch(whole.begin(), whole.end(), model.begin(), model.end()).first - whole.begin();
                throw Failure{"step " + std::to_string(step) + ": sizes " + std::to_string(whole.size()) + " and " +
                              std::to_string(model.size()) + ", first difference at " + std::to_string(where)};
            }
        }
    }
}

void truncate_cuts_and_extends_with_zeros() {
    write_file("f", pattern(300000, 1));
    EXPECT(truncate("f", 100001) == 0);
    EXPECT(truncate("f", 200000) == 0);
    forget_cache();
    const std::string bytes = read_file("f");
    EXPECT(bytes.size() == 200000);
    EXPECT(bytes.substr(0, 100001) == pattern(300000, 1).substr(0, 100001));
    EXPECT(bytes.find_first_not_of('\0', 100001) == std::string::npos);
    File cut("f", O_WRONLY | O_TRUNC);
    EXPECT(stat_of("f").st_size == 0);
    EXPECT_ERRNO(ftruncate(cut, -1), EINVAL);
}

void append_writes_at_the_end() {
    File one("f", O_WRONLY | O_CREAT | O_APPEND);
    File two("f", O_WRONLY | O_APPEND);
    std::string expected;
    for (int i = 0; i < 200; ++i) {
        const std::string line = "line " + std::to_string(i) + "\n";
        EXPECT(write(i % 2 ? one : two, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
        expected += line;
    }
    one.close();
    two.close();
    forget_cache();
    EXPECT(read_file("f") == expected);
}

void a_shared_mapping_reads_and_writes() {
    const std::size_t size = 1 << 20;
    write_file("f", pattern(size, 3));
    {
        File file("f", O_RDWR);
        char* map = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
        EXPECT(map != MAP_FAILED);
        EXPECT(std::string_view(map, size) == pattern(size, 3));
        for (std::size_t i = 0; i < size; i += 5000) map[i] = 'M';
        EXPECT(msync(map, size, MS_SYNC) == 0);
        EXPECT(munmap(map, size) == 0);
    }
    forget_cache();
    std::string expected = pattern(size, 3);
    for (std::size_t i = 0; i < size; i += 5000) expected[i] = 'M';
    EXPECT(read_file("f") == expected);
}

void a_mapping_sees_writes_and_holes() {
    File file("f", O_RDWR | O_CREAT);
    EXPECT(ftruncate(file, 65536) == 0);
    char* map = static_cast<char*>(mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    EXPECT(map != MAP_FAILED);
    EXPECT(map[40000] == 0);
    write_all(file, "seen", 40000);
    EXPECT(std::string_view(map + 40000, 4) == "seen");
    map[50000] = '!';
    EXPECT(read_range(file, 50000, 1) == "!");
    EXPECT(munmap(map, 65536) == 0);
}

void direct_and_vectored_io_agree() {
    File file("f", O_RDWR | O_CREAT | O_DIRECT);
    void* memory = nullptr;
    EXPECT(posix_memalign(&memory, 4096, 1 << 20) == 0);
    const std::string bytes = pattern(1 << 20, 9);
    std::memcpy(memory, bytes.data(), bytes.size());
    EXPECT(pwrite(file, memory, bytes.size(), 4096) == static_cast<ssize_t>(bytes.size()));
    File plain("f", O_RDWR);
    EXPECT(read_range(plain, 4096, bytes.size()) == bytes);
    char left[10], right[20];
    const iovec parts[] = {{left, 10}, {right, 20}};
    EXPECT(preadv(plain, parts, 2, 4096) == 30);
    EXPECT(std::string(left, 10) + std::string(right, 20) == bytes.substr(0, 30));
    std::memset(memory, 0, bytes.size());
    EXPECT(pread(file, memory, bytes.size(), 4096) == static_cast<ssize_t>(bytes.size()));
    EXPECT(std::memcmp(memory, bytes.data(), bytes.size()) == 0);
    free(memory);
}

void synchronous_writes_and_big_offsets() {
    File file("f", O_RDWR | O_CREAT | O_SYNC);
    const off_t far = (1LL << 40) + 12345;
    write_all(file, "far away", far);
    write_all(file, "near", 0);
    forget_cache();
    EXPECT(stat_of("f").st_size == far + 8);
    EXPECT(read_range(file, far, 100) == "far away");
    EXPECT(read_range(file, 1LL << 39, 4096) == std::string(4096, '\0'));
    EXPECT(read_range(file, far + 8, 10).empty());
}

// Waits for the child; true when it exited with 0.
bool succeeded(pid_t child) {
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void record_locks_exclude_other_processes() {
    File file("f", O_RDWR | O_CREAT);
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_start = 100;
    range.l_len = 50;
    EXPECT(fcntl(file, F_SETLK, &range) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const int own = open("f", O_RDWR);
        struct flock other = {};
        other.l_type = F_WRLCK;
        other.l_start = 149;
        other.l_len = 1;
        const bool blocked = fcntl(own, F_SETLK, &other) < 0 && (errno == EAGAIN || errno == EACCES);
        other.l_start = 150;
        const bool granted = fcntl(own, F_SETLK, &other) == 0;
        _exit(blocked && granted ? 0 : 1);
    }
    EXPECT(succeeded(child));
    range.l_type = F_UNLCK;
    range.l_start = 120;
    range.l_len = 10;  // splits the lock in two
    EXPECT(fcntl(file, F_SETLK, &range) == 0);
    const pid_t second = fork();
    if (second == 0) {
        const int own = open("f", O_RDWR);
        struct flock other = {};
        other.l_type = F_RDLCK;
        other.l_start = 120;
        other.l_len = 10;
        const bool granted = fcntl(own, F_SETLK, &other) == 0;
        other.l_start = 119;
        other.l_len = 1;
        const bool blocked = fcntl(own, F_SETLK, &other) < 0;
        _exit(granted && blocked ? 0 : 1);
    }
    EXPECT(succeeded(second));
}

}  // namespace

std::vector<Check> data_checks() {
    return {
        {"files_of_every_size_come_back", "", files_of_every_size_come_back},
        {"random_writes_match_a_model", "", random_writes_match_a_model},
        {"truncate_cuts_and_extends_with_zeros", "", truncate_cuts_and_extends_with_zeros},
        {"append_writes_at_the_end", "", append_writes_at_the_end},
        {"a_shared_mapping_reads_and_writes", "", a_shared_mapping_reads_and_writes},
        {"a_mapping_sees_writes_and_holes", "", a_mapping_sees_writes_and_holes},
        {"direct_and_vectored_io_agree", "", direct_and_vectored_io_agree},
        {"synchronous_writes_and_big_offsets", "", synchronous_writes_and_big_offsets},
        {"record_locks_exclude_other_processes", "", record_locks_exclude_other_processes},
    };
}

// SPDX-License-Identifier: Apache-2.0
// Checks of holes, preallocation and copies made by the server. Most need NFSv4.2.
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "check.h"

namespace {

constexpr off_t mib = 1 << 20;

void a_sparse_file_reads_zeros_and_takes_no_space() {
    File file("f", O_RDWR | O_CREAT);
    write_all(file, "begin", 0);
    write_all(file, "end", 64 * mib);
    EXPECT(fsync(file) == 0);
    forget_cache();
    EXPECT(stat_of("f").st_size == 64 * mib + 3);
    EXPECT(stat_of("f").st_blocks < 32 * mib / 512);
    EXPECT(read_range(file, 0, 5) == "begin");
    EXPECT(read_range(file, 30 * mib, 100000) == std::string(100000, '\0'));
    EXPECT(read_range(file, 64 * mib, 10) == "end");
}

// Ends of holes and data may be rounded by the server, but never so that data is called a hole.
void seek_finds_data_and_holes() {
    File file("f", O_RDWR | O_CREAT);
    write_all(file, pattern(mib, 1), 8 * mib);
    write_all(file, pattern(mib, 2), 32 * mib);
    EXPECT(ftruncate(file, 48 * mib) == 0);
    EXPECT(fsync(file) == 0);
    forget_cache();
    const off_t data = lseek(file, 0, SEEK_DATA);
    EXPECT(data > 4 * mib && data <= 8 * mib);
    EXPECT(lseek(file, 8 * mib + 5, SEEK_DATA) == 8 * mib + 5);
    const off_t hole = lseek(file, 8 * mib, SEEK_HOLE);
    EXPECT(hole >= 9 * mib && hole < 16 * mib);
    const off_t second = lseek(file, hole, SEEK_DATA);
    EXPECT(second > 20 * mib && second <= 32 * mib);
    EXPECT(lseek(file, 0, SEEK_HOLE) == 0);
    EXPECT_ERRNO(lseek(file, 40 * mib, SEEK_DATA), ENXIO);
    EXPECT_ERRNO(lseek(file, 48 * mib, SEEK_HOLE), ENXIO);
}

void preallocation_extends_and_keeps_data() {
    File file("f", O_RDWR | O_CREAT);
    write_all(file, "kept", 0);
    EXPECT(fallocate(file, 0, 0, 5 * mib) == 0);
    forget_cache();
    EXPECT(stat_of("f").st_size == 5 * mib);
    EXPECT(read_range(file, 0, 8) == std::string("kept\0\0\0\0", 8));
    write_all(file, "inside", 3 * mib);
    EXPECT(read_range(file, 3 * mib, 6) == "inside");
}

void a_punched_hole_reads_zeros() {
    File file("f", O_RDWR | O_CREAT);
    const std::string bytes = pattern(8 * mib, 4);
    write_all(file, bytes, 0);
    EXPECT(fsync(file) == 0);
    EXPECT(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, mib + 100, 5 * mib) == 0);
    forget_cache();
    EXPECT(stat_of("f").st_size == 8 * mib);
    std::string expected = bytes;
    expected.replace(mib + 100, 5 * mib, 5 * mib, '\0');
    EXPECT(read_range(file, 0, 9 * mib) == expected);
    const off_t hole = lseek(file, 0, SEEK_HOLE);
    EXPECT(hole >= mib + 100 && hole < 3 * mib);
    EXPECT(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7 * mib, 9 * mib) == 0);  // past the end
    EXPECT(stat_of("f").st_size == 8 * mib);
}

void copy_file_range_copies() {
    const std::string bytes = pattern(5 * mib + 777, 7);
    write_file("from", bytes);
    File from("from", O_RDONLY), to("to", O_RDWR | O_CREAT);
    loff_t in = 1000, out = 5000;
    std::size_t left = bytes.size() - 1000;
    while (left > 0) {
        const ssize_t done = copy_file_range(from, &in, to, &out, left, 0);
        EXPECT(done > 0);
        left -= static_cast<std::size_t>(done);
    }
    EXPECT(fsync(to) == 0);
    forget_cache();
    EXPECT(read_range(to, 0, bytes.size() * 2) == std::string(5000, '\0') + bytes.substr(1000));
    write_all(to, "changed", 5000);
    EXPECT(read_file("from") == bytes);
}

void a_clone_is_independent() {
    const std::string bytes = pattern(4 * mib, 11);
    write_file("from", bytes);
    File from("from", O_RDWR), to("to", O_RDWR | O_CREAT);
    EXPECT(ioctl(to, FICLONE, static_cast<int>(from)) == 0);
    write_all(to, "clone", 100);
    write_all(from, "origin", 2 * mib);
    EXPECT(fsync(to) == 0 && fsync(from) == 0);
    forget_cache();
    std::string clone = bytes, origin = bytes;
    clone.replace(100, 5, "clone");
    origin.replace(2 * mib, 6, "origin");
    EXPECT(read_file("to") == clone);
    EXPECT(read_file("from") == origin);
    file_clone_range range = {};
    range.src_fd = from;
    range.src_offset = mib;
    range.src_length = mib;
    range.dest_offset = 6 * mib;
    EXPECT(ioctl(to, FICLONERANGE, &range) == 0);
    EXPECT(unlink("from") == 0);
    forget_cache();
    EXPECT(read_range(to, 6 * mib, 2 * mib) == bytes.substr(mib, mib));
    EXPECT(stat_of("to").st_size == 7 * mib);
}

}  // namespace

std::vector<Check> space_checks() {
    return {
        {"a_sparse_file_reads_zeros_and_takes_no_space", "", a_sparse_file_reads_zeros_and_takes_no_space},
        {"seek_finds_data_and_holes", "seek", seek_finds_data_and_holes},
        {"preallocation_extends_and_keeps_data", "allocate", preallocation_extends_and_keeps_data},
        {"a_punched_hole_reads_zeros", "allocate", a_punched_hole_reads_zeros},
        {"copy_file_range_copies", "", copy_file_range_copies},
        {"a_clone_is_independent", "clone", a_clone_is_independent},
    };
}

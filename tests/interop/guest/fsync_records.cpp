// SPDX-License-Identifier: Apache-2.0
// fsync_records write DIR LOG STOPFILE SEED   load that remembers what the server promised, until STOPFILE exists
// fsync_records verify DIR LOG                all that was promised is there with the right bytes
// fsync_records contend FILE STOPFILE         tries the lock that `write` holds; getting it before STOPFILE exists is a failure;
//                                             prints `MARK contending` once it was refused
//
// A promise is a write followed by a successful fsync, an O_SYNC write that returned, or a name operation that returned. LOG
// (outside the mount) holds one line a promise that is still in force at the end:
//   append FILE OFFSET SIZE SEED | name FILE SIZE SEED | gone FILE | slot FILE INDEX SEED
// `write` prints `MARK acked N` twice a second. Its holder thread keeps a record lock, an open file and an unlinked open file
// and uses them all the time: a client kernel that lost one of them in a restart of the server answers EIO or ESTALE.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr std::size_t slot_bytes = 4096;
constexpr int slot_count = 1024;
const char* stop_path = nullptr;
std::atomic<bool> failed = false;
std::atomic<long> acked = 0;

std::string pattern(std::size_t size, unsigned long seed) {
    std::string bytes(size, '\0');
    unsigned long long state = seed * 0x9E3779B97F4A7C15ULL + 7;
    for (std::size_t i = 0; i < size; i += 8) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        const unsigned long long mixed = state ^ (state >> 29);
        std::memcpy(bytes.data() + i, &mixed, std::min<std::size_t>(8, size - i));
    }
    return bytes;
}

void fail(const std::string& name, const std::string& reason) {
    failed = true;
    static std::mutex one_line;
    const std::lock_guard guard(one_line);
    std::printf("FAIL %s %s\n", name.c_str(), reason.c_str());
}

bool stopping() { return failed || access(stop_path, F_OK) == 0; }

bool write_at(int fd, const std::string& bytes, off_t offset) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = pwrite(fd, bytes.data() + done, bytes.size() - done, offset + static_cast<off_t>(done));
        if (count <= 0) return false;
        done += static_cast<std::size_t>(count);
    }
    return true;
}

// The promised bytes, read past the client's cache; "" or what is wrong.
std::string compare(const std::string& path, off_t offset, std::size_t size, unsigned long seed) {
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0) return "open: " + std::string(strerror(errno));
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t count = pread(fd, bytes.data() + have, size - have, offset + static_cast<off_t>(have));
        if (count < 0) {
            const std::string text = "read: " + std::string(strerror(errno));
            close(fd);
            return text;
        }
        if (count == 0) break;
        have += static_cast<std::size_t>(count);
    }
    close(fd);
    if (have < size) return "only " + std::to_string(have) + " of " + std::to_string(size) + " bytes at " + std::to_string(offset);
    const std::string wanted = pattern(size, seed);
    if (bytes == wanted) return "";
    std::size_t at = 0;
    while (bytes[at] == wanted[at]) ++at;
    return "wrong byte at " + std::to_string(offset + static_cast<off_t>(at)) +
           (bytes.find_first_not_of('\0', at) == std::string::npos ? " (zeros to the end)" : "");
}

// Appends with fsync to one file after another; reads older records back now and then.
void appender(std::string directory, unsigned long seed, std::vector<std::string>& promises) {
    std::mt19937_64 random(seed);
    struct Record {
        std::string path;
        off_t offset;
        std::size_t size;
        unsigned long seed;
    };
    std::deque<Record> records;
    for (int number = 0; !stopping(); ++number) {
        const std::string name = "append-" + std::to_string(number), path = directory + "/" + name;
        const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644);
        if (fd < 0) return fail("append_open", name + ": " + strerror(errno));
        off_t offset = 0;
        for (int i = 0; i < 40 && !stopping(); ++i) {
            const Record record{path, offset, 1 + random() % (random() % 8 == 0 ? 700000 : 30000), random() % 1000000007};
            if (!write_at(fd, pattern(record.size, record.seed), offset)) return fail("append_write", strerror(errno));
            if (fsync(fd) != 0) return fail("append_fsync", strerror(errno));
            promises.push_back("append " + name + " " + std::to_string(offset) + " " + std::to_string(record.size) + " " +
                               std::to_string(record.seed));
            offset += static_cast<off_t>(record.size);
            records.push_back(record);
            ++acked;
            if (i % 5 != 4) continue;
            const Record& old = records[random() % records.size()];
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            if (const auto wrong = compare(old.path, old.offset, old.size, old.seed); !wrong.empty())
                return fail("append_read", old.path + ": " + wrong);
        }
        if (close(fd) != 0) return fail("append_close", strerror(errno));
    }
}

// A name operation whose reply died with the server is sent again to the next one, which has no reply cache of before (RFC 8881,
// 2.10.6.5: only a persistent session has): "not there" or "is there" then mean that it was done.
bool there(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool make_folder(const std::string& path) { return mkdir(path.c_str(), 0755) == 0 || (errno == EEXIST && there(path)); }

bool move(const std::string& from, const std::string& to) {
    return rename(from.c_str(), to.c_str()) == 0 || (errno == ENOENT && there(to) && !there(from));
}

bool remove_name(const std::string& path) { return unlink(path.c_str()) == 0 || (errno == ENOENT && !there(path)); }

// Makes files under a temporary name, renames them into place, removes every third again, in directories that come and go.
void renamer(std::string directory, unsigned long seed, std::vector<std::string>& promises) {
    std::mt19937_64 random(seed);
    for (int number = 0; !stopping(); ++number) {
        const std::string folder = "d" + std::to_string(number / 20), temporary = directory + "/t" + std::to_string(number);
        if (number % 20 == 0 && !make_folder(directory + "/" + folder)) return fail("name_mkdir", strerror(errno));
        const std::string name = folder + "/n" + std::to_string(number), path = directory + "/" + name;
        const std::size_t size = random() % 6000;
        const unsigned long content = random() % 1000000007;
        const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0) return fail("name_create", temporary + ": " + strerror(errno));
        if (!write_at(fd, pattern(size, content), 0) || fsync(fd) != 0 || close(fd) != 0) return fail("name_write", strerror(errno));
        if (!move(temporary, path)) return fail("name_rename", strerror(errno));
        ++acked;
        if (number % 3 == 2) {
            if (!remove_name(path)) return fail("name_unlink", strerror(errno));
            promises.push_back("gone " + name);
            ++acked;
        } else {
            promises.push_back("name " + name + " " + std::to_string(size) + " " + std::to_string(content));
        }
    }
}

// Overwrites slots of one file through O_SYNC; only the last version of a slot counts.
void overwriter(std::string directory, unsigned long seed, std::vector<std::string>& promises) {
    std::mt19937_64 random(seed);
    std::map<int, unsigned long> latest;
    const int fd = open((directory + "/slots").c_str(), O_RDWR | O_CREAT | O_SYNC, 0644);
    if (fd < 0) return fail("slot_open", strerror(errno));
    while (!stopping()) {
        const int index = static_cast<int>(random() % slot_count);
        const unsigned long version = random() % 1000000007;
        if (!write_at(fd, pattern(slot_bytes, version), index * static_cast<off_t>(slot_bytes))) return fail("slot_write", strerror(errno));
        latest[index] = version;
        ++acked;
    }
    if (close(fd) != 0) return fail("slot_close", strerror(errno));
    for (const auto& [index, version] : latest) promises.push_back("slot slots " + std::to_string(index) + " " + std::to_string(version));
}

// Holds and uses what must outlive a restart of the server.
void holder(std::string directory) {
    const std::string path = directory + "/held";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0666), gone = open((directory + "/unlinked").c_str(), O_RDWR | O_CREAT, 0600);
    if (fd < 0 || gone < 0 || unlink((directory + "/unlinked").c_str()) != 0) return fail("hold_open", strerror(errno));
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_len = 100;
    if (fcntl(fd, F_SETLK, &range) != 0) return fail("hold_lock", strerror(errno));
    std::printf("MARK holding\n");
    for (unsigned long round = 1; !stopping(); ++round) {
        const std::string bytes = pattern(5000, round);
        for (const int file : {fd, gone}) {
            const char* which = file == fd ? "held file" : "unlinked file";
            if (!write_at(file, bytes, 0) || fsync(file) != 0) return fail("hold_write", std::string(which) + ": " + strerror(errno));
            posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            std::string back(bytes.size(), '\0');
            if (pread(file, back.data(), back.size(), 0) != static_cast<ssize_t>(back.size()))
                return fail("hold_read", std::string(which) + ": " + strerror(errno));
            if (back != bytes) return fail("hold_read", std::string(which) + ": other bytes");
        }
        ++acked;
        usleep(100000);
    }
    range.l_type = F_UNLCK;
    if (fcntl(fd, F_SETLK, &range) != 0) return fail("hold_unlock", strerror(errno));
    if (close(fd) != 0 || close(gone) != 0) return fail("hold_close", strerror(errno));
}

int write_load(const std::string& directory, const char* log_path, unsigned long seed) {
    std::vector<std::string> promises[3];
    std::thread threads[] = {std::thread(appender, directory, seed + 1, std::ref(promises[0])),
                             std::thread(renamer, directory, seed + 2, std::ref(promises[1])),
                             std::thread(overwriter, directory, seed + 3, std::ref(promises[2])), std::thread(holder, directory)};
    while (!stopping()) {
        usleep(500000);
        std::printf("MARK acked %ld\n", acked.load());
    }
    for (auto& thread : threads) thread.join();
    std::ofstream log(log_path);
    for (const auto& list : promises)
        for (const auto& line : list) log << line << "\n";
    log.close();
    std::printf("MARK total %ld\n", acked.load());
    return failed || !log ? 1 : 0;
}

int verify(const std::string& directory, const char* log_path) {
    std::ifstream log(log_path);
    std::string line;
    int wrong = 0, count = 0;
    for (; std::getline(log, line); ++count) {
        std::istringstream in(line);
        std::string kind, name, result;
        in >> kind >> name;
        const std::string path = directory + "/" + name;
        unsigned long a = 0, b = 0, c = 0;
        in >> a >> b >> c;
        if (kind == "append") result = compare(path, static_cast<off_t>(a), b, c);
        if (kind == "slot") result = compare(path, static_cast<off_t>(a * slot_bytes), slot_bytes, b);
        if (kind == "name") {
            struct stat status;
            result = compare(path, 0, a, b);
            if (result.empty() && (stat(path.c_str(), &status) != 0 || status.st_size != static_cast<off_t>(a))) result = "another size";
        }
        if (kind == "gone" && access(path.c_str(), F_OK) == 0) result = "is there again";
        if (!result.empty() && ++wrong <= 5) std::printf("%s: %s\n", line.c_str(), result.c_str());
    }
    std::printf("%d of %d promises broken\n", wrong, count);
    return wrong || count == 0 ? 1 : 0;
}

int contend(const char* path) {
    const int fd = open(path, O_RDWR);
    if (fd < 0) {
        std::printf("FAIL lock_is_still_held open: %s\n", strerror(errno));
        return 1;
    }
    int refused = 0;
    while (!stopping()) {
        struct flock range = {};
        range.l_type = F_WRLCK;
        range.l_start = 50;
        range.l_len = 1;
        if (fcntl(fd, F_SETLK, &range) == 0) {
            if (access(stop_path, F_OK) == 0) break;
            std::printf("FAIL lock_is_still_held another client got it after %d refusals\n", refused);
            return 1;
        }
        if (errno != EAGAIN && errno != EACCES) {
            std::printf("FAIL lock_is_still_held %s\n", strerror(errno));
            return 1;
        }
        if (++refused == 1) std::printf("MARK contending\n");
        usleep(300000);
    }
    std::printf(refused ? "OK lock_is_still_held\n" : "FAIL lock_is_still_held it was never tried\n");
    return refused ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "write" && argc == 6) {
        stop_path = argv[4];
        return write_load(argv[2], argv[3], std::strtoul(argv[5], nullptr, 10));
    }
    if (verb == "verify" && argc == 4) return verify(argv[2], argv[3]);
    if (verb == "contend" && argc == 4) {
        stop_path = argv[3];
        return contend(argv[2]);
    }
    return 2;
}

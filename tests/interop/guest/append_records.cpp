// SPDX-License-Identifier: Apache-2.0
// append_records write FILE CLIENT COUNT flock|fcntl: appends COUNT records of this client, each batch of 1 to 8 under a lock.
// append_records verify FILE CLIENTS COUNT: every record of every client is there once, whole and in its client's order.
//
// A record is a line `client sequence filler checksum` of 30 to 200 bytes. Locks are tried without waiting most of the time,
// as the client kernel polls a refused lock only once a second and the two writers would then take turns, not contend.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

unsigned checksum(const std::string& text) {
    unsigned sum = 2166136261u;
    for (const char byte : text) sum = (sum ^ static_cast<unsigned char>(byte)) * 16777619u;
    return sum;
}

std::string record(int client, int sequence) {
    unsigned state = static_cast<unsigned>(client) * 7919u + static_cast<unsigned>(sequence) * 104729u + 1;
    std::string filler(10 + (state >> 4) % 150, ' ');
    for (char& byte : filler) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<char>('a' + (state >> 24) % 26);
    }
    const std::string body = std::to_string(client) + " " + std::to_string(sequence) + " " + filler;
    return body + " " + std::to_string(checksum(body)) + "\n";
}

int lock(int fd, bool whole_file, bool wait) {
    if (whole_file) return flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
    struct flock range = {};
    range.l_type = F_WRLCK;
    return fcntl(fd, wait ? F_SETLKW : F_SETLK, &range);
}

int unlock(int fd, bool whole_file) {
    if (whole_file) return flock(fd, LOCK_UN);
    struct flock range = {};
    range.l_type = F_UNLCK;
    return fcntl(fd, F_SETLK, &range);
}

int fail(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

unsigned next_random(unsigned& state) { return (state = state * 1664525u + 1013904223u) >> 16; }

// Tries until it has the lock; every 256th time it lets the kernel wait. False on an error.
bool take_lock(int fd, bool whole_file, int batch, unsigned& random, int& refused) {
    while (lock(fd, whole_file, batch % 256 == 255) != 0) {
        if (errno != EWOULDBLOCK && errno != EAGAIN && errno != EACCES && errno != EINTR) return false;
        ++refused;
        usleep(500 + next_random(random) % 2000);
    }
    return true;
}

int write_records(const char* path, int client, int count, bool whole_file) {
    const int fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0666);
    if (fd < 0) return fail("open");
    unsigned random = static_cast<unsigned>(client) * 48271u;
    int sequence = 0, batches = 0, refused = 0;
    off_t own_bytes = 0;
    for (bool met = false; sequence < count; ++batches) {
        if (!take_lock(fd, whole_file, batches, random, refused)) return fail("lock");
        struct stat status;
        if (fstat(fd, &status) != 0) return fail("fstat");
        // After its first batch a client waits until another one has written too, so that they do contend.
        met = met || status.st_size > own_bytes;
        for (unsigned left = sequence == 0 || met ? 1 + next_random(random) % 8 : 0; left > 0 && sequence < count; --left) {
            const std::string line = record(client, sequence++);
            if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return fail("write");
            own_bytes += static_cast<off_t>(line.size());
        }
        if (unlock(fd, whole_file) != 0) return fail("unlock");
        usleep(met ? 100 : 20000);
    }
    if (close(fd) != 0) return fail("close");
    std::printf("client %d: %d records in %d batches, %d refused locks\n", client, count, batches, refused);
    return 0;
}

int verify(const char* path, int clients, int count) {
    std::ifstream in(path);
    std::map<int, int> next;
    std::string line;
    int turns = 0, previous = 0;
    for (int number = 1; std::getline(in, line); ++number) {
        int client = 0, sequence = -1;
        std::istringstream(line) >> client >> sequence;
        if (client < 1 || client > clients || line + "\n" != record(client, sequence)) {
            std::printf("line %d is torn: %.80s\n", number, line.c_str());
            return 1;
        }
        if (sequence != next[client]) {
            std::printf("line %d: client %d has record %d where %d was due\n", number, client, sequence, next[client]);
            return 1;
        }
        ++next[client];
        turns += client != previous;
        previous = client;
    }
    for (int client = 1; client <= clients; ++client) {
        if (next[client] != count) {
            std::printf("client %d: %d of %d records\n", client, next[client], count);
            return 1;
        }
    }
    std::printf("MARK turns %d\n", turns);
    return turns > clients ? 0 : 1;  // one wholly after the other would prove nothing
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 6 && std::strcmp(argv[1], "write") == 0)
        return write_records(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::strcmp(argv[5], "flock") == 0);
    if (argc == 5 && std::strcmp(argv[1], "verify") == 0) return verify(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    return 2;
}

// SPDX-License-Identifier: Apache-2.0
// Reading /proc/PID/stat and statm (proc(5)).
#include "tests/bench/process.h"

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

std::string read_proc(int pid, const char* name) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (text.empty()) fail("no process " + std::to_string(pid));
    return text;
}

}  // namespace

std::uint64_t cpu_us(int pid) {
    const std::string text = read_proc(pid, "stat");
    // Field 2, the command in parentheses, may hold spaces; utime and stime are fields 14 and 15.
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> user >> system;
    return (user + system) * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t own_cpu_us() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& time) { return static_cast<std::uint64_t>(time.tv_sec * 1'000'000 + time.tv_usec); };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

std::uint64_t resident_bytes(int pid) {
    std::istringstream fields(read_proc(pid, "statm"));
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    fields >> size >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace strata::bench

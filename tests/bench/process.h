// SPDX-License-Identifier: Apache-2.0
// What /proc tells about the server under test.
#pragma once

#include <cstdint>

namespace strata::bench {

// CPU time of all threads so far, user and system, in microseconds (in steps of the kernel's tick, 10 ms). Throws Failure if there
// is no such process.
std::uint64_t cpu_us(int pid);

// CPU time of this process, in microseconds.
std::uint64_t own_cpu_us();

// Resident memory in bytes.
std::uint64_t resident_bytes(int pid);

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// What one run of nfs_load does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/session.h"

namespace strata::bench {

struct Options {
    enum class Mode { load, idle };

    Mode mode = Mode::load;
    Target target;
    std::vector<std::string> rows;
    std::uint32_t connections = 4;
    std::uint32_t depth = 16;  // requests in flight on each connection
    std::uint32_t threads = 1;
    std::uint32_t spin_us = 20;  // look for replies so long before sleeping
    double seconds = 5;
    double warm_up_seconds = 0.5;
    std::uint64_t operations_max = 0;  // of a row; 0: the row's own bound
    bool one_session = false;          // all connections bound to one session
    int server_pid = 0;                // 0: unknown
    std::uint32_t files = 1000;        // of getattr and lookup
    std::uint32_t entries = 10000;     // of readdir
    bool plain_readdir = false;        // `ls` instead of `ls -l`
    std::uint32_t file_mib = 0;        // of read and write; 0: the row's own size
    std::uint32_t commit_every = 0;    // writes on a connection between COMMITs; 0: the row's own number
    std::uint32_t verify_every = 16;   // replies of READ between full comparisons
    std::uint32_t count = 1000;        // idle connections
    bool sessions = false;             // idle connections have sessions
};

// Throws Failure with what is wrong. `--help` prints the options and ends the program.
Options parse_options(int argc, char** argv);

}  // namespace strata::bench

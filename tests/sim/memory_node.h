// SPDX-License-Identifier: Apache-2.0
// MemoryFileSystem's object: attributes, pages, names. Private to its two source files.
#pragma once

#include <map>
#include <string>

#include "tests/sim/memory_file_system.h"

namespace strata::sim {

struct MemoryFileSystem::Node {
    struct Name {
        std::uint64_t cookie = 0;
        std::uint64_t inode = 0;
    };
    vfs::Attributes a;
    std::map<std::uint64_t, std::unique_ptr<Page>> pages;  // by page number; absent: a hole
    std::map<std::string, std::string, std::less<>> xattrs;
    std::string symlink_target;
    std::map<std::string, Name, std::less<>> names;
    std::map<std::uint64_t, std::string> by_cookie;
    std::uint64_t next_cookie = 3;
    std::uint64_t parent = 0;    // directories
    std::uint64_t verifier = 0;  // of an exclusive create
    std::size_t pinned = 0;
};

}  // namespace strata::sim

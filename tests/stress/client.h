// SPDX-License-Identifier: Apache-2.0
// Client: one NFSv4.2 client with a session of its own, and the calls that the stress tests make. Used by one thread.
//
// A call that may rightly fail gives its status; every other failure is thrown as bench::Failure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tests/bench/session.h"

namespace strata::stress {

using bench::Bytes;
using bench::Ops;
using bench::Stateid;
using bench::View;

constexpr std::uint32_t ok = 0, err_noent = 2, err_io = 5, err_exist = 17, err_notempty = 66, err_stale = 70, err_denied = 10010;

struct Facts {
    std::uint32_t type = 0;
    std::uint64_t change = 0;
    std::uint64_t size = 0;
    std::uint64_t fileid = 0;
    std::uint32_t links = 0;
};

struct Entry {
    int times = 0;  // more than once: only a name that was made anew between two pages
    std::uint32_t type = 0;
    std::uint64_t fileid = 0;
};

struct Lock {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

class Client {
public:
    Client(const bench::Target& target, std::string owner);

    bench::Session& session() { return session_; }
    const Bytes& share() const { return share_; }

    // Names. Statuses: ok, noent, exist, notempty, stale, as far as others may be the reason.
    std::uint32_t create_file(View directory, std::string_view name);  // made with 8 bytes in it, and closed; an old one is kept
    std::uint32_t read_file(View directory, std::string_view name);    // opened, read and closed
    std::uint32_t make_directory(View directory, std::string_view name);
    std::uint32_t remove(View directory, std::string_view name);
    std::uint32_t rename(View from, std::string_view old_name, View to, std::string_view new_name);
    std::uint32_t link(View from, std::string_view old_name, View to, std::string_view new_name);
    std::uint32_t lookup(View directory, std::string_view name, Facts& facts, Bytes* handle = nullptr);
    Bytes parent(View directory);
    // All pages. What changes while it lists may come, or not, or more than once.
    std::map<std::string, Entry> list(View directory, std::uint32_t page_bytes);
    Facts facts(View handle);

    // Files. Opened for reading and writing, made if absent; closed with close().
    bench::OpenFile open(View directory, std::string_view name);
    void close(const bench::OpenFile& file);
    // Fewer bytes only at the end of the file.
    Bytes read(View handle, const Stateid& stateid, std::uint64_t offset, std::uint32_t count);
    bench::Verifier write(View handle, const Stateid& stateid, std::uint64_t offset, View data, bool stable);
    bench::Verifier commit(View handle);
    void set_size(View handle, const Stateid& stateid, std::uint64_t size);
    // NFSv4.2: bytes that read as zeros from now on; and the blocks of one file put into another, sharing what stores them.
    void deallocate(View handle, const Stateid& stateid, std::uint64_t offset, std::uint64_t length);
    void clone(const bench::OpenFile& from, const bench::OpenFile& to, std::uint64_t offset, std::uint64_t length);
    // For writing; ok or denied. `held`: the lock-owner's stateid, made by its first lock of the open file.
    std::uint32_t lock(const bench::OpenFile& file, Lock range, Stateid& held);
    void unlock(const bench::OpenFile& file, Lock range, Stateid& held);

private:
    std::string owner_;
    bench::Session session_;
    Bytes share_;
};

// Reads one result's header; its status, if that is ok or one of `allowed`. Throws bench::Failure else.
std::uint32_t status_of(bench::XdrReader& in, bench::Op op, std::initializer_list<std::uint32_t> allowed);

}  // namespace strata::stress

// SPDX-License-Identifier: Apache-2.0
// SqliteVfs: SQLite's way to a store's folder, with a checksum on every page.
//
// Each 4 KiB page of a database keeps 8 bytes at its end for {crc:u32 page:u32}: CRC-32C of the page without them and the page's number,
// so that rot and misdirected writes are found at every read (SQLITE_IOERR_DATA). A page of zeros only is sound: never written. Pages in
// the WAL are checked against what this process wrote; what it found there is covered by SQLite's own checksums at recovery.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cluster/meta/sqlite_shared_file.h"
#include "server/base/disk.h"
#include "server/base/random.h"

struct sqlite3_vfs;

namespace strata::cluster {

// What our xOpen answers when the process is out of descriptors: an extended code of SQLITE_CANTOPEN that SQLite does not use itself.
constexpr int sqlite_out_of_descriptors = 14 | (200 << 8);

constexpr int database_page_size = 4096;
constexpr int database_page_reserve = 8;

// Must outlive its connections. Any thread.
class SqliteVfs {
public:
    SqliteVfs(std::shared_ptr<Disk> disk, Random& random);
    ~SqliteVfs();
    SqliteVfs(const SqliteVfs&) = delete;
    SqliteVfs& operator=(const SqliteVfs&) = delete;

    const std::string& name() const { return name_; }  // for sqlite3_open_v2
    Disk& disk() const { return *disk_; }
    Random& random_source() const { return *random_; }
    std::uint64_t damaged_pages() const { return damaged_pages_.load(std::memory_order_relaxed); }
    void count_damaged_page() { damaged_pages_.fetch_add(1, std::memory_order_relaxed); }
    // The shared part of the file `path`, made at first use, kept while somebody has it.
    std::shared_ptr<SqliteSharedFile> shared_file(const std::string& path);

private:
    const std::shared_ptr<Disk> disk_;
    Random* const random_;
    std::string name_;
    std::unique_ptr<sqlite3_vfs> vfs_;
    std::atomic<std::uint64_t> damaged_pages_{0};
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<SqliteSharedFile>> shared_files_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Disk: the only way to stable storage. One Disk is one folder. Calls block: use them on a Pool, never on an io thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/result.h"

namespace strata {

enum class OpenMode : std::uint8_t {
    read,        // must exist
    read_write,  // must exist
    create,      // read-write; made if absent
    create_new,  // read-write; must not exist (Errc::exists)
};

// An open file. Different ranges may be used by several threads at once. What write_at() wrote may be lost or torn by a power cut
// until sync() returned ok; after a failed sync() nothing written since the last good one may be trusted.
class File {
public:
    virtual ~File() = default;

    // Reads up to out.size() bytes; fewer only at the end of the file. Errors: io.
    virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) = 0;
    // The same, but what the disk has, and not what the system remembers of it: for who wants to know whether it can be read. `out`, its
    // size and the offset are best multiples of 4 KiB.
    virtual Result<std::size_t> read_from_disk(std::uint64_t offset, std::span<std::byte> out) { return read_at(offset, out); }
    // Writes all pieces, one after the other, from `offset` on. Errors: io, no_space.
    virtual Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) = 0;
    Result<> write_at(std::uint64_t offset, std::span<const std::byte> bytes) { return write_at(offset, std::span(&bytes, 1)); }
    // Data and size are on stable storage when this returns. Errors: io.
    virtual Result<> sync() = 0;
    virtual Result<std::uint64_t> size() = 0;
    virtual Result<> truncate(std::uint64_t size) = 0;
    // Reserves space without changing the bytes read (they are zero beyond the old end); grows the file. Errors: no_space, io.
    virtual Result<> allocate(std::uint64_t offset, std::uint64_t length) = 0;
    // Gives back the space of a range, which then reads as zero. Errors: io.
    virtual Result<> punch(std::uint64_t offset, std::uint64_t length) = 0;
};

struct DiskSpace {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;  // usable by us
};

// Paths are relative to the folder, '/'-separated, without "..".
class Disk {
public:
    virtual ~Disk() = default;

    // Errors: not_found, exists, no_space, io.
    virtual Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) = 0;
    virtual Result<bool> exists(std::string_view path) = 0;
    virtual Result<> remove(std::string_view path) = 0;
    // Replaces `to` atomically. Durable only after sync_folder() of the folder.
    virtual Result<> rename(std::string_view from, std::string_view to) = 0;
    virtual Result<> make_folder(std::string_view path) = 0;    // parents too; fine if it exists
    virtual Result<> remove_folder(std::string_view path) = 0;  // must be empty
    // Names (not paths) directly inside, sorted. Errors: not_found.
    virtual Result<std::vector<std::string>> list(std::string_view folder) = 0;
    // Entries made, renamed or removed in `folder` are on stable storage when this returns.
    virtual Result<> sync_folder(std::string_view folder) = 0;
    virtual Result<DiskSpace> space() = 0;
    // For people: the folder's absolute path, or the simulated disk's name.
    virtual std::string description() const = 0;
};

// Writes `bytes` as the whole content of `path` so that after a crash either the old or the new content is there, whole.
Result<> replace_file(Disk& disk, std::string_view path, std::span<const std::byte> bytes);
Result<std::vector<std::byte>> read_file(Disk& disk, std::string_view path, std::size_t size_max = 64 << 20);

// The real thing: a folder of the host's file system, made if absent when `create`.
Result<std::unique_ptr<Disk>> open_system_disk(const std::string& folder, bool create);
// The same for one process alone: until the Disk is gone nobody opens the folder so again, under whatever name. Leaves no file behind;
// ends with the process, however that ends. Errors: busy, naming the process that has it.
Result<std::unique_ptr<Disk>> open_exclusive_disk(const std::string& folder, bool create);

}  // namespace strata

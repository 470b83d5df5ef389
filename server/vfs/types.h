// SPDX-License-Identifier: Apache-2.0
// The nouns of the file service: ids, attributes, access rights.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/base/clock.h"

namespace strata::vfs {

struct Acl;  // acl.h

using Uuid = std::array<std::uint8_t, 16>;

// An object of the volume. The inode number is never reused with the same generation; a wrong generation means stale.
struct FileId {
    std::uint64_t inode = 0;
    std::uint32_t generation = 0;
    friend constexpr auto operator<=>(const FileId&, const FileId&) = default;
};

// A share's root is the root of a domain: policy, later quota; rename and link across domains are refused.
using DomainId = std::uint32_t;

enum class FileType : std::uint8_t { regular = 1, directory, symlink, fifo, socket, block_device, character_device };

struct Device {
    std::uint32_t major = 0, minor = 0;
    friend constexpr bool operator==(Device, Device) = default;
};

struct Attributes {
    FileId id;
    FileType type = FileType::regular;
    std::uint32_t mode = 0;  // the low 12 bits: rwx, setuid, setgid, sticky
    std::uint32_t uid = 0, gid = 0;
    std::uint32_t link_count = 1;
    DomainId domain = 0;
    std::uint64_t size = 0;       // bytes
    std::uint64_t allocated = 0;  // bytes of space, before the policy's factor
    std::uint64_t change = 0;     // grows with every change of data or attributes; never reused, even over crashes
    Timestamp access_time, modify_time, change_time, birth_time;
    Device device;
    std::uint32_t dos_attributes = 0;  // SMB's hidden, system, archive, ...
    std::shared_ptr<const Acl> acl;    // null: the mode alone decides
    bool has_xattrs = false;
};

// What a SETATTR or CREATE sets; absent members stay as they are.
struct SetAttributes {
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> mode, uid, gid, dos_attributes;
    std::optional<Timestamp> access_time, modify_time, birth_time;
    bool access_time_now = false, modify_time_now = false;  // the server's clock
    std::optional<std::shared_ptr<const Acl>> acl;          // a null pointer removes the ACL
};

// A directory's change counter around an operation, both from the same metadata transaction.
struct ChangeInfo {
    std::uint64_t before = 0, after = 0;
};

// Rights, with the bit values that NFSv4 ACEs and NT access masks share (RFC 8881 6.2.1.3.1; MS-DTYP 2.4.3).
using AccessMask = std::uint32_t;
namespace access {
constexpr AccessMask read_data = 0x1, list_directory = 0x1;
constexpr AccessMask write_data = 0x2, add_file = 0x2;
constexpr AccessMask append_data = 0x4, add_subdirectory = 0x4;
constexpr AccessMask read_named_attributes = 0x8, write_named_attributes = 0x10;
constexpr AccessMask execute = 0x20, traverse = 0x20;
constexpr AccessMask delete_child = 0x40;
constexpr AccessMask read_attributes = 0x80, write_attributes = 0x100;
constexpr AccessMask remove = 0x10000;  // DELETE
constexpr AccessMask read_acl = 0x20000, write_acl = 0x40000, write_owner = 0x80000, synchronize = 0x100000;
}  // namespace access

struct Space {
    std::uint64_t total_bytes = 0, free_bytes = 0, available_bytes = 0;  // of user data under the domain's policy
    std::uint64_t total_files = 0, free_files = 0;
};

constexpr std::uint64_t file_size_max = (std::uint64_t{1} << 62);
constexpr std::size_t name_size_max = 255;            // bytes of UTF-8
constexpr std::uint32_t link_count_max = 0x7fffffff;  // names of a file, folders in a folder: as XFS
constexpr std::size_t symlink_size_max = 4096;
constexpr std::size_t xattr_size_max = 64 * 1024;

}  // namespace strata::vfs

template <>
struct std::hash<strata::vfs::FileId> {
    std::size_t operator()(const strata::vfs::FileId& id) const noexcept { return (id.inode ^ id.generation) * 0x9e3779b97f4a7c15ull; }
};

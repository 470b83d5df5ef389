// SPDX-License-Identifier: Apache-2.0
// The one canonical ACL: NFSv4 ACEs (RFC 8881, 6.2), which NT security descriptors are a view of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/credentials.h"
#include "server/base/result.h"
#include "server/vfs/types.h"

namespace strata::vfs {

enum class AceType : std::uint8_t { allow = 0, deny = 1, audit = 2, alarm = 3 };

// ACE flags, RFC 8881 6.2.1.4.
namespace ace {
constexpr std::uint32_t file_inherit = 0x1, directory_inherit = 0x2, no_propagate = 0x4, inherit_only = 0x8, successful_access = 0x10,
                        failed_access = 0x20, identifier_group = 0x40, inherited = 0x80;
}

enum class Who : std::uint8_t { user, group, owner_at, group_at, everyone_at };  // user and group carry an id

struct Ace {
    AceType type = AceType::allow;
    std::uint32_t flags = 0;
    AccessMask mask = 0;
    Who who = Who::everyone_at;
    std::uint32_t id = 0;
    friend bool operator==(const Ace&, const Ace&) = default;
};

constexpr std::size_t acl_entries_max = 1024;

struct Acl {
    std::vector<Ace> entries;
    friend bool operator==(const Acl&, const Acl&) = default;
};

// Pure functions; no state, any thread.

// The subset of `wanted` that `who` has on an object with these attributes: ACL first-match per bit, else mode bits; the owner always
// has read_acl, write_acl, read_attributes, write_attributes; the superuser has all but execute of a file without any x bit.
AccessMask evaluate(const Attributes& object, const Credentials& who, AccessMask wanted);
// May `who` remove `child` from `dir` (delete_child or write on dir, or DELETE on the child; sticky directories: owner only)?
bool may_remove(const Attributes& dir, const Attributes& child, const Credentials& who);
// The mode that an ACL shows (RFC 8881, 6.3.2), keeping setuid, setgid and sticky of `mode`.
std::uint32_t mode_of(const Acl& acl, std::uint32_t mode);
// The ACL after a chmod (6.4.1.1): the entries that grant or deny by mode are changed, others kept.
Acl with_mode(const Acl& acl, std::uint32_t mode);
// What a mode alone means as ACEs: what GETATTR of `acl` shows for an object without an ACL.
Acl acl_of_mode(std::uint32_t mode, bool directory);
// What a new object in a directory with `parent` inherits (6.4.3); null if nothing.
std::shared_ptr<const Acl> inherit(const Acl& parent, bool directory, std::uint32_t mode);
// The bytes that metadata keeps, with a version. Errors of decode: bad_message, bad_version.
std::string encode(const Acl& acl);
Result<Acl> decode_acl(std::string_view bytes);
// Refuses unknown types, flags, more than acl_entries_max entries. Errors: invalid_argument, not_supported.
Result<> validate(const Acl& acl, bool directory);

}  // namespace strata::vfs

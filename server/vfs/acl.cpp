// SPDX-License-Identifier: Apache-2.0
// ACL evaluation, and its two-way traffic with mode bits (RFC 8881, 6.2 - 6.4).
#include "server/vfs/acl.h"

#include <algorithm>

namespace strata::vfs {

namespace {

using namespace access;

constexpr AccessMask read_rights = read_data;
constexpr AccessMask execute_rights = execute;
constexpr AccessMask owner_always = read_acl | write_acl | read_attributes | write_attributes;
constexpr AccessMask everyone_always = read_attributes | read_acl | synchronize | read_named_attributes;
constexpr std::uint32_t mode_sticky = 01000, special_bits = 07000;

constexpr AccessMask write_rights(bool directory) { return write_data | append_data | (directory ? delete_child : 0u); }

// What three mode bits mean as rights.
AccessMask rights_of(std::uint32_t rwx, bool directory) {
    AccessMask mask = 0;
    if (rwx & 4) mask |= read_rights;
    if (rwx & 2) mask |= write_rights(directory) | write_named_attributes;
    if (rwx & 1) mask |= execute_rights;
    return mask;
}

bool applies(const Ace& entry, const Attributes& object, const Credentials& who) {
    switch (entry.who) {
        case Who::user: return who.uid == entry.id;
        case Who::group: return who.in_group(entry.id);
        case Who::owner_at: return who.uid == object.uid;
        case Who::group_at: return who.in_group(object.gid);
        case Who::everyone_at: return true;
    }
    return false;
}

AccessMask by_acl(const Acl& acl, const Attributes& object, const Credentials& who, AccessMask wanted) {
    AccessMask allowed = 0, open = wanted;
    for (const Ace& entry : acl.entries) {
        if (open == 0) break;
        if (entry.type > AceType::deny || (entry.flags & ace::inherit_only) || !applies(entry, object, who)) continue;
        if (entry.type == AceType::allow) allowed |= entry.mask & open;
        open &= ~entry.mask;
    }
    return allowed;
}

AccessMask by_mode(const Attributes& object, const Credentials& who, AccessMask wanted) {
    const std::uint32_t rwx = who.uid == object.uid ? object.mode >> 6 : who.in_group(object.gid) ? object.mode >> 3 : object.mode;
    return wanted & (rights_of(rwx & 7, object.type == FileType::directory) | everyone_always);
}

// The rwx that a set of granted rights amounts to.
std::uint32_t rwx_of(AccessMask mask) {
    std::uint32_t bits = 0;
    if (mask & read_data) bits |= 4;
    if ((mask & write_data) && (mask & append_data)) bits |= 2;
    if (mask & execute) bits |= 1;
    return bits;
}

constexpr AccessMask mode_rights = read_data | write_data | append_data | execute | delete_child;

Ace allow(Who who, AccessMask mask) { return {AceType::allow, who == Who::group_at ? ace::identifier_group : 0u, mask, who, 0}; }
Ace deny(Who who, AccessMask mask) { return {AceType::deny, who == Who::group_at ? ace::identifier_group : 0u, mask, who, 0}; }

}  // namespace

AccessMask evaluate(const Attributes& object, const Credentials& who, AccessMask wanted) {
    if (who.is_superuser()) {
        const bool runnable = object.type == FileType::directory || (object.mode & 0111) != 0;
        return runnable ? wanted : wanted & ~execute;
    }
    AccessMask granted = object.acl ? by_acl(*object.acl, object, who, wanted) : by_mode(object, who, wanted);
    granted |= wanted & (read_attributes | synchronize);
    if (who.uid == object.uid) granted |= wanted & owner_always;
    return granted;
}

bool may_remove(const Attributes& dir, const Attributes& child, const Credentials& who) {
    if (who.is_superuser()) return true;
    const bool by_dir = evaluate(dir, who, write_data | traverse) == (write_data | traverse);
    const bool by_delete_child = dir.acl && evaluate(dir, who, delete_child) != 0;
    const bool by_child = child.acl && evaluate(child, who, access::remove) != 0;
    if (!by_dir && !by_delete_child && !by_child) return false;
    if ((dir.mode & mode_sticky) == 0) return true;
    return who.uid == child.uid || who.uid == dir.uid;
}

std::uint32_t mode_of(const Acl& acl, std::uint32_t mode) {
    // Three subjects: the owner, somebody in the group, anybody else; first match by bit, as an evaluation would do.
    AccessMask allowed[3] = {0, 0, 0}, decided[3] = {0, 0, 0};
    for (const Ace& entry : acl.entries) {
        if (entry.type > AceType::deny || (entry.flags & ace::inherit_only)) continue;
        if (entry.who == Who::user || entry.who == Who::group) continue;
        for (int subject = 0; subject < 3; ++subject) {
            const bool match = entry.who == Who::everyone_at || (entry.who == Who::owner_at && subject == 0) ||
                               (entry.who == Who::group_at && subject == 1);
            if (!match) continue;
            if (entry.type == AceType::allow) allowed[subject] |= entry.mask & ~decided[subject];
            decided[subject] |= entry.mask;
        }
    }
    return (mode & special_bits) | rwx_of(allowed[0]) << 6 | rwx_of(allowed[1]) << 3 | rwx_of(allowed[2]);
}

Acl with_mode(const Acl& acl, std::uint32_t mode) {
    // Named entries and inheritable ones stay, capped by the group bits (6.4.1.1 allows masking); the special subjects are made anew.
    Acl out;
    const AccessMask group_cap = rights_of((mode >> 3) & 7, true) | ~mode_rights;
    const Acl plain = acl_of_mode(mode, true);
    for (const Ace& entry : plain.entries) {
        if (entry.type == AceType::deny) out.entries.push_back(entry);
    }
    for (const Ace& entry : acl.entries) {
        if (entry.flags & ace::inherit_only) {
            out.entries.push_back(entry);
            continue;
        }
        const bool special = entry.who != Who::user && entry.who != Who::group;
        if (special) {
            if (entry.flags & (ace::file_inherit | ace::directory_inherit)) {
                Ace kept = entry;
                kept.flags |= ace::inherit_only;
                out.entries.push_back(kept);
            }
            continue;
        }
        Ace kept = entry;
        if (kept.type == AceType::allow) kept.mask &= group_cap;
        if (kept.mask != 0) out.entries.push_back(kept);
    }
    for (const Ace& entry : plain.entries) {
        if (entry.type == AceType::allow) out.entries.push_back(entry);
    }
    return out;
}

Acl acl_of_mode(std::uint32_t mode, bool directory) {
    const AccessMask owner = rights_of((mode >> 6) & 7, directory), group = rights_of((mode >> 3) & 7, directory),
                     other = rights_of(mode & 7, directory);
    Acl acl;
    // A class that has less than a later one it also matches is denied the difference first.
    if (const AccessMask d = (group | other) & ~owner; d & mode_rights) acl.entries.push_back(deny(Who::owner_at, d & mode_rights));
    acl.entries.push_back(allow(Who::owner_at, owner | owner_always | everyone_always | write_owner));
    if (const AccessMask d = other & ~group; d & mode_rights) acl.entries.push_back(deny(Who::group_at, d & mode_rights));
    acl.entries.push_back(allow(Who::group_at, group | everyone_always));
    acl.entries.push_back(allow(Who::everyone_at, other | everyone_always));
    return acl;
}

std::shared_ptr<const Acl> inherit(const Acl& parent, bool directory, std::uint32_t mode) {
    Acl out;
    for (const Ace& entry : parent.entries) {
        const bool here = entry.flags & (directory ? ace::directory_inherit : ace::file_inherit);
        const bool below = directory && (entry.flags & ace::file_inherit) && !(entry.flags & ace::no_propagate);
        if (!here && !below) continue;
        Ace own = entry;
        own.flags |= ace::inherited;
        own.flags &= ~ace::inherit_only;
        if (!directory || (entry.flags & ace::no_propagate)) {
            own.flags &= ~(ace::file_inherit | ace::directory_inherit | ace::no_propagate);
        } else if (!here) {
            own.flags |= ace::inherit_only;
        }
        out.entries.push_back(own);
    }
    if (out.entries.empty()) return nullptr;
    // What the creator's mode grants to the three classes comes last, where an inherited entry has not decided.
    const Acl plain = acl_of_mode(mode, directory);
    for (const Ace& entry : plain.entries) {
        if (entry.type == AceType::allow) out.entries.push_back(entry);
    }
    return std::make_shared<const Acl>(std::move(out));
}

Result<> validate(const Acl& acl, bool directory) {
    if (acl.entries.size() > acl_entries_max) return fail(Errc::invalid_argument);
    constexpr std::uint32_t inherit_flags = ace::file_inherit | ace::directory_inherit | ace::no_propagate | ace::inherit_only;
    for (const Ace& entry : acl.entries) {
        if (entry.type > AceType::alarm || entry.who > Who::everyone_at) return fail(Errc::invalid_argument);
        if (entry.type > AceType::deny) return fail(Errc::not_supported);
        if (!directory && (entry.flags & inherit_flags)) return fail(Errc::invalid_argument);
    }
    return {};
}

namespace {

constexpr char acl_version = 1;

void put32(std::string& out, std::uint32_t v) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(v >> shift));
}

std::uint32_t get32(std::string_view bytes) {
    std::uint32_t v = 0;
    for (int i = 3; i >= 0; --i) v = v << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
    return v;
}

}  // namespace

// version:1, then for each entry: type:1 who:1 flags:4 mask:4 id:4, little-endian.
std::string encode(const Acl& acl) {
    std::string out(1, acl_version);
    out.reserve(1 + acl.entries.size() * 14);
    for (const Ace& entry : acl.entries) {
        out.push_back(static_cast<char>(entry.type));
        out.push_back(static_cast<char>(entry.who));
        put32(out, entry.flags);
        put32(out, entry.mask);
        put32(out, entry.id);
    }
    return out;
}

Result<Acl> decode_acl(std::string_view bytes) {
    if (bytes.empty() || (bytes.size() - 1) % 14 != 0) return fail(Errc::bad_message, "ACL of a wrong size");
    if (bytes[0] != acl_version) return fail(Errc::bad_version, "ACL of an unknown version");
    Acl acl;
    for (bytes.remove_prefix(1); !bytes.empty(); bytes.remove_prefix(14)) {
        if (bytes[0] > static_cast<char>(AceType::alarm) || bytes[1] > static_cast<char>(Who::everyone_at)) {
            return fail(Errc::bad_message, "ACL entry of an unknown type");
        }
        acl.entries.push_back({static_cast<AceType>(bytes[0]), get32(bytes.substr(2)), get32(bytes.substr(6)), static_cast<Who>(bytes[1]),
                               get32(bytes.substr(10))});
    }
    return acl;
}

}  // namespace strata::vfs

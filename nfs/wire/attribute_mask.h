// SPDX-License-Identifier: Apache-2.0
// AttributeMask: bitmap4, the set of attributes that a request names (RFC 8881, 3.3.7 and 5).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <initializer_list>

#include "nfs/wire/xdr.h"

namespace strata::nfs {

// Attribute numbers (RFC 7530, 5.6 and 5.7; RFC 8881, 5.6 and 5.7; RFC 7862, 12.2; RFC 8276, 8.2). Those that we do not offer are left out.
enum class Attribute : std::uint32_t {
    supported_attrs = 0,
    type = 1,
    fh_expire_type = 2,
    change = 3,
    size = 4,
    link_support = 5,
    symlink_support = 6,
    named_attr = 7,
    fsid = 8,
    unique_handles = 9,
    lease_time = 10,
    rdattr_error = 11,
    acl = 12,
    aclsupport = 13,
    cansettime = 15,
    case_insensitive = 16,
    case_preserving = 17,
    chown_restricted = 18,
    filehandle = 19,
    fileid = 20,
    files_avail = 21,
    files_free = 22,
    files_total = 23,
    homogeneous = 26,
    maxfilesize = 27,
    maxlink = 28,
    maxname = 29,
    maxread = 30,
    maxwrite = 31,
    mode = 33,
    no_trunc = 34,
    numlinks = 35,
    owner = 36,
    owner_group = 37,
    rawdev = 41,
    space_avail = 42,
    space_free = 43,
    space_total = 44,
    space_used = 45,
    time_access = 47,
    time_access_set = 48,
    time_create = 50,
    time_delta = 51,
    time_metadata = 52,
    time_modify = 53,
    time_modify_set = 54,
    mounted_on_fileid = 55,
    suppattr_exclcreat = 75,
    fs_charset_cap = 76,
    clone_blksize = 77,
    change_attr_type = 79,
    xattr_support = 82,
};

// Three words hold every attribute of the minor versions that we speak. A peer may send more: `beyond` says that a bit past them was set.
struct AttributeMask {
    static constexpr std::uint32_t bits = 96;
    std::array<std::uint32_t, 3> words = {};
    bool beyond = false;

    constexpr AttributeMask() = default;
    constexpr AttributeMask(std::uint32_t w0, std::uint32_t w1, std::uint32_t w2 = 0) : words{w0, w1, w2} {}
    constexpr AttributeMask(std::initializer_list<Attribute> attributes) {
        for (const auto a : attributes) set(a);
    }

    constexpr bool has(std::uint32_t bit) const { return (words[bit / 32] >> (bit % 32) & 1) != 0; }
    constexpr bool has(Attribute a) const { return has(static_cast<std::uint32_t>(a)); }
    constexpr void set(std::uint32_t bit) { words[bit / 32] |= 1u << (bit % 32); }
    constexpr void set(Attribute a) { set(static_cast<std::uint32_t>(a)); }
    constexpr bool none() const { return (words[0] | words[1] | words[2]) == 0 && !beyond; }
    constexpr bool intersects(const AttributeMask& other) const { return !(*this & other).none(); }
    // Is every bit of this in `other`?
    constexpr bool within(const AttributeMask& other) const {
        return !beyond && (words[0] & ~other.words[0]) == 0 && (words[1] & ~other.words[1]) == 0 && (words[2] & ~other.words[2]) == 0;
    }

    friend constexpr AttributeMask operator&(const AttributeMask& a, const AttributeMask& b) {
        return {a.words[0] & b.words[0], a.words[1] & b.words[1], a.words[2] & b.words[2]};
    }
    friend constexpr AttributeMask operator|(const AttributeMask& a, const AttributeMask& b) {
        return {a.words[0] | b.words[0], a.words[1] | b.words[1], a.words[2] | b.words[2]};
    }
    friend constexpr bool operator==(const AttributeMask&, const AttributeMask&) = default;

    // Calls visit(bit) for each set bit, in the order in which the values stand on the wire.
    template <class F>
    constexpr void for_each(F&& visit) const {
        for (std::uint32_t w = 0; w < words.size(); ++w) {
            for (auto left = words[w]; left != 0; left &= left - 1) visit(32 * w + static_cast<std::uint32_t>(std::countr_zero(left)));
        }
    }
};

inline AttributeMask read_mask(XdrReader& in) {
    AttributeMask mask;
    const auto count = in.count(4);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto word = in.u32();
        if (i < mask.words.size()) {
            mask.words[i] = word;
        } else {
            mask.beyond = mask.beyond || word != 0;
        }
    }
    return mask;
}

// Trailing words of zero are left out. `beyond` is not sent.
inline void write_mask(XdrWriter& out, const AttributeMask& mask) {
    const std::uint32_t count = mask.words[2] != 0 ? 3 : mask.words[1] != 0 ? 2 : mask.words[0] != 0 ? 1 : 0;
    out.u32(count);
    for (std::uint32_t i = 0; i < count; ++i) out.u32(mask.words[i]);
}

}  // namespace strata::nfs

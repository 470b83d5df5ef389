// SPDX-License-Identifier: Apache-2.0
// The nouns of the NFSv4 protocol as they stand on the wire.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>

#include "server/base/clock.h"
#include "server/vfs/types.h"

namespace strata::nfs {

constexpr std::uint32_t nfs_program = 100003, nfs_version = 4;
constexpr std::size_t fh_size_max = 128;                     // NFS4_FHSIZE
constexpr std::size_t opaque_limit = 1024;                   // NFS4_OPAQUE_LIMIT: owners and client ids
constexpr std::size_t tag_size_max = 1024;                   // ours
constexpr std::size_t io_size_max = 1 << 20;                 // the largest READ and WRITE we offer
constexpr std::size_t record_size_max = io_size_max + 4096;  // the largest slab of the pool

using ClientId = std::uint64_t;
using SessionId = std::array<std::byte, 16>;
using Verifier = std::array<std::byte, 8>;

inline Verifier to_verifier(std::uint64_t value) {
    Verifier v;
    std::memcpy(v.data(), &value, sizeof value);
    return v;
}
inline std::uint64_t to_number(const Verifier& v) {
    std::uint64_t value;
    std::memcpy(&value, v.data(), sizeof value);
    return value;
}

// stateid4 (RFC 8881, 3.3.12 and 8.2).
struct Stateid {
    std::uint32_t seqid = 0;
    std::array<std::byte, 12> other = {};

    auto fields() { return std::tie(seqid, other); }
    friend auto operator<=>(const Stateid&, const Stateid&) = default;

    // The special stateids (8.2.3).
    static constexpr Stateid anonymous() { return {}; }
    static Stateid read_bypass() {
        Stateid s{0xffffffff, {}};
        s.other.fill(std::byte{0xff});
        return s;
    }
    static constexpr Stateid current() { return {1, {}}; }
    static constexpr Stateid invalid() { return {0xffffffff, {}}; }
    bool other_is_zero() const { return other == std::array<std::byte, 12>{}; }
    bool is_anonymous() const { return seqid == 0 && other_is_zero(); }
    bool is_read_bypass() const { return *this == read_bypass(); }
    bool is_current() const { return seqid == 1 && other_is_zero(); }
    bool is_special() const {
        if (other_is_zero()) return true;
        for (auto b : other) {
            if (b != std::byte{0xff}) return false;
        }
        return true;
    }
};

// change_info4. Ours is always atomic: both values come from one metadata transaction.
struct ChangeInfo {
    bool atomic = true;
    std::uint64_t before = 0, after = 0;
    auto fields() { return std::tie(atomic, before, after); }
    static ChangeInfo of(const vfs::ChangeInfo& c) { return {true, c.before, c.after}; }
};

struct Fsid {
    std::uint64_t major = 0, minor = 0;
    auto fields() { return std::tie(major, minor); }
    friend bool operator==(const Fsid&, const Fsid&) = default;
};

struct NfsTime {
    std::int64_t seconds = 0;
    std::uint32_t nseconds = 0;
    auto fields() { return std::tie(seconds, nseconds); }
};

// nfs_ftype4.
enum class FileType4 : std::uint32_t { reg = 1, dir = 2, blk = 3, chr = 4, lnk = 5, sock = 6, fifo = 7, attrdir = 8, namedattr = 9 };

// READ and WRITE share reservations (OPEN4_SHARE_ACCESS_*): the same bits as vfs::share.
constexpr std::uint32_t share_access_read = 1, share_access_write = 2, share_access_both = 3;

}  // namespace strata::nfs

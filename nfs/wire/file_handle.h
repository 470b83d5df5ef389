// SPDX-License-Identifier: Apache-2.0
// Filehandles: persistent, at most 64 bytes, bound to a share, sealed with a keyed checksum.
//
//   handle := version(1)=1 kind(1) reserved(2) share_name_hash(4) volume(8) inode(8) generation(4) share_root(8) seal(8)
//
// Big-endian. `volume` is a hash of the volume's UUID. The seal is SipHash-2-4 of what precedes it under the service's key, which is a
// record of the service group: a handle is the same from every node and after every restart, and cannot be made up by a client.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nfs/wire/status.h"
#include "nfs/wire/xdr.h"
#include "server/vfs/types.h"

namespace strata::nfs {

constexpr std::size_t handle_size = 44;
using HandleBytes = std::array<std::byte, handle_size>;
using HandleKey = std::array<std::uint64_t, 2>;

// What a filehandle says. The pseudo root has no other members.
struct HandleContent {
    enum class Kind : std::uint8_t { pseudo_root = 0, file = 1 } kind = Kind::pseudo_root;
    std::uint32_t share_name_hash = 0;
    std::uint64_t share_root = 0;  // inode of the share's root
    std::uint64_t volume = 0;
    vfs::FileId id;
    friend bool operator==(const HandleContent&, const HandleContent&) = default;
};

std::uint64_t hash_of(const vfs::Uuid& uuid);
std::uint32_t hash_of(std::string_view share_name);
// SipHash-2-4.
std::uint64_t keyed_checksum(const HandleKey& key, Bytes bytes);

HandleBytes encode_handle(const HandleContent& content, const HandleKey& key);
// Errors: badhandle (not ours, altered, or of an unknown version).
NfsStatus decode_handle(Bytes bytes, const HandleKey& key, HandleContent& out);

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Filehandles: encoding, and the seal that tells ours from made-up ones.
#include "nfs/wire/file_handle.h"

#include <bit>
#include <cstring>

namespace strata::nfs {

namespace {

constexpr std::uint8_t handle_version = 1;
constexpr std::size_t sealed_size = handle_size - 8;

struct SipState {
    std::uint64_t a, b, c, d;

    void round() {
        a += b;
        b = std::rotl(b, 13) ^ a;
        a = std::rotl(a, 32);
        c += d;
        d = std::rotl(d, 16) ^ c;
        a += d;
        d = std::rotl(d, 21) ^ a;
        c += b;
        b = std::rotl(b, 17) ^ c;
        c = std::rotl(c, 32);
    }
    void absorb(std::uint64_t word) {
        d ^= word;
        round();
        round();
        a ^= word;
    }
};

std::uint64_t fnv64(Bytes bytes) {
    std::uint64_t h = 0xcbf29ce484222325ull;
    for (const auto b : bytes) h = (h ^ static_cast<std::uint8_t>(b)) * 0x100000001b3ull;
    return h;
}

}  // namespace

std::uint64_t hash_of(const vfs::Uuid& uuid) { return fnv64(std::as_bytes(std::span(uuid))); }

std::uint32_t hash_of(std::string_view share_name) {
    const auto h = fnv64(as_bytes(share_name));
    return static_cast<std::uint32_t>(h ^ (h >> 32));
}

std::uint64_t keyed_checksum(const HandleKey& key, Bytes bytes) {
    SipState s{key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull, key[0] ^ 0x6c7967656e657261ull,
               key[1] ^ 0x7465646279746573ull};
    const std::size_t whole = bytes.size() / 8 * 8;
    for (std::size_t i = 0; i < whole; i += 8) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data() + i, 8);
        s.absorb(word);
    }
    std::uint64_t last = std::uint64_t{bytes.size()} << 56;
    for (std::size_t i = whole; i < bytes.size(); ++i) last |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * (i - whole));
    s.absorb(last);
    s.c ^= 0xff;
    for (int i = 0; i < 4; ++i) s.round();
    return s.a ^ s.b ^ s.c ^ s.d;
}

HandleBytes encode_handle(const HandleContent& content, const HandleKey& key) {
    HandleBytes h{};
    h[0] = std::byte{handle_version};
    h[1] = static_cast<std::byte>(content.kind);
    store_be32(&h[4], content.share_name_hash);
    store_be64(&h[8], content.volume);
    store_be64(&h[16], content.id.inode);
    store_be32(&h[24], content.id.generation);
    store_be64(&h[28], content.share_root);
    store_be64(&h[sealed_size], keyed_checksum(key, Bytes(h).first(sealed_size)));
    return h;
}

NfsStatus decode_handle(Bytes bytes, const HandleKey& key, HandleContent& out) {
    if (bytes.size() != handle_size || bytes[0] != std::byte{handle_version}) return NfsStatus::badhandle;
    if (load_be64(&bytes[sealed_size]) != keyed_checksum(key, bytes.first(sealed_size))) return NfsStatus::badhandle;
    const auto kind = static_cast<std::uint8_t>(bytes[1]);
    if (kind > static_cast<std::uint8_t>(HandleContent::Kind::file)) return NfsStatus::badhandle;
    out.kind = static_cast<HandleContent::Kind>(kind);
    out.share_name_hash = load_be32(&bytes[4]);
    out.volume = load_be64(&bytes[8]);
    out.id = {load_be64(&bytes[16]), load_be32(&bytes[24])};
    out.share_root = load_be64(&bytes[28]);
    return NfsStatus::ok;
}

}  // namespace strata::nfs

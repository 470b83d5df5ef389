// SPDX-License-Identifier: Apache-2.0
// Filehandles: what is given out comes back; what was altered does not.
#include "nfs/wire/file_handle.h"

#include <array>

#include <gtest/gtest.h>

namespace strata::nfs {
namespace {

const HandleKey key{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};

HandleContent sample() {
    HandleContent c;
    c.kind = HandleContent::Kind::file;
    c.share_name_hash = hash_of("data");
    c.share_root = 42;
    c.volume = 0x1122334455667788ull;
    c.id = {1234567, 3};
    return c;
}

TEST(FileHandle, the_seal_is_siphash_2_4) {
    // The reference's own vector: 15 bytes 00..0e under the key 00..0f.
    std::array<std::byte, 15> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
    EXPECT_EQ(keyed_checksum(key, bytes), 0xa129ca6149be45e5ull);
}

TEST(FileHandle, comes_back_as_it_was_given_out) {
    HandleContent out;
    const auto handle = encode_handle(sample(), key);
    EXPECT_LE(handle.size(), 64u);
    EXPECT_EQ(decode_handle(handle, key, out), NfsStatus::ok);
    EXPECT_EQ(out, sample());
}

TEST(FileHandle, any_altered_bit_is_noticed) {
    for (std::size_t i = 0; i < handle_size; ++i) {
        auto handle = encode_handle(sample(), key);
        handle[i] ^= std::byte{1};
        HandleContent out;
        EXPECT_EQ(decode_handle(handle, key, out), NfsStatus::badhandle) << i;
    }
}

TEST(FileHandle, another_key_or_length_is_not_ours) {
    const auto handle = encode_handle(sample(), key);
    HandleContent out;
    EXPECT_EQ(decode_handle(handle, {1, 2}, out), NfsStatus::badhandle);
    EXPECT_EQ(decode_handle(Bytes(handle).first(43), key, out), NfsStatus::badhandle);
    EXPECT_EQ(decode_handle({}, key, out), NfsStatus::badhandle);
}

}  // namespace
}  // namespace strata::nfs

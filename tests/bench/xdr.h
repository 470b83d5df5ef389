// SPDX-License-Identifier: Apache-2.0
// XDR for the load generators (RFC 4506): their own, so that a mistake in the server's codec cannot hide in both ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace strata::bench {

using Bytes = std::vector<std::byte>;
using View = std::span<const std::byte>;

inline View view_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view text_of(View bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline void store_u32(std::byte* at, std::uint32_t value) {
    const std::uint32_t wire = __builtin_bswap32(value);
    std::memcpy(at, &wire, sizeof wire);
}

inline void store_u64(std::byte* at, std::uint64_t value) {
    const std::uint64_t wire = __builtin_bswap64(value);
    std::memcpy(at, &wire, sizeof wire);
}

inline std::uint32_t load_u32(const std::byte* at) {
    std::uint32_t wire = 0;
    std::memcpy(&wire, at, sizeof wire);
    return __builtin_bswap32(wire);
}

inline std::uint64_t load_u64(const std::byte* at) {
    std::uint64_t wire = 0;
    std::memcpy(&wire, at, sizeof wire);
    return __builtin_bswap64(wire);
}

// Appends XDR items to a byte vector that the caller owns.
class XdrWriter {
public:
    explicit XdrWriter(Bytes& out) : out_(out) {}

    void u32(std::uint32_t value) { store_u32(grow(4), value); }
    void u64(std::uint64_t value) { store_u64(grow(8), value); }

    // Bytes without a length, padded to four.
    void fixed(View bytes) {
        std::byte* at = grow((bytes.size() + 3) & ~std::size_t{3});
        if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    }

    void opaque(View bytes) {
        u32(static_cast<std::uint32_t>(bytes.size()));
        fixed(bytes);
    }

    void text(std::string_view value) { opaque(view_of(value)); }

private:
    std::byte* grow(std::size_t count) {
        out_.resize(out_.size() + count);
        return out_.data() + out_.size() - count;
    }

    Bytes& out_;
};

// Reads XDR items from bytes that outlive it. Past the end every item is zero or empty and ok() turns false for good.
class XdrReader {
public:
    explicit XdrReader(View in) : in_(in) {}

    std::uint32_t u32() {
        const std::byte* at = take(4);
        return at ? load_u32(at) : 0;
    }

    std::uint64_t u64() {
        const std::byte* at = take(8);
        return at ? load_u64(at) : 0;
    }

    // `count` bytes and their padding.
    View fixed(std::size_t count) {
        const std::byte* at = take((count + 3) & ~std::size_t{3});
        return at ? View(at, count) : View();
    }

    View opaque() { return fixed(u32()); }

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] std::size_t left() const { return in_.size() - at_; }

private:
    const std::byte* take(std::size_t count) {
        if (in_.size() - at_ < count) {
            ok_ = false;
            at_ = in_.size();
            return nullptr;
        }
        at_ += count;
        return in_.data() + at_ - count;
    }

    View in_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace strata::bench

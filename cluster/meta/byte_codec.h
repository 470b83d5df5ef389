// SPDX-License-Identifier: Apache-2.0
// ByteWriter and ByteReader: the compact binary form of stored rows and commands: LEB128 integers, length-prefixed strings.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace strata::cluster {

class ByteWriter {
public:
    void u8(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
    void varint(std::uint64_t value) {
        while (value >= 0x80) {
            u8(static_cast<std::uint8_t>(value | 0x80));
            value >>= 7;
        }
        u8(static_cast<std::uint8_t>(value));
    }
    // Small magnitudes of either sign are short (zigzag).
    void svarint(std::int64_t value) { varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63)); }
    void fixed32(std::uint32_t value) {
        for (int shift = 0; shift < 32; shift += 8) u8(static_cast<std::uint8_t>(value >> shift));
    }
    void fixed64(std::uint64_t value) {
        fixed32(static_cast<std::uint32_t>(value));
        fixed32(static_cast<std::uint32_t>(value >> 32));
    }
    void raw(std::span<const std::uint8_t> bytes) { bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
    void text(std::string_view value) {
        varint(value.size());
        bytes_.append(value);
    }
    std::string& bytes() { return bytes_; }

private:
    std::string bytes_;
};

// After the first read past the end or malformed integer ok() is false and all further reads give zeros and empty strings.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    explicit ByteReader(std::string_view bytes) : bytes_(std::as_bytes(std::span(bytes))) {}

    bool ok() const { return ok_; }
    bool at_end() const { return bytes_.empty(); }
    std::size_t remaining() const { return bytes_.size(); }
    void refuse() {
        ok_ = false;
        bytes_ = {};
    }

    std::uint8_t u8() {
        if (bytes_.empty()) {
            refuse();
            return 0;
        }
        const auto value = std::to_integer<std::uint8_t>(bytes_.front());
        bytes_ = bytes_.subspan(1);
        return value;
    }
    // The shortest form only, so that decode -> encode gives the same bytes.
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const auto byte = u8();
            const std::uint64_t bits = byte & 0x7f;
            if (shift == 63 && bits > 1) break;
            value |= bits << shift;
            if ((byte & 0x80) == 0) {
                if (byte == 0 && shift != 0) break;
                return value;
            }
        }
        refuse();
        return 0;
    }
    std::int64_t svarint() {
        const auto value = varint();
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
    template <class T>
    T bounded(std::uint64_t max) {
        const auto value = varint();
        if (value > max) refuse();
        return ok_ ? static_cast<T>(value) : T{};
    }
    std::uint32_t u32() { return bounded<std::uint32_t>(UINT32_MAX); }
    std::uint32_t fixed32() {
        std::uint32_t value = 0;
        for (int shift = 0; shift < 32; shift += 8) value |= static_cast<std::uint32_t>(u8()) << shift;
        return value;
    }
    std::uint64_t fixed64() {
        const std::uint64_t low = fixed32();
        return low | (static_cast<std::uint64_t>(fixed32()) << 32);
    }
    void raw(std::span<std::uint8_t> out) {
        if (bytes_.size() < out.size()) return refuse();
        std::memcpy(out.data(), bytes_.data(), out.size());
        bytes_ = bytes_.subspan(out.size());
    }
    std::string text() {
        const auto size = varint();
        if (size > bytes_.size()) {
            refuse();
            return {};
        }
        std::string value(reinterpret_cast<const char*>(bytes_.data()), size);
        bytes_ = bytes_.subspan(size);
        return value;
    }

private:
    std::span<const std::byte> bytes_;
    bool ok_ = true;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// MemoryFile: a File over bytes that a test can damage.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "server/base/disk.h"

namespace strata::cluster {

class MemoryFile final : public File {
public:
    MemoryFile() = default;
    explicit MemoryFile(std::vector<std::byte> content) : bytes(std::move(content)) {}

    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        if (offset < bad_to && offset + out.size() > bad_from) return fail(Errc::io);
        const std::size_t n = offset >= bytes.size() ? 0 : std::min<std::size_t>(out.size(), bytes.size() - offset);
        if (n > 0) std::memcpy(out.data(), bytes.data() + offset, n);
        return n;
    }
    Result<> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> pieces) override {
        for (const auto piece : pieces) {
            bytes.resize(std::max<std::size_t>(bytes.size(), offset + piece.size()));
            std::ranges::copy(piece, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
            offset += piece.size();
        }
        return {};
    }
    Result<> sync() override { return {}; }
    Result<std::uint64_t> size() override { return bytes.size(); }
    Result<> truncate(std::uint64_t size) override {
        bytes.resize(size);
        return {};
    }
    Result<> allocate(std::uint64_t offset, std::uint64_t length) override {
        bytes.resize(std::max<std::size_t>(bytes.size(), offset + length));
        return {};
    }
    Result<> punch(std::uint64_t offset, std::uint64_t length) override {
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
        return {};
    }

    std::vector<std::byte> bytes;
    std::uint64_t bad_from = 0, bad_to = 0;  // reads that touch this range fail
};

}  // namespace strata::cluster

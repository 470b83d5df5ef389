// SPDX-License-Identifier: Apache-2.0
// The WAL's format is SQLite's (sqlite.org/fileformat2.html, section 4).
#include "cluster/meta/checkpoint_mark.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "cluster/meta/sqlite_vfs.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::size_t header_size = 32, frame_header_size = 24, frame_size = frame_header_size + database_page_size;
constexpr std::uint32_t magic_little = 0x377f0682;  // the lowest bit set: checksums over big-endian words

using Salts = std::array<std::byte, 8>;

// salts, frames, CRC-32C of both.
constexpr std::size_t mark_size = 8 + 8 + 4;

std::string wal_of(const std::string& database) { return database + "-wal"; }
std::string mark_of(const std::string& database) { return database + "-mark"; }

std::uint32_t big_endian(std::span<const std::byte> at) {
    std::uint32_t value = 0;
    for (const std::byte b : at.first(4)) value = value << 8 | static_cast<std::uint32_t>(b);
    return value;
}

struct Sum {
    std::uint32_t a = 0, b = 0;
    bool swapped = false;  // words are big-endian

    void add(std::span<const std::byte> bytes) {
        for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
            a += word(bytes) + b;
            b += word(bytes.subspan(4)) + a;
        }
    }
    std::uint32_t word(std::span<const std::byte> at) const {
        const std::uint32_t value = big_endian(at);
        return swapped ? value : __builtin_bswap32(value);
    }
    bool is(std::span<const std::byte> stored) const { return a == big_endian(stored) && b == big_endian(stored.subspan(4)); }
};

struct Wal {
    bool empty = true;          // no WAL, or one whose header was never written
    bool sound_header = false;  // then the rest counts
    Salts salts{};
    std::uint64_t frames = 0;  // sound ones, up to the last commit
};

Result<Wal> scan(Disk& disk, const std::string& database) {
    Wal wal;
    auto opened = disk.open(wal_of(database), OpenMode::read);
    if (!opened && opened.error() == Errc::not_found) return wal;
    if (!opened) return fail(std::move(opened.error()));
    std::vector<std::byte> bytes(header_size);
    TRY(count, (*opened)->read_at(0, bytes));
    const std::span header(bytes.data(), count);
    wal.empty = std::ranges::all_of(header, [](std::byte b) { return b == std::byte{0}; });
    if (wal.empty || count < header_size) return wal;
    const std::uint32_t magic = big_endian(header);
    Sum sum{.swapped = (magic & 1) != 0};
    sum.add(header.first(24));
    wal.sound_header = (magic & ~1u) == magic_little && sum.is(header.subspan(24));
    if (!wal.sound_header) return wal;
    std::ranges::copy(header.subspan(16, 8), wal.salts.begin());
    bytes.resize(frame_size);
    for (std::uint64_t frame = 0;; ++frame) {
        TRY(got, (*opened)->read_at(header_size + frame * frame_size, bytes));
        const std::span now(bytes);
        if (got < frame_size || !std::ranges::equal(now.subspan(8, 8), wal.salts)) return wal;
        sum.add(now.first(8));
        sum.add(now.subspan(frame_header_size));
        if (!sum.is(now.subspan(16))) return wal;
        if (big_endian(now.subspan(4)) != 0) wal.frames = frame + 1;  // a commit
    }
}

std::uint32_t sum_of(std::span<const std::byte> mark) { return crc32c(mark.first(mark_size - 4)); }

std::unexpected<Error> damaged(Disk& disk, std::string_view what) {
    return fail(Errc::corrupt, std::string(what) + " of the metadata database on " + disk.description() + " is damaged");
}

}  // namespace

Result<> mark_checkpoint(Disk& disk, const std::string& database, std::uint64_t frames) {
    if (frames == 0) return {};
    std::array<std::byte, mark_size> mark{};
    {
        TRY(wal, disk.open(wal_of(database), OpenMode::read_write));
        CHECK_OK(wal->sync());  // SQLite syncs it only now, too; the mark must not come before
        TRY(count, wal->read_at(16, std::span(mark).first(8)));
        if (count < 8) return damaged(disk, "the write-ahead log");
    }
    std::memcpy(mark.data() + 8, &frames, sizeof frames);
    const std::uint32_t sum = sum_of(mark);
    std::memcpy(mark.data() + 16, &sum, sizeof sum);
    return replace_file(disk, mark_of(database), mark);
}

Result<std::uint64_t> sound_wal_frames(Disk& disk, const std::string& database) {
    TRY(wal, scan(disk, database));
    return wal.frames;
}

Result<> verify_checkpoint_mark(Disk& disk, const std::string& database) {
    const auto mark = read_file(disk, mark_of(database));
    if (!mark && mark.error() == Errc::not_found) return {};
    if (!mark) return fail(mark.error());
    std::uint32_t sum = 0;
    if (mark->size() == mark_size) std::memcpy(&sum, mark->data() + 16, sizeof sum);
    if (mark->size() != mark_size || sum != sum_of(*mark)) return damaged(disk, "the checkpoint mark");
    TRY(wal, scan(disk, database));
    // Restarted only when all was moved, and the new header is synced before the frames.
    if (wal.empty) return {};
    if (!wal.sound_header) return damaged(disk, "the write-ahead log");
    if (!std::ranges::equal(std::span(*mark).first(8), wal.salts)) return {};
    std::uint64_t frames = 0;
    std::memcpy(&frames, mark->data() + 8, sizeof frames);
    if (wal.frames < frames) return damaged(disk, "the write-ahead log");
    return {};
}

}  // namespace strata::cluster

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

// A slot: sequence:u64 salts:8 frames:u64 crc:u32, the crc over what is before it. Zeros: never written.
constexpr std::size_t mark_size = 8 + 8 + 8 + 4;
constexpr std::size_t slots = 2, slot_size = 4096;  // a block each: tearing one leaves the other alone

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
    bool sound_header = false;  // then the rest counts; not so without a WAL
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
    if (count < header_size) return wal;
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

struct Mark {
    std::uint64_t sequence = 0;  // from 1
    Salts salts{};
    std::uint64_t frames = 0;
};

std::array<std::byte, mark_size> encode_mark(const Mark& mark) {
    std::array<std::byte, mark_size> bytes{};
    std::memcpy(bytes.data(), &mark.sequence, sizeof mark.sequence);
    std::ranges::copy(mark.salts, bytes.begin() + 8);
    std::memcpy(bytes.data() + 16, &mark.frames, sizeof mark.frames);
    const std::uint32_t sum = crc32c(std::span(bytes).first(mark_size - 4));
    std::memcpy(bytes.data() + 24, &sum, sizeof sum);
    return bytes;
}

std::optional<Mark> decode_mark(std::span<const std::byte> bytes) {
    Mark mark;
    std::memcpy(&mark.sequence, bytes.data(), sizeof mark.sequence);
    std::ranges::copy(bytes.subspan(8, 8), mark.salts.begin());
    std::memcpy(&mark.frames, bytes.data() + 16, sizeof mark.frames);
    if (mark.sequence == 0 || !std::ranges::equal(encode_mark(mark), bytes.first(mark_size))) return std::nullopt;
    return mark;
}

std::unexpected<Error> damaged(Disk& disk, std::string_view what) {
    return fail(Errc::corrupt, std::string(what) + " of the metadata database on " + disk.description() + " is damaged");
}

// The newest one; nothing if none was ever written. Errors: corrupt, io.
Result<std::optional<Mark>> read_mark(Disk& disk, File& file) {
    std::optional<Mark> newest;
    std::size_t blank = 0;  // a power cut may have torn the first one
    for (std::size_t slot = 0; slot < slots; ++slot) {
        std::array<std::byte, mark_size> bytes{};
        TRY(count, file.read_at(slot * slot_size, bytes));
        if (count < mark_size) return damaged(disk, "the checkpoint mark");
        if (std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) ++blank;
        const auto mark = decode_mark(bytes);
        if (mark && (!newest || mark->sequence > newest->sequence)) newest = mark;
    }
    if (!newest && blank == 0) return damaged(disk, "the checkpoint mark");
    return newest;
}

// Blocks that were written before: writing to them again needs no space.
Result<> make_mark_file(Disk& disk, const std::string& database) {
    const std::array<std::byte, slots * slot_size> blank{};
    return replace_file(disk, mark_of(database), blank);
}

}  // namespace

Result<> prepare_checkpoint_mark(Disk& disk, const std::string& database) {
    TRY(exists, disk.exists(mark_of(database)));
    return exists ? Result<>() : make_mark_file(disk, database);
}

Result<> mark_checkpoint(Disk& disk, const std::string& database, std::uint64_t frames) {
    if (frames == 0) return {};
    Mark mark{.frames = frames};
    {
        TRY(wal, disk.open(wal_of(database), OpenMode::read_write));
        CHECK_OK(wal->sync());  // SQLite syncs it only now, too; the mark must not come before
        TRY(count, wal->read_at(16, mark.salts));
        if (count < mark.salts.size()) return damaged(disk, "the write-ahead log");
    }
    CHECK_OK(prepare_checkpoint_mark(disk, database));
    TRY(file, disk.open(mark_of(database), OpenMode::read_write));
    TRY(newest, read_mark(disk, *file));
    mark.sequence = (newest ? newest->sequence : 0) + 1;
    CHECK_OK(file->write_at(mark.sequence % slots * slot_size, encode_mark(mark)));
    return file->sync();
}

Result<std::uint64_t> sound_wal_frames(Disk& disk, const std::string& database) {
    TRY(wal, scan(disk, database));
    return wal.frames;
}

std::uint64_t wal_bytes_of(std::uint64_t frames) { return header_size + frames * frame_size; }

Result<> verify_checkpoint_mark(Disk& disk, const std::string& database) {
    const auto file = disk.open(mark_of(database), OpenMode::read);
    if (!file && file.error() == Errc::not_found) return {};
    if (!file) return fail(file.error());
    TRY(mark, read_mark(disk, **file));
    if (!mark) return {};
    TRY(wal, scan(disk, database));
    // Never absent or emptied since it was marked. Restarted only when all was moved, and the new header is synced before the frames.
    if (!wal.sound_header) return damaged(disk, "the write-ahead log");
    if (mark->salts != wal.salts) return {};
    if (wal.frames < mark->frames) return damaged(disk, "the write-ahead log");
    return {};
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The manifest's bytes: magic:u64 version:u8 fields (LEB128) crc:u32.
#include "cluster/meta/replica_manifest.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "cluster/meta/byte_codec.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t manifest_magic = 0x314c504552415254;  // "TRAREPL1"
constexpr std::uint8_t manifest_version = 1;
constexpr std::string_view manifest_folder = "meta";
constexpr std::string_view manifest_path = "meta/replicas";
constexpr std::size_t manifest_size_max = 4096;
constexpr std::size_t members_max = 64;

}  // namespace

bool ReplicaManifest::lists(const Uuid& store) const { return std::ranges::find(members, store) != members.end(); }

bool ReplicaManifest::newer_than(const ReplicaManifest& other) const {
    return std::tie(epoch, generation) > std::tie(other.epoch, other.generation);
}

std::vector<std::byte> encode_manifest(const ReplicaManifest& manifest) {
    ByteWriter out;
    out.fixed64(manifest_magic);
    out.u8(manifest_version);
    out.raw(manifest.volume);
    out.varint(manifest.number);
    out.varint(manifest.epoch);
    out.varint(manifest.generation);
    out.fixed64(manifest.nonce);
    out.varint(manifest.copies);
    out.u8(manifest.clean ? 1 : 0);
    out.varint(manifest.change_floor);
    out.varint(manifest.members.size());
    for (const auto& member : manifest.members) out.raw(member);
    out.fixed32(crc32c(std::as_bytes(std::span(out.bytes()))));
    const auto bytes = std::as_bytes(std::span(out.bytes()));
    return {bytes.begin(), bytes.end()};
}

Result<ReplicaManifest> decode_manifest(std::span<const std::byte> bytes) {
    const auto damaged = [] { return fail(Errc::corrupt, "the metadata's manifest (meta/replicas) is damaged"); };
    if (bytes.size() < 4) return damaged();
    const auto body = bytes.first(bytes.size() - 4);
    if (ByteReader(bytes.last(4)).fixed32() != crc32c(body)) return damaged();
    ByteReader in(body);
    if (in.fixed64() != manifest_magic) return damaged();
    if (const auto version = in.u8(); version != manifest_version) {
        return fail(Errc::bad_version, fmt::format("meta/replicas has version {}; this release knows {}", version, manifest_version));
    }
    ReplicaManifest manifest;
    in.raw(manifest.volume);
    manifest.number = in.u32();
    manifest.epoch = in.u32();
    manifest.generation = in.varint();
    manifest.nonce = in.fixed64();
    manifest.copies = in.u32();
    manifest.clean = in.bounded<std::uint8_t>(1) != 0;
    manifest.change_floor = in.varint();
    manifest.members.resize(in.bounded<std::size_t>(members_max));
    for (auto& member : manifest.members) in.raw(member);
    if (!in.ok() || !in.at_end() || manifest.members.empty()) return damaged();
    return manifest;
}

Result<> write_manifest(Disk& disk, const ReplicaManifest& manifest) {
    CHECK_OK(disk.make_folder(manifest_folder));
    CHECK_OK(disk.sync_folder(""));
    return replace_file(disk, manifest_path, encode_manifest(manifest));
}

Result<ReplicaManifest> read_manifest(Disk& disk) {
    TRY(bytes, read_file(disk, manifest_path, manifest_size_max));
    return decode_manifest(bytes);
}

std::string uuid_text(const Uuid& uuid) {
    std::string text;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", uuid[i]);
    }
    return text;
}

}  // namespace strata::cluster

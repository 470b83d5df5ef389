// SPDX-License-Identifier: Apache-2.0
// Rows to bytes and back.
#include "cluster/meta/row_codec.h"

namespace strata::cluster {

namespace {

constexpr std::uint8_t inode_version = 1;
constexpr std::uint8_t chunk_version = 1;

void write_time(ByteWriter& out, Timestamp time) {
    out.svarint(time.seconds);
    out.varint(time.nanoseconds);
}

Timestamp read_time(ByteReader& in) {
    Timestamp time;
    time.seconds = in.svarint();
    time.nanoseconds = in.bounded<std::uint32_t>(999'999'999);
    return time;
}

}  // namespace

void write_chunk_id(ByteWriter& out, const ChunkId& id) {
    out.varint(id.volume);
    out.varint(id.epoch);
    out.varint(id.counter);
}

ChunkId read_chunk_id(ByteReader& in) {
    ChunkId id;
    id.volume = in.u32();
    id.epoch = in.u32();
    id.counter = in.varint();
    return id;
}

void write_inode_body(ByteWriter& out, const InodeRow& row) {
    out.u8(inode_version);
    out.varint(row.generation);
    out.varint(row.domain);
    out.u8(static_cast<std::uint8_t>(row.type));
    out.varint(row.mode);
    out.varint(row.uid);
    out.varint(row.gid);
    out.varint(row.link_count);
    out.varint(row.size);
    out.varint(row.allocated);
    out.varint(row.change);
    for (auto time : {row.access_time, row.modify_time, row.change_time, row.birth_time}) write_time(out, time);
    out.varint(row.device.major);
    out.varint(row.device.minor);
    out.varint(row.dos_attributes);
    out.varint(row.map);
    out.varint(row.parent);
    out.varint(row.next_cookie);
    out.varint(row.verifier);
    out.text(row.symlink);
    out.text(row.acl);
    out.text(row.inline_data);
    out.u8(row.has_xattrs ? 1 : 0);
}

void read_inode_body(ByteReader& in, InodeRow& row) {
    if (in.u8() != inode_version) return in.refuse();
    row.generation = in.u32();
    row.domain = in.u32();
    const auto type = in.u8();
    if (type < static_cast<std::uint8_t>(vfs::FileType::regular) || type > static_cast<std::uint8_t>(vfs::FileType::character_device)) {
        return in.refuse();
    }
    row.type = static_cast<vfs::FileType>(type);
    row.mode = in.u32();
    row.uid = in.u32();
    row.gid = in.u32();
    row.link_count = in.u32();
    row.size = in.varint();
    row.allocated = in.varint();
    row.change = in.varint();
    for (auto* time : {&row.access_time, &row.modify_time, &row.change_time, &row.birth_time}) *time = read_time(in);
    row.device.major = in.u32();
    row.device.minor = in.u32();
    row.dos_attributes = in.u32();
    row.map = in.varint();
    row.parent = in.varint();
    row.next_cookie = in.varint();
    row.verifier = in.varint();
    row.symlink = in.text();
    row.acl = in.text();
    row.inline_data = in.text();
    row.has_xattrs = in.bounded<std::uint8_t>(1) != 0;
}

void write_chunk_body(ByteWriter& out, const Chunk& chunk) {
    out.u8(chunk_version);
    out.u8(chunk.geometry.k);
    out.u8(chunk.geometry.m);
    out.varint(chunk.length);
    out.varint(chunk.shard_length);
    out.varint(chunk.places.size());
    for (const auto& place : chunk.places) {
        out.varint(place.store);
        out.fixed32(place.digest);
    }
}

void read_chunk_body(ByteReader& in, Chunk& chunk) {
    if (in.u8() != chunk_version) return in.refuse();
    chunk.geometry.k = in.u8();
    chunk.geometry.m = in.u8();
    chunk.length = in.u32();
    chunk.shard_length = in.u32();
    const auto places = in.bounded<std::size_t>(shards_max);
    chunk.places.clear();
    for (std::size_t i = 0; i < places && in.ok(); ++i) {
        ShardPlace place;
        place.store = in.bounded<StoreIndex>(no_store);
        place.digest = in.fixed32();
        chunk.places.push_back(place);
    }
}

}  // namespace strata::cluster

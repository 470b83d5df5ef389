// SPDX-License-Identifier: Apache-2.0
// Commands to bytes and back.
//
//   command = version:u8 change*          (to the end of the bytes)
//   change  = kind:u8 fields              (kind: the table below; never renumbered)
#include "cluster/meta/rows.h"

#include "cluster/meta/row_codec.h"

namespace strata::cluster {

namespace {

constexpr std::uint8_t command_version = 1;

enum class Kind : std::uint8_t {
    put_inode = 1,
    delete_inode,
    put_entry,
    delete_entry,
    put_extent,
    delete_extent,
    put_chunk,
    delete_chunk,
    adjust_chunk,
    put_xattr,
    delete_xattr,
    put_record,
    delete_record,
    put_reap,
    delete_reap,
    move_chunk,
};

void kind(ByteWriter& out, Kind value) { out.u8(static_cast<std::uint8_t>(value)); }

void write(ByteWriter& out, const PutInode& change) {
    kind(out, Kind::put_inode);
    out.varint(change.row.number);
    write_inode_body(out, change.row);
}

void write(ByteWriter& out, const DeleteInode& change) {
    kind(out, Kind::delete_inode);
    out.varint(change.number);
}

void write(ByteWriter& out, const PutEntry& change) {
    const auto& row = change.row;
    kind(out, Kind::put_entry);
    out.varint(row.parent);
    out.text(row.name);
    out.u8(row.folded == row.name ? 0 : 1);
    if (row.folded != row.name) out.text(row.folded);
    out.varint(row.cookie);
    out.varint(row.child);
    out.varint(row.child_generation);
    out.u8(static_cast<std::uint8_t>(row.child_type));
}

void write(ByteWriter& out, const DeleteEntry& change) {
    kind(out, Kind::delete_entry);
    out.varint(change.key.parent);
    out.text(change.key.name);
}

void write(ByteWriter& out, const PutExtent& change) {
    const auto& row = change.row;
    kind(out, Kind::put_extent);
    out.varint(row.map);
    out.varint(row.offset);
    out.varint(row.length);
    write_chunk_id(out, row.chunk);
    out.varint(row.chunk_offset);
}

void write(ByteWriter& out, const DeleteExtent& change) {
    kind(out, Kind::delete_extent);
    out.varint(change.key.map);
    out.varint(change.key.offset);
}

void write(ByteWriter& out, const PutChunk& change) {
    kind(out, Kind::put_chunk);
    write_chunk_id(out, change.row.chunk.id);
    out.varint(change.row.references);
    write_chunk_body(out, change.row.chunk);
}

void write(ByteWriter& out, const DeleteChunk& change) {
    kind(out, Kind::delete_chunk);
    write_chunk_id(out, change.id);
}

void write(ByteWriter& out, const AdjustChunk& change) {
    kind(out, Kind::adjust_chunk);
    write_chunk_id(out, change.id);
    out.svarint(change.delta);
}

void write(ByteWriter& out, const MoveChunk& change) {
    kind(out, Kind::move_chunk);
    write_chunk_id(out, change.chunk.id);
    write_chunk_body(out, change.chunk);
}

void write(ByteWriter& out, const PutXattr& change) {
    kind(out, Kind::put_xattr);
    out.varint(change.row.inode);
    out.text(change.row.name);
    out.text(change.row.value);
}

void write(ByteWriter& out, const DeleteXattr& change) {
    kind(out, Kind::delete_xattr);
    out.varint(change.key.inode);
    out.text(change.key.name);
}

void write(ByteWriter& out, const PutRecord& change) {
    kind(out, Kind::put_record);
    out.text(change.row.table);
    out.text(change.row.key);
    out.text(change.row.value);
}

void write(ByteWriter& out, const DeleteRecord& change) {
    kind(out, Kind::delete_record);
    out.text(change.key.table);
    out.text(change.key.key);
}

void write(ByteWriter& out, const PutReap& change) {
    kind(out, Kind::put_reap);
    out.varint(change.row.map);
    out.varint(change.row.from);
}

void write(ByteWriter& out, const DeleteReap& change) {
    kind(out, Kind::delete_reap);
    out.varint(change.map);
}

PutInode read_put_inode(ByteReader& in) {
    PutInode change;
    change.row.number = in.varint();
    read_inode_body(in, change.row);
    return change;
}

PutEntry read_put_entry(ByteReader& in) {
    PutEntry change;
    auto& row = change.row;
    row.parent = in.varint();
    row.name = in.text();
    if (in.bounded<std::uint8_t>(1) == 0) {
        row.folded = row.name;
    } else {
        row.folded = in.text();
        if (row.folded == row.name) in.refuse();
    }
    row.cookie = in.varint();
    row.child = in.varint();
    row.child_generation = in.u32();
    const auto type = in.u8();
    if (type < 1 || type > static_cast<std::uint8_t>(vfs::FileType::character_device)) in.refuse();
    row.child_type = static_cast<vfs::FileType>(type);
    return change;
}

PutExtent read_put_extent(ByteReader& in) {
    PutExtent change;
    change.row.map = in.varint();
    change.row.offset = in.varint();
    change.row.length = in.varint();
    change.row.chunk = read_chunk_id(in);
    change.row.chunk_offset = in.u32();
    return change;
}

PutChunk read_put_chunk(ByteReader& in) {
    PutChunk change;
    change.row.chunk.id = read_chunk_id(in);
    change.row.references = in.u32();
    read_chunk_body(in, change.row.chunk);
    return change;
}

AdjustChunk read_adjust_chunk(ByteReader& in) {
    AdjustChunk change;
    change.id = read_chunk_id(in);
    const auto delta = in.svarint();
    if (delta < INT32_MIN || delta > INT32_MAX) in.refuse();
    change.delta = static_cast<std::int32_t>(delta);
    return change;
}

MoveChunk read_move_chunk(ByteReader& in) {
    MoveChunk change;
    change.chunk.id = read_chunk_id(in);
    read_chunk_body(in, change.chunk);
    return change;
}

// Members in order of evaluation: braces guarantee left to right.
RowChange read_change(ByteReader& in, Kind which) {
    switch (which) {
        case Kind::put_inode: return read_put_inode(in);
        case Kind::delete_inode: return DeleteInode{in.varint()};
        case Kind::put_entry: return read_put_entry(in);
        case Kind::delete_entry: return DeleteEntry{{in.varint(), in.text()}};
        case Kind::put_extent: return read_put_extent(in);
        case Kind::delete_extent: return DeleteExtent{{in.varint(), in.varint()}};
        case Kind::put_chunk: return read_put_chunk(in);
        case Kind::delete_chunk: return DeleteChunk{read_chunk_id(in)};
        case Kind::adjust_chunk: return read_adjust_chunk(in);
        case Kind::put_xattr: return PutXattr{{in.varint(), in.text(), in.text()}};
        case Kind::delete_xattr: return DeleteXattr{{in.varint(), in.text()}};
        case Kind::put_record: return PutRecord{{in.text(), in.text(), in.text()}};
        case Kind::delete_record: return DeleteRecord{{in.text(), in.text()}};
        case Kind::put_reap: return PutReap{{in.varint(), in.varint()}};
        case Kind::delete_reap: return DeleteReap{in.varint()};
        case Kind::move_chunk: return read_move_chunk(in);
    }
    in.refuse();
    return DeleteReap{};
}

}  // namespace

std::string encode(const Command& command) {
    ByteWriter out;
    out.u8(command_version);
    for (const auto& change : command) {
        std::visit([&out](const auto& c) { write(out, c); }, change);
    }
    return std::move(out.bytes());
}

Result<Command> decode_command(std::span<const std::byte> bytes) {
    ByteReader in(bytes);
    if (const auto version = in.u8(); !in.ok() || version != command_version) {
        return fail(Errc::bad_version, "a metadata command of version " + std::to_string(version) + "; this release knows 1");
    }
    Command command;
    while (in.ok() && !in.at_end()) command.push_back(read_change(in, static_cast<Kind>(in.u8())));
    if (!in.ok()) return fail(Errc::bad_message, "a metadata command is malformed");
    return command;
}

}  // namespace strata::cluster

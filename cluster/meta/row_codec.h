// SPDX-License-Identifier: Apache-2.0
// The stored form of single rows, the same in the log and in the database. Each begins with its own format version.
#pragma once

#include "cluster/meta/byte_codec.h"
#include "cluster/meta/rows.h"

namespace strata::cluster {

void write_chunk_id(ByteWriter& out, const ChunkId& id);
ChunkId read_chunk_id(ByteReader& in);

// Without the key (number, chunk id, reference count): the database has those in columns.
void write_inode_body(ByteWriter& out, const InodeRow& row);
void read_inode_body(ByteReader& in, InodeRow& row);
void write_chunk_body(ByteWriter& out, const Chunk& chunk);
void read_chunk_body(ByteReader& in, Chunk& chunk);

}  // namespace strata::cluster

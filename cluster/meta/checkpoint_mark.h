// SPDX-License-Identifier: Apache-2.0
// CheckpointMark: what of the WAL a checkpoint is moving into the database, durable before the first page moves.
//
// A database is whole only together with the WAL that was, or is being, moved into it: its pages may be of any mix of the commits in there.
// SQLite takes a WAL with a flipped bit for one that ends before it, which after a checkpoint is a database with old and new pages, each of
// them sound by its own checksum. So the mark names the WAL (by its salts) and its frames; a WAL of that name with fewer sound frames, or
// with a header that is not sound or not there, has been damaged.
//
// The mark lies beside the database in a file of two slots, written in turn and in place: a checkpoint, which may be what makes room, needs
// no space for it. The newest sound slot counts; one that a power cut tore was of a checkpoint that had not begun.
#pragma once

#include <cstdint>
#include <string>

#include "server/base/disk.h"
#include "server/base/result.h"

namespace strata::cluster {

// All block.

// Makes the file of the mark, which then marks nothing, if it is not there. Errors: io, no_space.
Result<> prepare_checkpoint_mark(Disk& disk, const std::string& database);
// Makes the WAL of `database` and a mark for its first `frames` frames durable. No frames: nothing to do. Errors: io, corrupt,
// no_space (only if the file of the mark has to be made).
Result<> mark_checkpoint(Disk& disk, const std::string& database, std::uint64_t frames);
// Sound frames of the WAL up to the last commit; 0 without a WAL. Errors: io.
Result<std::uint64_t> sound_wal_frames(Disk& disk, const std::string& database);
// The size of a WAL of so many frames.
std::uint64_t wal_bytes_of(std::uint64_t frames);
// Before the database is opened. Errors: corrupt (the database and its WAL do not belong together any more), io.
Result<> verify_checkpoint_mark(Disk& disk, const std::string& database);

}  // namespace strata::cluster

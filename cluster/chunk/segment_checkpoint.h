// SPDX-License-Identifier: Apache-2.0
// Checkpoint of a sealed segment: its entries in a file of their own, so that opening a store does not read its data. It is only a
// shortcut: an absent or damaged one is replaced by scanning the segment.
//
//   checkpoint = header entry*           little-endian
//   header     = 64 bytes: u64 magic, u16 format, u16 zero, u32 segment, u8[16] store, u32 entries, u32 used blocks, zeros,
//                at 60 u32 crc32c of everything with this field zero
//   entry      = 32 bytes: u8 kind, u8 shard, u16 zero, u32 volume, u32 epoch, u32 place, u64 counter, u32 length, u32 digest
#pragma once

#include <span>
#include <vector>

#include "cluster/chunk/segment_scan.h"

namespace strata::cluster {

std::vector<std::byte> encode_checkpoint(const SegmentContents& contents, const Uuid& store, std::uint32_t segment);
// Errors: corrupt, bad_version.
Result<SegmentContents> decode_checkpoint(std::span<const std::byte> bytes, const Uuid& store, std::uint32_t segment);

}  // namespace strata::cluster

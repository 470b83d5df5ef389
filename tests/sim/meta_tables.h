// SPDX-License-Identifier: Apache-2.0
// MetaTables: a volume's metadata as plain maps: the model that the real metadata store is compared with.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "cluster/meta/meta_store.h"

namespace strata::sim {

// A value: copy it, compare it. What a correct owner never submits (two entries with one cookie, overlapping extents, a reference to an
// absent chunk) ends the test.
struct MetaTables {
    std::map<cluster::InodeNumber, cluster::InodeRow> inodes;
    std::map<std::pair<cluster::InodeNumber, std::string>, cluster::EntryRow> entries;
    std::map<std::pair<cluster::InodeNumber, std::uint64_t>, std::string> cookies;  // (parent, cookie) -> name
    std::map<std::pair<cluster::MapId, std::uint64_t>, cluster::ExtentRow> extents;
    std::map<cluster::ChunkId, cluster::ChunkRow> chunks;
    std::map<std::pair<cluster::InodeNumber, std::string>, std::string> xattrs;
    std::map<std::pair<std::string, std::string>, std::string> records;
    std::map<cluster::MapId, std::uint64_t> reaps;
    cluster::InodeNumber inode_max = 1;  // highest number ever put, even if deleted since
    cluster::MapId map_max = 0;

    void apply(const cluster::Command& command);
    friend bool operator==(const MetaTables&, const MetaTables&) = default;

private:
    void apply_change(const cluster::PutInode& change);
    void apply_change(const cluster::DeleteInode& change);
    void apply_change(const cluster::PutEntry& change);
    void apply_change(const cluster::DeleteEntry& change);
    void apply_change(const cluster::PutExtent& change);
    void apply_change(const cluster::DeleteExtent& change);
    void apply_change(const cluster::PutChunk& change);
    void apply_change(const cluster::DeleteChunk& change);
    void apply_change(const cluster::AdjustChunk& change);
    void apply_change(const cluster::MoveChunk& change);
    void apply_change(const cluster::PutXattr& change);
    void apply_change(const cluster::DeleteXattr& change);
    void apply_change(const cluster::PutRecord& change);
    void apply_change(const cluster::DeleteRecord& change);
    void apply_change(const cluster::PutReap& change);
    void apply_change(const cluster::DeleteReap& change);
};

}  // namespace strata::sim

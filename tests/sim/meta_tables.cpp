// SPDX-License-Identifier: Apache-2.0
// MetaTables: row changes over std::map.
#include "tests/sim/meta_tables.h"

#include <algorithm>
#include <iterator>
#include <variant>

#include "server/base/assert.h"

namespace strata::sim {

using namespace strata::cluster;

void MetaTables::apply(const Command& command) {
    for (const auto& change : command) {
        std::visit([this](const auto& c) { apply_change(c); }, change);
    }
}

void MetaTables::apply_change(const PutInode& change) {
    STRATA_ASSERT(change.row.number != 0);
    inodes[change.row.number] = change.row;
    inode_max = std::max(inode_max, change.row.number);
    map_max = std::max(map_max, change.row.map);
}

void MetaTables::apply_change(const DeleteInode& change) {
    inodes.erase(change.number);
    xattrs.erase(xattrs.lower_bound({change.number, {}}), xattrs.lower_bound({change.number + 1, {}}));
}

void MetaTables::apply_change(const PutEntry& change) {
    const auto& row = change.row;
    if (auto old = entries.find({row.parent, row.name}); old != entries.end()) cookies.erase({row.parent, old->second.cookie});
    const bool cookie_is_free = cookies.emplace(std::pair(row.parent, row.cookie), row.name).second;
    STRATA_ASSERT(cookie_is_free);
    entries[{row.parent, row.name}] = row;
}

void MetaTables::apply_change(const DeleteEntry& change) {
    auto at = entries.find({change.key.parent, change.key.name});
    if (at == entries.end()) return;
    cookies.erase({at->second.parent, at->second.cookie});
    entries.erase(at);
}

void MetaTables::apply_change(const PutExtent& change) {
    const auto& row = change.row;
    map_max = std::max(map_max, row.map);
    extents[{row.map, row.offset}] = row;
}

void MetaTables::apply_change(const DeleteExtent& change) { extents.erase({change.key.map, change.key.offset}); }

void MetaTables::apply_change(const PutChunk& change) { chunks[change.row.chunk.id] = change.row; }

void MetaTables::apply_change(const DeleteChunk& change) { chunks.erase(change.id); }

void MetaTables::apply_change(const AdjustChunk& change) {
    auto at = chunks.find(change.id);
    STRATA_ASSERT(at != chunks.end());
    const std::int64_t references = std::int64_t{at->second.references} + change.delta;
    STRATA_ASSERT(references >= 0);
    if (references == 0)
        chunks.erase(at);
    else
        at->second.references = static_cast<std::uint32_t>(references);
}

void MetaTables::apply_change(const MoveChunk& change) {
    if (auto at = chunks.find(change.chunk.id); at != chunks.end()) at->second.chunk = change.chunk;
}

void MetaTables::apply_change(const PutXattr& change) { xattrs[{change.row.inode, change.row.name}] = change.row.value; }

void MetaTables::apply_change(const DeleteXattr& change) { xattrs.erase({change.key.inode, change.key.name}); }

void MetaTables::apply_change(const PutRecord& change) { records[{change.row.table, change.row.key}] = change.row.value; }

void MetaTables::apply_change(const DeleteRecord& change) { records.erase({change.key.table, change.key.key}); }

void MetaTables::apply_change(const PutReap& change) {
    map_max = std::max(map_max, change.row.map);
    reaps[change.row.map] = change.row.from;
}

void MetaTables::apply_change(const DeleteReap& change) { reaps.erase(change.map); }

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// A whole database as the model's tables.
#pragma once

#include <string>
#include <utility>

#include "cluster/meta/row_reader.h"
#include "tests/sim/meta_tables.h"

namespace strata::cluster {

// All rows, by the readers' pages.
inline Result<sim::MetaTables> read_tables(RowReader& reader) {
    sim::MetaTables tables;
    for (InodeNumber after = 0;;) {
        TRY(rows, reader.all_inodes(after, 7));
        if (rows.empty()) break;
        for (auto& row : rows) tables.inodes[after = row.number] = row;
    }
    for (std::pair<InodeNumber, std::uint64_t> after;;) {
        TRY(rows, reader.all_entries(after.first, after.second, 7));
        if (rows.empty()) break;
        for (auto& row : rows) {
            after = {row.parent, row.cookie};
            tables.cookies[after] = row.name;
            tables.entries[{row.parent, row.name}] = row;
        }
    }
    for (std::pair<MapId, std::uint64_t> after;;) {
        TRY(rows, reader.all_extents(after.first, after.second, 7));
        if (rows.empty()) break;
        for (auto& row : rows) tables.extents[after = {row.map, row.offset}] = row;
    }
    for (ChunkId after;;) {
        TRY(rows, reader.chunks(after, 7));
        if (rows.empty()) break;
        for (auto& row : rows) tables.chunks[after = row.chunk.id] = row;
    }
    for (std::pair<InodeNumber, std::string> after;;) {
        TRY(rows, reader.all_xattrs(after.first, after.second, 7));
        if (rows.empty()) break;
        for (auto& row : rows) tables.xattrs[after = {row.inode, row.name}] = row.value;
    }
    for (std::pair<std::string, std::string> after;;) {
        TRY(rows, reader.all_records(after.first, after.second, 7));
        if (rows.empty()) break;
        for (auto& row : rows) tables.records[after = {row.table, row.key}] = row.value;
    }
    TRY(reaps, reader.reaps(1 << 20));
    for (auto& row : reaps) tables.reaps[row.map] = row.from;
    TRY(state, reader.volume_state());
    tables.inode_max = state.inode_max;
    tables.map_max = state.map_max;
    return tables;
}

}  // namespace strata::cluster

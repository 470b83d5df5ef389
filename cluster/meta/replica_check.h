// SPDX-License-Identifier: Apache-2.0
// Offline checks of a volume's metadata, for `stratad check`: with no owner running, after an opening and an orderly close.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/meta/replica.h"
#include "cluster/meta/replica_manifest.h"

namespace strata::cluster {

// Told each row of a table in order of key; a failure ends the reading and is passed on. Absent functions skip their table.
struct RowVisitor {
    std::function<Result<>(const InodeRow&)> inode;
    std::function<Result<>(const EntryRow&)> entry;
    std::function<Result<>(const ExtentRow&)> extent;
    std::function<Result<>(const ChunkRow&)> chunk;
    std::function<Result<>(const XattrRow&)> xattr;
    std::function<Result<>(const RecordRow&)> record;
    std::function<Result<>(const ReapRow&)> reap;
};

// All rows. Errors: the database's, and the visitor's.
Result<> visit_rows(RowReader& reader, const RowVisitor& visitor);

// A digest of all rows and of the volume's state: equal for equal replicas, whatever their pages look like.
Result<std::uint64_t> digest_of(RowReader& reader);

struct ReplicaCheck {
    Uuid store{};
    std::string description;
    VolumeState state;
    std::uint64_t digest = 0;
    std::vector<std::string> faults;  // from SQLite's integrity check and from reading all rows; empty: sound
};

// Checks the replica of each store that the newest manifest lists, and that they are equal (else: a fault). What other stores have left of
// older ones is nobody's. Blocks; opens the databases, so
// nobody else may have them open. Errors: not_found (no store has a manifest).
Result<std::vector<ReplicaCheck>> check_replicas(const std::vector<StoreDisk>& places, Random& random);

}  // namespace strata::cluster

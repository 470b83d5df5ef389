// SPDX-License-Identifier: Apache-2.0
// Rows and commands of metadata for tests: plain ones, and a random but sensible workload.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/meta/rows.h"
#include "server/base/random.h"
#include "tests/sim/meta_tables.h"

namespace strata::sim {

cluster::InodeRow sample_inode(cluster::InodeNumber number);
cluster::EntryRow sample_entry(cluster::InodeNumber parent, std::string name, std::uint64_t cookie, cluster::InodeNumber child);
cluster::Chunk sample_chunk(std::uint64_t counter);
// A file made in directory `parent`: inode, entry, and the parent's new row. `cookie` is 3 for the directory's first entry.
cluster::Command create_command(cluster::InodeNumber parent, cluster::InodeNumber number, std::uint64_t cookie);

// Commands as an owner would compute them, by seed, each against what all before it made.
class MetaWorkload {
public:
    explicit MetaWorkload(Random& random, MetaTables tables = {}) : random_(&random), tables_(std::move(tables)) {}
    cluster::Command next();
    const MetaTables& tables() const { return tables_; }

private:
    cluster::Command create();
    cluster::Command unlink();
    cluster::Command rename();
    cluster::Command write();
    cluster::Command truncate();
    cluster::Command set_xattr();
    cluster::Command put_record();
    const cluster::InodeRow* pick_file();
    const cluster::EntryRow* pick_entry();
    void append_content_removal(cluster::MapId map, cluster::Command& command);

    Random* random_;
    MetaTables tables_;
    std::uint64_t chunks_ = 0, names_ = 0;
};

}  // namespace strata::sim

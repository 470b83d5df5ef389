// SPDX-License-Identifier: Apache-2.0
// Volume: what all parts of one volume's file system share: nodes in memory, metadata, data, and the allocators of ids.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "cluster/fs/data_engine.h"
#include "cluster/fs/node_table.h"
#include "cluster/meta/meta_store.h"
#include "server/base/pool.h"
#include "server/base/runtime.h"
#include "server/vfs/file_system.h"

namespace strata::cluster {

struct VolumeConfig {
    std::size_t nodes_max = 400'000;  // inodes in memory; large directories and maps count as many
    // A directory with more entries is listed page by page out of the metadata, not from memory.
    std::size_t directory_entries_max = 20'000;
    DataConfig data;
};

struct VolumeParts {
    const Runtime* runtime = nullptr;
    MetaStore* meta = nullptr;
    ChunkIo* stripes = nullptr;
    std::function<Policy(vfs::DomainId)> policy;
    std::function<vfs::Space(vfs::DomainId)> space;  // of user data under the domain's policy
};

class Volume {
public:
    Volume(VolumeParts parts, VolumeConfig config);
    ~Volume();

    MetaStore& meta() { return *parts_.meta; }
    DataEngine& data() { return *data_; }
    NodeTable& nodes() { return nodes_; }
    const Runtime& runtime() const { return *parts_.runtime; }
    const VolumeConfig& config() const { return config_; }
    const VolumeParts& parts() const { return parts_; }
    Timestamp now() const { return parts_.runtime->clock->wall_time(); }

    // The live node of `id`, loading it if need be. Errors: stale (gone, or another generation), io.
    Task<Result<NodePtr>> node(const Context& ctx, vfs::FileId id);
    // The same from memory alone; null: not there, or stale: node() tells which.
    NodePtr find(vfs::FileId id);
    // As node() for a number that an entry named: a generation does not matter.
    Task<Result<NodePtr>> node_of(const Context& ctx, InodeNumber number);
    // The nodes of `numbers` with as few reads as it takes, in the same order; null: it does not exist.
    Task<Result<std::vector<NodePtr>>> preload(const Context& ctx, const std::vector<InodeNumber>& numbers);

    InodeNumber new_inode() { return next_inode_.fetch_add(1, std::memory_order_relaxed); }
    MapId new_map() { return next_map_.fetch_add(1, std::memory_order_relaxed); }
    ChunkId new_chunk();
    std::uint32_t generation() const { return parts_.meta->volume().epoch; }

    // Marks a directory as changed now (mtime, ctime, change). mutex held.
    void touch_directory(Node& node) const;
    // Marks an object's attributes as changed now (ctime, change). mutex held.
    void touch(Node& node) const;
    // Submits `command` (with a PutInode of every node of `nodes` appended) and notes its index. All mutexes held.
    LogIndex submit(Command command, std::initializer_list<Node*> nodes);

    // A name of `node` went away (row.link_count is down). When it was the last: the content goes at once, or with the last pin; an orphan
    // record lets it go even over a restart. Appends to `command`; the inode's own row too (so it is not among submit()'s nodes).
    // mutex held.
    void drop_if_unreferenced(Node& node, Command& command);
    void unpin(const NodePtr& node);
    // Frees the content of inodes whose last name went while they were open, and that nobody opened again since the restart.
    Task<Result<>> reap_orphans(const Context& ctx);

    // Guards the shape of the tree: taken, before any node's mutex, by renames that move a directory to another parent.
    std::mutex tree_mutex;

    std::atomic<std::int64_t> inode_count{0};

private:
    void adopt(InodeRow& row) const;  // what a row shows after a restart
    void free_content(Node& node, Command& command);

    VolumeParts parts_;
    const VolumeConfig config_;
    std::unique_ptr<Pool> pool_;  // ends large nodes
    NodeTable nodes_;
    std::unique_ptr<DataEngine> data_;
    std::atomic<InodeNumber> next_inode_;
    std::atomic<MapId> next_map_;
    std::atomic<std::uint64_t> next_chunk_{1};
};

constexpr InodeNumber root_inode = 1;

}  // namespace strata::cluster

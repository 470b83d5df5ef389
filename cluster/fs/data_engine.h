// SPDX-License-Identifier: Apache-2.0
// DataEngine: the bytes of regular files: write-back buffer, extent maps, flushes, reads through the block cache, the sealer.
//
// Order at every flush: data durable in chunks -> one command with extents, chunks and the inode row -> durable -> acknowledged.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "cluster/fs/node.h"
#include "cluster/meta/meta_store.h"
#include "cluster/stripe/stripe.h"
#include "server/base/buffer.h"
#include "server/base/context.h"
#include "server/base/runtime.h"
#include "server/vfs/file_system.h"

namespace strata::cluster {

struct DataConfig {
    std::size_t dirty_bytes_max = 512u << 20;  // memory pinned by dirty data before writers wait
    Duration dirty_age_max = 10s;
    std::size_t cache_bytes_max = 512u << 20;  // clean blocks
    Duration seal_age = 30min;                 // ragged extents untouched for so long become coded stripes
    Duration failed_age_max = 5min;            // dirty data that cannot be written for so long are given up (the verifier changes)
};

class DataEngine {
public:
    struct Parts {
        const Runtime* runtime = nullptr;
        MetaStore* meta = nullptr;
        ChunkIo* stripes = nullptr;
        std::function<Policy(vfs::DomainId)> policy;
        std::function<ChunkId()> new_chunk;  // never reused
        std::function<MapId()> new_map;
        // Space that new data may take under the domain's policy, in bytes of file data (no_space is answered before buffering).
        std::function<std::uint64_t(vfs::DomainId)> available;
        // Inodes by number, and the end of the numbers: for the survey of all files. May be empty: then there is none.
        std::function<Task<Result<NodePtr>>(const Context&, InodeNumber)> node;
        std::function<InodeNumber()> inode_end;
        std::function<void(Node&)> weigh;  // told when a node takes more or less memory, its mutex held; may be empty
    };
    DataEngine(Parts parts, DataConfig config);
    ~DataEngine();

    // As vfs::FileSystem's calls of the same names; the node is a regular file. Timestamps and change counters of the node are kept here.
    Task<Result<vfs::ReadResult>> read(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint32_t count);
    Task<Result<vfs::WriteResult>> write(const Context& ctx, NodePtr node, std::uint64_t offset, BufferChain data, vfs::Stability wanted);
    Task<Result<std::uint64_t>> commit(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint64_t count);
    Task<Result<>> allocate(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint64_t length);
    Task<Result<>> deallocate(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint64_t length);
    Task<Result<vfs::Extent>> map(const Context& ctx, NodePtr node, std::uint64_t offset);
    // Whole or not at all: too_big if it would take too long a command.
    Task<Result<>> clone(const Context& ctx, NodePtr source, std::uint64_t source_offset, NodePtr target, std::uint64_t target_offset,
                         std::uint64_t length);

    // For SETATTR of size, together with other attributes in one command. First prepare(): loads what set_size needs (may suspend), and
    // shortens a file of very many extents step by step until one command of bounded length can do the rest. Then,
    // with node->mutex held, set_size(): changes row.size, durable_size, extents and dirty ranges, ordered against flushes under way, and
    // appends the row changes (not the inode's own PutInode) to `command`. False: what prepare() loaded is gone, call it again.
    Task<Result<>> prepare(const Context& ctx, NodePtr node, std::uint64_t size);
    bool set_size(Node& node, std::uint64_t size, Command& command);

    // The last name and pin are gone: drops dirty data; appends what frees the content (a ReapRow) to `command`. node->mutex held.
    void discard(Node& node, Command& command);
    // True while the node has dirty data, a flush under way or loaded state that must stay in memory. node->mutex held.
    bool busy(const Node& node) const;

    // A repair gave the chunk new places, durably: reads go there from now on. Any thread.
    void chunk_moved(const Chunk& chunk);

    std::uint64_t write_verifier() const;
    // Flushes everything dirty. Errors: the first that happened.
    Task<Result<>> flush_all(const Context& ctx);
    // One pass of the background work that can be done now: merging, sealing, reaping, removal of dead chunks; with `all_files` it
    // spares no file because it is in use, and surveys all of them. Errors: the first.
    Task<Result<>> tidy(const Context& ctx, bool all_files);
    // Starts the background work: age flusher, reaper, sealer. stop() ends it (after flush_all, for an orderly end).
    void start();
    Task<> stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// DataCore: what the phases of the data engine (read, write, flush, seal, reap) share: the parts below, memory bounds, the queue of
// dirty files, extent maps coming in.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "cluster/fs/block_cache.h"
#include "cluster/fs/chunk_reader.h"
#include "cluster/fs/data_engine.h"
#include "cluster/fs/file_data.h"
#include "server/base/task_group.h"

namespace strata::cluster {

// Files with changes that no command carries, oldest first. Any thread.
class DirtyQueue {
public:
    std::uint64_t add(NodePtr node, Instant since);
    void remove(std::uint64_t ticket);
    // The files that became dirty at `since` or before, oldest first, at most `limit`; they stay in the queue.
    std::vector<NodePtr> due(Instant since, std::size_t limit) const;
    bool empty() const;

private:
    struct Entry {
        NodePtr node;
        Instant since;
    };
    mutable std::mutex mutex_;
    std::map<std::uint64_t, Entry> entries_;  // by ticket
    std::uint64_t next_ = 1;
};

class DataCore {
public:
    DataCore(DataEngine::Parts parts, DataConfig config);

    const Runtime& runtime() const { return *parts.runtime; }
    Clock& clock() const { return *parts.runtime->clock; }
    MetaStore& meta() const { return *parts.meta; }
    ChunkIo& chunks() const { return *parts.stripes; }

    // The node's data, made at first use. node.mutex held.
    FileData& data_of(const NodePtr& node);
    // Brings the extent map into memory. It stays there while busy(); check FileData::loaded again under the mutex.
    Task<Result<>> load(const Context& ctx, NodePtr node);
    // True if the row alone says that there are no extents. mutex held.
    static bool has_no_extents(const Node& node) { return !node.row.inline_data.empty() || node.row.allocated == 0; }
    bool busy(const Node& node) const;
    // Marks the map as known where the row alone tells it. mutex held.
    static void know_empty_map(Node& node);

    // The file's content changed (dirty ranges, or size and times that no command carries): counts it and queues the file. mutex held.
    void changed(const NodePtr& node);
    // Nothing of the file waits for a flush any more. mutex held.
    void clean(Node& node);
    // Brings the totals in line with the file's ranges. mutex held.
    void count(FileData& data);
    // The map changed: row.allocated as extents and inline data have it, and the node's weight. mutex held.
    void set_allocated(Node& node) const;
    // Appends nothing but notes that the command `index` carries this node. mutex held.
    static void carried(Node& node, LogIndex index) { node.pending_any = std::max(node.pending_any, index); }

    std::size_t pinned_bytes() const { return pinned_.load(std::memory_order_relaxed); }
    std::uint64_t unwritten_bytes() const { return unwritten_.load(std::memory_order_relaxed); }
    // Errors: no_space.
    Result<> check_space(vfs::DomainId domain, std::uint64_t bytes);
    std::uint64_t verifier() const;

    // Runs job(0) .. job(count-1), at most `lanes` at once, on the caller's executor; resumes when all have ended.
    Task<> run_all(std::size_t count, std::size_t lanes, std::function<Task<>(std::size_t)> job);
    static Signal& flush_ended(FileData& data);
    // Raises a signal that only counts. Whoever calls must be alone in doing so (a file's own: under its mutex), or a step would be lost.
    static void bump(Signal& signal) { signal.raise(signal.value() + 1); }
    void bump_shared(Signal& signal);

    const DataEngine::Parts parts;
    const DataConfig config;
    Log log;
    const Credentials superuser = Credentials::superuser();
    const Context internal;  // of background work: the superuser, no deadline, nobody to reply to
    BlockCache cache;
    ChunkReader reader;
    DirtyQueue queue;
    Signal released;  // counts: memory of dirty data went back
    Signal kick;      // counts: the background flusher has work
    std::atomic<std::uint64_t> losses{0};
    std::atomic<bool> stopping{false};
    std::atomic<bool> pressed{false};  // the background flusher was told that memory gets short
    TaskGroup tasks;

private:
    // Errors: corrupt (rows that do not fit together).
    Task<Result<>> load_map(const Context& ctx, MapId id, ExtentMap& map);

    struct SpaceSeen {
        std::uint64_t available = 0;
        Instant valid_until;
    };
    const std::uint64_t volume_hash_;
    std::mutex space_mutex_;
    std::map<vfs::DomainId, SpaceSeen> space_;
    std::mutex bump_mutex_;
    std::atomic<std::size_t> pinned_{0};
    std::atomic<std::uint64_t> unwritten_{0};
};

}  // namespace strata::cluster

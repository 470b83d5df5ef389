// SPDX-License-Identifier: Apache-2.0
// MetaStore: one volume's metadata: commands go in by order of submission, become durable in the replicated log, and are then
// materialised in SQLite, from where they are read back. The file system keeps what lies between in memory (its overlay).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/meta/rows.h"
#include "server/base/context.h"
#include "server/base/signal.h"

namespace strata::cluster {

using LogIndex = std::uint64_t;  // counts commands, from 1

// Three marks: submitted >= durable >= applied. A row changed by command i may leave memory only when applied() >= i.
class MetaStore {
public:
    virtual ~MetaStore() = default;

    // Puts the command at the end of the order; never blocks, so it may be called under short locks. Commands queued together share one
    // log write. After a failure of the log nothing submitted becomes durable: durable().wait() fails with `fenced` or `io` and the
    // volume has to be reopened.
    virtual LogIndex submit(Command command) = 0;
    virtual LogIndex submitted() const = 0;  // the newest
    virtual Signal& durable() = 0;
    virtual LogIndex applied() const = 0;
    // Back-pressure: resumes when the queue of what is not yet applied is within its bound.
    virtual Task<Result<>> admit(const Context& ctx) = 0;

    // Reads of the materialised rows, on the read pool; each sees one consistent snapshot at or after the applied() of its start.
    virtual Task<Result<std::optional<InodeRow>>> inode(const Context& ctx, InodeNumber number) = 0;
    virtual Task<Result<std::vector<InodeRow>>> inodes(const Context& ctx, std::vector<InodeNumber> numbers) = 0;  // those that exist
    virtual Task<Result<std::optional<EntryRow>>> entry(const Context& ctx, InodeNumber parent, std::string name) = 0;
    // Entries by cookie, after `after`, at most `limit`.
    virtual Task<Result<std::vector<EntryRow>>> entries(const Context& ctx, InodeNumber parent, std::uint64_t after, std::size_t limit) = 0;
    // Extents that touch [from, to), by offset, at most `limit`, with the rows of the chunks that they name (each once).
    struct Extents {
        std::vector<ExtentRow> extents;
        std::vector<ChunkRow> chunks;
    };
    virtual Task<Result<Extents>> extents(const Context& ctx, MapId map, std::uint64_t from, std::uint64_t to, std::size_t limit) = 0;
    virtual Task<Result<std::optional<ChunkRow>>> chunk(const Context& ctx, ChunkId id) = 0;
    virtual Task<Result<std::vector<ChunkRow>>> chunks(const Context& ctx, ChunkId after, std::size_t limit) = 0;  // by id
    virtual Task<Result<std::vector<ExtentRow>>> extents_of_chunk(const Context& ctx, ChunkId id, std::size_t limit) = 0;
    virtual Task<Result<std::vector<XattrRow>>> xattrs(const Context& ctx, InodeNumber inode) = 0;
    virtual Task<Result<std::vector<RecordRow>>> records(const Context& ctx, std::string table) = 0;
    virtual Task<Result<std::vector<ReapRow>>> reaps(const Context& ctx, std::size_t limit) = 0;

    // Constant after opening.
    struct Volume {
        Uuid uuid{};
        std::uint32_t number = 1;    // ChunkId::volume
        std::uint32_t epoch = 0;     // raised durably by each opening: allocator epoch, crash epoch
        bool clean = false;          // the last owner closed it in order
        InodeNumber next_inode = 2;  // first number never used (root is 1)
        MapId next_map = 1;
        // Regular files show change = max(stored, change_floor): raised to epoch << 40 by each opening that was not clean, so that a value
        // shown for UNSTABLE data that a crash took back is never used again. Durable.
        std::uint64_t change_floor = 0;
        std::uint64_t inode_count = 0;  // at opening
    };
    virtual const Volume& volume() const = 0;

    // Applies and checkpoints all that is durable and marks the volume clean. Nothing may be submitted afterwards.
    virtual Task<Result<>> close(const Context& ctx) = 0;
};

}  // namespace strata::cluster

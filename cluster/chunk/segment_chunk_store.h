// SPDX-License-Identifier: Apache-2.0
// SegmentChunkStore: a ChunkStore in a folder: append-only segments (segment_format.h), checkpoints of sealed ones, an index in memory.
//
//   put      -> AppendQueue -> SegmentWriter -> one write and one fdatasync for all that queued up -> index -> acknowledged
//   get      -> index -> read pool: head and the 4 KiB blocks asked for, each checked
//   remove   -> index at once; the removal is written with the next puts; Upkeep gives the space back
//
// What goes wrong, and what follows: a torn tail is dropped (it was never acknowledged); bit rot is found by each read (corrupt) and
// costs only the record it hit; a full disk refuses puts (no_space) and still removes and compacts out of its reserve; a failed write or
// fdatasync makes the store `failed` until it is opened anew; a read error is that read's (io).
#pragma once

#include <memory>

#include "cluster/chunk/append_queue.h"
#include "cluster/chunk/chunk_store.h"
#include "cluster/chunk/segment_store_state.h"
#include "cluster/chunk/store_identity.h"
#include "cluster/chunk/upkeep.h"
#include "server/base/disk.h"
#include "server/base/runtime.h"

namespace strata::cluster {

class SegmentChunkStore final : public ChunkStore {
public:
    // Opens the store in the disk's folder: reads its identity, its segments' checkpoints, and scans the segments that have none. Pools
    // and background work are made from `runtime`, which outlives the store.
    // Errors: store_missing, corrupt (identity), bad_version, io.
    static Task<Result<std::shared_ptr<SegmentChunkStore>>> open(const Runtime& runtime, std::shared_ptr<Disk> disk,
                                                                 SegmentStoreConfig config);
    ~SegmentChunkStore() override;  // after close()

    Task<Result<>> put(const Context& ctx, ShardKey key, BufferChain bytes, ShardChecksums checksums) override;
    Task<Result<BufferChain>> get(const Context& ctx, ShardKey key, std::uint32_t offset, std::uint32_t length,
                                  std::uint32_t digest) override;
    Task<Result<>> verify(const Context& ctx, ShardKey key, std::uint32_t digest) override;
    Task<Result<>> remove(const Context& ctx, std::span<const ShardKey> keys) override;
    Task<Result<std::vector<ShardInfo>>> list(const Context& ctx, ShardKey after, std::size_t limit) override;
    StoreState state() const override;
    StoreSpace space() const override;
    Uuid identity() const override { return state_.identity.uuid; }
    std::string description() const override { return state_.disk->description(); }
    Task<> close() override;

    // Of the disk, for compaction and removals: the metadata leave it alone.
    std::uint64_t upkeep_reserve() const { return state_.space.upkeep_reserve(); }

    const StoreIdentity& full_identity() const { return state_.identity; }
    // What opening met: for the log, the panel and tests.
    struct Opening {
        std::size_t segments = 0, scanned_segments = 0, shards = 0;
        std::size_t damaged_records = 0, damaged_blocks = 0, torn_records = 0;
    };
    const Opening& opening() const { return opening_; }
    std::size_t shard_count() const;
    // Runs one round of upkeep now. For tests and the orderly drain of a disk.
    Task<Result<>> compact_now() { return upkeep_.run_once(); }

private:
    struct Loaded;
    static Result<Loaded> load(const Runtime& runtime, std::shared_ptr<Disk> disk, const SegmentStoreConfig& config);
    SegmentChunkStore(const Runtime& runtime, Loaded loaded, std::unique_ptr<Pool> read_pool);

    // Where the shard is now. Errors: not_found.
    struct Found {
        ShardLocation location;
        std::shared_ptr<File> file;  // of the segment that is being written; else null
    };
    Result<Found> find(const ShardKey& key) const;
    // Runs `read` for the shard, again if compaction moved it meanwhile.
    template <class Read>
    auto read_where_it_is(const ShardKey& key, Read read) -> decltype(read(std::declval<const ShardLocation&>(), std::declval<File&>()));
    void note_read(const Error* error);
    std::uint64_t free_bytes() const;

    std::shared_ptr<SegmentStoreState> owned_state_;
    SegmentStoreState& state_;
    Opening opening_;
    Counter& corrupt_reads_;
    std::atomic<int> read_errors_{0};  // in a row
    std::unique_ptr<Pool> read_pool_;
    AppendQueue queue_;
    Upkeep upkeep_;
    bool closed_ = false;
};

}  // namespace strata::cluster

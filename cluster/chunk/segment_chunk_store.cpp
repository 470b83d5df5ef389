// SPDX-License-Identifier: Apache-2.0
// The chunk store: opening, reading, and the wiring of its parts.
#include "cluster/chunk/segment_chunk_store.h"

#include "cluster/chunk/segment_read.h"
#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr int read_errors_before_failed = 8;  // in a row: then it is the disk, not a sector

}  // namespace

struct SegmentChunkStore::Loaded {
    std::shared_ptr<SegmentStoreState> state;
    Opening opening;
    std::uint32_t next_sequence = 0;
};

Result<SegmentChunkStore::Loaded> SegmentChunkStore::load(const Runtime& runtime, std::shared_ptr<Disk> disk,
                                                          const SegmentStoreConfig& config) {
    TRY(identity, read_identity(*disk));
    Loaded out;
    out.state = std::make_shared<SegmentStoreState>(runtime, disk, config, identity);
    SegmentStoreState& state = *out.state;
    CHECK_OK(state.space.refresh());
    TRY(sequences, list_segments(*disk));
    for (const std::uint32_t sequence : sequences) {
        out.next_sequence = sequence + 1;
        TRY(opened, open_segment(*disk, identity.uuid, sequence));
        const SegmentContents& contents = opened.contents;
        state.space.segments_changed(std::int64_t{opened.segment->size_blocks} * static_cast<std::int64_t>(record_block));
        state.set.add(opened.segment);
        state.set.replay(sequence, contents.entries);
        ++out.opening.segments;
        if (opened.scanned) {
            ++out.opening.scanned_segments;
            // Nothing is appended to it any more: its unused space goes back.
            const std::uint64_t used = std::uint64_t{contents.used_blocks} * record_block;
            if (opened.segment->file->truncate(used)) {
                const auto unused = opened.segment->size_blocks - contents.used_blocks;
                state.space.segments_changed(-std::int64_t{unused} * static_cast<std::int64_t>(record_block));
                opened.segment->size_blocks = contents.used_blocks;
            }
            opened.segment->entries = contents.entries;
        }
        opened.segment->file.reset();
        out.opening.damaged_records += contents.damaged_records;
        out.opening.damaged_blocks += contents.damaged_blocks;
        out.opening.torn_records += contents.torn_records;
    }
    out.opening.shards = state.set.index().size();
    return out;
}

Task<Result<std::shared_ptr<SegmentChunkStore>>> SegmentChunkStore::open(const Runtime& runtime, std::shared_ptr<Disk> disk,
                                                                         SegmentStoreConfig config) {
    auto pool = runtime.make_pool("chunk.read", config.read_threads);
    auto loaded = co_await pool->run([&] { return load(runtime, disk, config); });
    if (!loaded) co_return fail(std::move(loaded.error()));
    const Opening& o = loaded->opening;
    loaded->state->log.info("store open", {{"store", disk->description()},
                                           {"segments", o.segments},
                                           {"scanned", o.scanned_segments},
                                           {"shards", o.shards},
                                           {"damaged_records", o.damaged_records},
                                           {"damaged_blocks", o.damaged_blocks},
                                           {"torn_records", o.torn_records}});
    std::shared_ptr<SegmentChunkStore> store(new SegmentChunkStore(runtime, std::move(*loaded), std::move(pool)));
    store->upkeep_.start();
    co_return store;
}

SegmentChunkStore::SegmentChunkStore(const Runtime& runtime, Loaded loaded, std::unique_ptr<Pool> read_pool)
    : owned_state_(std::move(loaded.state)),
      state_(*owned_state_),
      opening_(loaded.opening),
      corrupt_reads_(runtime.metrics->counter("chunk_corrupt_reads")),
      read_pool_(std::move(read_pool)),
      queue_(state_, loaded.next_sequence),
      upkeep_(state_, queue_, *read_pool_) {}

SegmentChunkStore::~SegmentChunkStore() = default;

Task<Result<>> SegmentChunkStore::put(const Context& ctx, ShardKey key, BufferChain bytes, ShardChecksums checksums) {
    auto stored = co_await queue_.put(ctx, key, std::move(bytes), std::move(checksums));
    if (!stored && stored.error() == Errc::no_space) upkeep_.kick();
    co_return stored;
}

Result<SegmentChunkStore::Found> SegmentChunkStore::find(const ShardKey& key) const {
    std::lock_guard lock(state_.mutex);
    const auto location = state_.set.index().find(key);
    if (!location) return fail(Errc::not_found);
    const auto segment = state_.set.find(location->segment);
    STRATA_ASSERT(segment != nullptr);
    return Found{*location, segment->file};
}

template <class Read>
auto SegmentChunkStore::read_where_it_is(const ShardKey& key, Read read)
    -> decltype(read(std::declval<const ShardLocation&>(), std::declval<File&>())) {
    for (;;) {
        TRY(found, find(key));
        auto file = found.file != nullptr ? Result<std::shared_ptr<File>>(found.file) : state_.files.open(found.location.segment);
        auto result = file ? read(found.location, **file) : decltype(read(found.location, **file))(fail(file.error()));
        if (result) {
            note_read(nullptr);
            return result;
        }
        const auto now = find(key);
        if (!now) return fail(now.error());
        if (now->location == found.location) {
            note_read(&result.error());
            return result;
        }
    }
}

void SegmentChunkStore::note_read(const Error* error) {
    if (error == nullptr) {
        if (read_errors_.load(std::memory_order_relaxed) != 0) read_errors_ = 0;
    } else if (error->code == Errc::corrupt) {
        corrupt_reads_.add();
    } else if (error->code == Errc::io && ++read_errors_ >= read_errors_before_failed) {
        state_.fail_store(*error);
    }
}

Task<Result<BufferChain>> SegmentChunkStore::get(const Context&, ShardKey key, std::uint32_t offset, std::uint32_t length,
                                                 std::uint32_t digest) {
    {
        CO_TRY(found, find(key));
        if (length == 0 || std::uint64_t{offset} + length > found.location.length) co_return fail(Errc::invalid_argument);
    }
    co_return co_await read_pool_->run([=, this] {
        return read_where_it_is(key, [&](const ShardLocation& location, File& file) {
            return read_shard(file, {state_.identity.uuid, key, location}, offset, length, digest);
        });
    });
}

Task<Result<>> SegmentChunkStore::verify(const Context&, ShardKey key, std::uint32_t digest) {
    co_return co_await read_pool_->run([=, this] {
        return read_where_it_is(key, [&](const ShardLocation& location, File& file) {
            return verify_shard(file, {state_.identity.uuid, key, location}, digest);
        });
    });
}

Task<Result<>> SegmentChunkStore::remove(const Context&, std::span<const ShardKey> keys) {
    if (queue_.remove(keys)) upkeep_.kick();
    co_return Result<>{};
}

Task<Result<std::vector<ShardInfo>>> SegmentChunkStore::list(const Context&, ShardKey after, std::size_t limit) {
    std::lock_guard lock(state_.mutex);
    co_return state_.set.index().list(after, limit);
}

std::size_t SegmentChunkStore::shard_count() const {
    std::lock_guard lock(state_.mutex);
    return state_.set.index().size();
}

StoreState SegmentChunkStore::state() const {
    if (state_.failed) return StoreState::failed;
    return free_bytes() < 2 * record_block ? StoreState::read_only : StoreState::online;
}

// Asked for at each access: without the lock.
std::uint64_t SegmentChunkStore::free_bytes() const {
    const std::uint64_t fresh = state_.space.free_for_puts();
    return queue_.remaining_bytes() + (fresh >= state_.space.segment_bytes_min() ? fresh : 0);
}

StoreSpace SegmentChunkStore::space() const {
    StoreSpace space;
    space.total_bytes = state_.space.total_bytes();
    space.free_bytes = free_bytes();
    std::lock_guard lock(state_.mutex);
    space.live_bytes = state_.set.live_bytes();
    return space;
}

Task<> SegmentChunkStore::close() {
    if (std::exchange(closed_, true)) co_return;
    co_await upkeep_.stop();
    co_await queue_.close();
    co_await read_pool_->run([this] { upkeep_.write_checkpoints(); });
}

}  // namespace strata::cluster

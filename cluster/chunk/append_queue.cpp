// SPDX-License-Identifier: Apache-2.0
// The queue of puts, moves and removals of one store, and its flusher.
#include "cluster/chunk/append_queue.h"

#include <algorithm>

namespace strata::cluster {

namespace {

constexpr std::size_t removals_before_flush = 1024;

}  // namespace

AppendQueue::AppendQueue(SegmentStoreState& state, std::uint32_t next_sequence)
    : state_(state),
      writer_(*state.disk, state.space, state.identity.uuid, next_sequence),
      puts_(state.runtime.metrics->counter("chunk_puts")),
      syncs_(state.runtime.metrics->counter("chunk_batches")),
      pool_(state.runtime.make_pool("chunk.flush", 1)) {}

Task<Result<>> AppendQueue::put(const Context& ctx, ShardKey key, BufferChain data, ShardChecksums checksums) {
    if (data.empty() || data.size() > shard_size_max || checksums.blocks.size() != table_entries(data.size())) {
        co_return fail(Errc::invalid_argument);
    }
    CO_CHECK_OK(co_await wait_for_room(ctx));
    auto item = std::make_shared<Pending>();
    item->record.key = key;
    item->record.data = std::move(data);
    item->record.checksums = std::move(checksums);
    bool start = false;
    {
        std::lock_guard lock(state_.mutex);
        if (closed_) co_return fail(Errc::closed);
        if (state_.failed) co_return fail(Errc::io, state_.disk->description() + " has failed");
        if (state_.set.index().find(key) || !in_flight_.insert(key).second) co_return fail(Errc::exists);
        start = enqueue(item);
    }
    if (start) start_flush();
    CO_CHECK_OK(co_await done_.wait(item->ticket, *state_.runtime.clock, ctx.deadline));
    puts_.add();
    co_return item->record.outcome;
}

Task<Result<>> AppendQueue::wait_for_room(const Context& ctx) {
    for (;;) {
        std::uint64_t next = 0;
        {
            std::lock_guard lock(state_.mutex);
            if (queued_bytes_ < state_.config.queue_bytes_max) co_return Result<>{};
            next = done_.value() + 1;
        }
        CO_CHECK_OK(co_await done_.wait(next, *state_.runtime.clock, ctx.deadline));
    }
}

Task<Result<>> AppendQueue::move(std::vector<Move> moves) {
    std::vector<PendingPtr> items;
    for (Move& m : moves) {
        auto item = std::make_shared<Pending>();
        item->record.key = m.key;
        item->record.data = std::move(m.data);
        item->record.checksums = std::move(m.checksums);
        item->record.may_use_reserve = true;
        item->moved_from = m.from;
        items.push_back(std::move(item));
    }
    if (items.empty()) co_return Result<>{};
    bool start = false;
    {
        std::lock_guard lock(state_.mutex);
        if (closed_) co_return fail(Errc::closed);
        for (const auto& item : items) start = enqueue(item) || start;
    }
    if (start) start_flush();
    CO_CHECK_OK(co_await done_.wait(items.back()->ticket, *state_.runtime.clock, Instant::max()));
    for (const auto& item : items) {
        if (!item->record.outcome) co_return item->record.outcome;
    }
    co_return Result<>{};
}

bool AppendQueue::enqueue(PendingPtr item) {
    item->ticket = ++last_ticket_;
    queued_bytes_ += item->record.data.size();
    queue_.push_back(std::move(item));
    return !std::exchange(flushing_, true);
}

bool AppendQueue::remove(std::span<const ShardKey> keys) {
    bool start = false, died = false;
    {
        std::lock_guard lock(state_.mutex);
        for (const ShardKey& key : keys) {
            const auto old = state_.set.erase(key);
            if (!old) continue;
            removals_.push_back({key, old->segment});
            const auto segment = state_.set.find(old->segment);
            died = died || segment->live_shards == 0 ||
                   segment->live_blocks * 100 < segment->size_blocks * std::uint64_t{state_.config.compact_below_percent};
        }
        if (removals_.size() >= removals_before_flush && !closed_) start = !std::exchange(flushing_, true);
    }
    if (start) start_flush();
    return died;
}

Task<Result<>> AppendQueue::carry(std::vector<Removal> removals) {
    if (removals.empty()) co_return Result<>{};
    auto behind = std::make_shared<Pending>();  // of nothing: its ticket tells when all before it is written
    behind->record.outcome = fail(Errc::cancelled);
    bool start = false;
    {
        std::lock_guard lock(state_.mutex);
        if (closed_) co_return fail(Errc::closed);
        for (const Removal& r : removals) {
            if (!state_.set.index().find(r.key) && !in_flight_.contains(r.key)) removals_.push_back(r);
        }
        start = enqueue(behind);
    }
    if (start) start_flush();
    CO_CHECK_OK(co_await done_.wait(behind->ticket, *state_.runtime.clock, Instant::max()));
    if (state_.failed) co_return fail(Errc::io, state_.disk->description() + " has failed");
    co_return Result<>{};
}

void AppendQueue::start_flush() {
    pool_->post([this] { flush(); });
}

void AppendQueue::flush() {
    Batch batch = take_batch();
    std::vector<AppendRecord*> records;
    for (const auto& r : batch.removals) records.push_back(r.get());
    for (const auto& item : batch.items) {
        if (item->record.outcome) records.push_back(&item->record);
    }
    Result<> written;
    if (state_.failed) {
        written = fail(Errc::io, state_.disk->description() + " has failed");
    } else if (!records.empty()) {
        written = writer_.append(records);
        syncs_.add();
        if (!written) state_.fail_store(written.error());
    }
    finish_batch(batch, written);
    if (!batch.items.empty()) done_.raise(batch.items.back()->ticket);
    {
        std::lock_guard lock(state_.mutex);
        flushing_ = !queue_.empty() || removals_.size() >= removals_before_flush;
        if (!flushing_) return;
    }
    start_flush();
}

AppendQueue::Batch AppendQueue::take_batch() {
    Batch batch;
    std::lock_guard lock(state_.mutex);
    take_removals(batch);
    while (!queue_.empty() && batch.bytes < state_.config.batch_bytes_max) {
        PendingPtr item = std::move(queue_.front());
        queue_.pop_front();
        batch.bytes += item->record.data.size();
        if (item->moved_from && state_.set.index().find(item->record.key) != *item->moved_from) {
            item->record.outcome = fail(Errc::not_found);
        }
        batch.items.push_back(std::move(item));
    }
    return batch;
}

// Removals of records whose segment is gone already need not be written. Mutex held.
void AppendQueue::take_removals(Batch& batch) {
    std::erase_if(removals_, [this](const Removal& r) { return state_.set.find(r.segment) == nullptr; });
    for (std::size_t at = 0; at < removals_.size();) {
        const std::size_t n = std::min(removals_per_record_max, removals_.size() - at);
        auto record = std::make_unique<AppendRecord>();
        record->kind = RecordKind::removals;
        record->removals.assign(removals_.begin() + static_cast<std::ptrdiff_t>(at),
                                removals_.begin() + static_cast<std::ptrdiff_t>(at + n));
        record->data = BufferChain::copy_of(encode_removals(record->removals));
        record->checksums = ShardChecksums::of(record->data);
        record->may_use_reserve = true;
        batch.removals.push_back(std::move(record));
        at += n;
    }
    removals_.clear();
}

void AppendQueue::finish_batch(Batch& batch, const Result<>& written) {
    std::lock_guard lock(state_.mutex);
    const auto changes = writer_.take_changes();
    for (const auto& segment : changes.opened) state_.set.add(segment);
    for (const auto& record : batch.removals) {
        if (!written || !record->outcome) continue;
        for (const Removal& r : record->removals) state_.set.count_removal(record->segment, r.segment);
    }
    for (const auto& item : batch.items) {
        if (!item->moved_from) in_flight_.erase(item->record.key);
        if (!written) item->record.outcome = written;
        if (item->record.outcome) apply(*item);
        // A moved shard that was removed meanwhile is no error.
        if (item->moved_from && !item->record.outcome && item->record.outcome.error() == Errc::not_found) item->record.outcome = {};
        item->record.data = {};
    }
    queued_bytes_ -= batch.bytes;
    for (const auto& segment : changes.sealed) {
        segment->size_blocks = segment->used_blocks;
        segment->sealed = true;
        segment->file.reset();
    }
}

void AppendQueue::apply(const Pending& item) {
    const AppendRecord& r = item.record;
    const ShardLocation to{r.segment, r.block, static_cast<std::uint32_t>(r.data.size()), r.checksums.digest};
    if (!item.moved_from) {
        state_.set.put(r.key, to);
    } else if (!state_.set.move(r.key, *item.moved_from, to)) {
        // Removed while it was written: the copy must not come back. (The removal that is pending lies behind it, too, and kills it as
        // well; this one lives as long as the copy's segment.)
        if (!state_.set.index().find(r.key) && !in_flight_.contains(r.key)) removals_.push_back({r.key, r.segment});
    }
}

Task<> AppendQueue::close() {
    std::uint64_t last = 0;
    {
        std::lock_guard lock(state_.mutex);
        closed_ = true;
        last = last_ticket_;
    }
    (void)co_await done_.wait(last, *state_.runtime.clock, Instant::max());
    auto seal = [this] {
        Batch batch;
        {
            std::lock_guard lock(state_.mutex);
            take_removals(batch);
        }
        std::vector<AppendRecord*> records;
        for (const auto& r : batch.removals) records.push_back(r.get());
        Result<> written;
        if (!state_.failed) written = writer_.append(records);
        if (!written) state_.fail_store(written.error());
        if (!state_.failed) (void)writer_.seal();
        finish_batch(batch, written);
    };
    co_await pool_->run(seal);
}

}  // namespace strata::cluster

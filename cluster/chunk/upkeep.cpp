// SPDX-License-Identifier: Apache-2.0
// Compaction, checkpoints and the removal of dead segments.
//
// Compaction copies what is alive, and removals of what other segments still hold, to the front of the log, waits until the copies are
// durable, and only then removes the segment. A power cut between leaves both copies; the later one counts.
#include "cluster/chunk/upkeep.h"

#include <algorithm>

#include "cluster/chunk/segment_read.h"

namespace strata::cluster {

namespace {

constexpr std::size_t move_bytes = 8u << 20;   // copied at once
constexpr unsigned percent_when_full = 90;     // then a tenth freed is worth a copy
constexpr unsigned percent_free_at_ease = 20;  // with more free than that only mostly dead segments are compacted
constexpr std::size_t short_segments_max = 8;  // left behind by starts, before they are merged

}  // namespace

Upkeep::Upkeep(SegmentStoreState& state, AppendQueue& queue, Pool& pool)
    : state_(state),
      queue_(queue),
      pool_(pool),
      compactions_(state.runtime.metrics->counter("chunk_compactions")),
      lost_(state.runtime.metrics->counter("chunk_shards_lost")) {}

void Upkeep::start() {
    tasks_.spawn(state_.runtime.executor(), [this] { return run(); });
}

Task<> Upkeep::stop() {
    tasks_.stop();
    work_.fail_all(Errc::cancelled);
    (void)co_await tasks_.wait(*state_.runtime.clock, Instant::max());
}

Task<> Upkeep::run() {
    Clock& clock = *state_.runtime.clock;
    while (!tasks_.stopping()) {
        const std::uint64_t seen = work_.value();
        const auto worked = co_await run_once();
        if (!worked && !tasks_.stopping()) {
            state_.log.warning("upkeep", {{"store", state_.disk->description()}, {"error", to_string(worked.error())}});
        }
        // After an error it waits the whole interval instead of going round at each kick.
        if (worked) {
            (void)co_await work_.wait(seen + 1, clock, clock.now() + state_.config.upkeep_interval);
        } else if (!tasks_.stopping()) {
            co_await clock.sleep_for(state_.config.upkeep_interval);
        }
    }
}

Task<Result<>> Upkeep::run_once() {
    co_await pool_.run([this] {
        (void)state_.space.refresh();
        drop_dead();
        write_checkpoints();
    });
    while (!tasks_.stopping() && !state_.failed) {
        const SegmentPtr victim = choose_victim();
        if (victim == nullptr) break;
        CO_CHECK_OK(co_await compact(victim));
        compactions_.add();
        co_await pool_.run([this] {
            drop_dead();
            (void)state_.space.refresh();
        });
    }
    co_return Result<>{};
}

void Upkeep::drop_dead() {
    std::vector<SegmentPtr> dead;
    {
        std::lock_guard lock(state_.mutex);
        for (bool more = true; more;) {  // a segment that goes frees others of the removals that named it
            const auto found = state_.set.dead();
            for (const auto& segment : found) state_.set.drop(segment->sequence);
            dead.insert(dead.end(), found.begin(), found.end());
            more = !found.empty();
        }
    }
    for (const auto& segment : dead) {
        state_.files.forget(segment->sequence);
        if (auto removed = remove_segment(*state_.disk, segment->sequence); !removed) {
            state_.log.warning("segment not removed", {{"segment", segment->sequence}, {"error", to_string(removed.error())}});
            continue;
        }
        state_.space.segments_changed(-static_cast<std::int64_t>(std::uint64_t{segment->size_blocks} * record_block));
    }
    if (!dead.empty()) (void)state_.space.refresh();
}

void Upkeep::write_checkpoints() {
    for (;;) {
        SegmentPtr segment;
        SegmentContents contents;
        {
            std::lock_guard lock(state_.mutex);
            for (const auto& [sequence, s] : state_.set.segments()) {
                if (s->sealed && !s->checkpointed) segment = s;
            }
            if (segment == nullptr || state_.failed) return;
            segment->checkpointed = true;
            contents.entries = std::exchange(segment->entries, {});
            contents.used_blocks = segment->used_blocks;
        }
        if (auto written = write_checkpoint(*state_.disk, state_.identity.uuid, contents, segment->sequence); !written) {
            state_.log.warning("no checkpoint", {{"segment", segment->sequence}, {"error", to_string(written.error())}});
        }
    }
}

SegmentPtr Upkeep::choose_victim() {
    std::lock_guard lock(state_.mutex);
    if (auto victim = state_.set.victim(live_percent_max())) return victim;
    if (state_.space.free_for_puts() < state_.space.segment_bytes()) return nullptr;
    const auto quarter = static_cast<std::uint32_t>(state_.space.segment_bytes() / record_block / 4);
    const auto pieces = state_.set.shorter_than(quarter);
    return pieces.size() > short_segments_max ? pieces.front() : nullptr;
}

// The fuller the store, the more copying a freed segment is worth.
unsigned Upkeep::live_percent_max() const {
    const unsigned least = state_.config.compact_below_percent;
    const std::uint64_t ease = state_.space.total_bytes() / 100 * percent_free_at_ease;
    const std::uint64_t free = state_.space.free_for_puts();
    if (free >= ease || least >= percent_when_full) return least;
    return percent_when_full - static_cast<unsigned>((percent_when_full - least) * free / ease);
}

Task<Result<>> Upkeep::compact(SegmentPtr victim) {
    auto planned = co_await pool_.run([this, victim] { return plan(*victim); });
    if (!planned && is_gone(*victim)) co_return Result<>{};
    if (!planned) co_return fail(std::move(planned.error()));
    auto& moves = planned->moves;
    for (std::size_t at = 0; at < moves.size();) {
        if (tasks_.stopping()) co_return fail(Errc::cancelled);
        std::size_t n = 0, bytes = 0;
        while (at + n < moves.size() && bytes < move_bytes) bytes += moves[at + n++].from.length;
        auto loaded = co_await pool_.run([this, victim, part = std::span(moves).subspan(at, n)] { return load(*victim, part); });
        if (!loaded && is_gone(*victim)) co_return Result<>{};
        if (!loaded && loaded.error() == Errc::too_many) co_return fail(std::move(loaded.error()));
        if (!loaded) {
            // Unreadable sectors: the segment stays as it is, its sound shards are served from where they are.
            std::lock_guard lock(state_.mutex);
            victim->stuck = true;
            co_return fail(std::move(loaded.error()));
        }
        CO_CHECK_OK(co_await queue_.move(std::move(*loaded)));
        at += n;
    }
    {
        std::lock_guard lock(state_.mutex);
        if (victim->live_shards != 0) co_return Result<>{};
    }
    // Only now: a compaction that fails half way would write them anew at each attempt. And durably, before the victim goes with its own.
    CO_CHECK_OK(co_await queue_.carry(std::move(planned->removals)));
    std::lock_guard lock(state_.mutex);
    state_.set.forget_removals(victim->sequence);
    co_return Result<>{};
}

// Another round dropped it meanwhile.
bool Upkeep::is_gone(const Segment& segment) {
    std::lock_guard lock(state_.mutex);
    return state_.set.find(segment.sequence) == nullptr;
}

Result<Upkeep::Plan> Upkeep::plan(const Segment& victim) {
    TRY(contents, read_contents(*state_.disk, state_.identity.uuid, victim.sequence));
    Plan out;
    std::lock_guard lock(state_.mutex);
    for (const SegmentEntry& e : contents.entries) {
        if (e.kind == RecordKind::removals) {
            if (e.place != victim.sequence && state_.set.find(e.place) != nullptr) out.removals.push_back({e.key, e.place});
            continue;
        }
        const ShardLocation here{victim.sequence, e.place, e.length, e.digest};
        if (state_.set.index().find(e.key) == here) out.moves.push_back({e.key, here, {}, {}});
    }
    return out;
}

Result<std::vector<AppendQueue::Move>> Upkeep::load(const Segment& victim, std::span<AppendQueue::Move> moves) {
    TRY(file, state_.files.open(victim.sequence));
    std::vector<AppendQueue::Move> loaded;
    for (AppendQueue::Move& m : moves) {
        auto raw = read_raw_shard(*file, {state_.identity.uuid, m.key, m.from});
        if (raw) {
            loaded.push_back({m.key, m.from, std::move(raw->data), std::move(raw->checksums)});
        } else if (raw.error() == Errc::corrupt) {
            lose(m.key, m.from);
        } else {
            return fail(std::move(raw.error()));
        }
    }
    return loaded;
}

// The record's head is damaged: nothing of it can be read any more. To forget it is to let it be missed and rebuilt.
void Upkeep::lose(const ShardKey& key, const ShardLocation& location) {
    std::lock_guard lock(state_.mutex);
    if (state_.set.index().find(key) != location) return;
    state_.set.erase(key);
    lost_.add();
    state_.log.error("shard lost", {{"store", state_.disk->description()}, {"segment", location.segment}, {"block", location.block}});
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Healing: the loops, and the mending of one chunk.
#include "cluster/repair/repairer.h"

#include <algorithm>
#include <bit>

#include <boost/asio/this_coro.hpp>

#include "cluster/stripe/layout.h"

namespace strata::cluster {

namespace {

constexpr std::size_t sweep_page = 256;
constexpr std::size_t tried_max = 100'000;

void kick(Signal& signal) { signal.raise(signal.value() + 1); }

bool usable(StoreState state) { return state == StoreState::online || state == StoreState::read_only; }

}  // namespace

Repairer::Repairer(const Runtime& runtime, RepairConfig config)
    : runtime_(runtime),
      config_(config),
      log_(runtime.log("cluster.repair")),
      queue_(config.queue_max),
      bucket_(*runtime.clock, config.bytes_per_second),
      work_(std::make_shared<Signal>()) {}

Repairer::~Repairer() = default;

Context Repairer::context() const { return {.clock = runtime_.clock}; }

void Repairer::damaged(const ChunkId& id, int shard) {
    if (!may_try(id)) return;
    if (!queue_.report(id, 1u << shard)) {
        std::lock_guard lock(mutex_);
        sweep_due_ = true;
    }
    kick(*work_);
}

void Repairer::start(StripeIo& stripes, StoreSet& stores, ChunkCatalog& catalog) {
    stripes_ = &stripes;
    stores_ = &stores;
    catalog_ = &catalog;
    // What was written with stores missing, or stood on one that was replaced, before the last end.
    sweep_due_ = true;
    stores.on_change([work = std::weak_ptr<Signal>(work_)] {
        if (const auto signal = work.lock()) kick(*signal);
    });
    const Executor home = runtime_.executor();  // one for both: they share the bucket
    tasks_.spawn(home, [this] { return mend_all(); });
    tasks_.spawn(home, [this] { return watch(); });
}

Task<> Repairer::stop() {
    tasks_.stop();
    kick(*work_);
    (void)co_await tasks_.wait(*runtime_.clock, Instant::max());
}

RepairProgress Repairer::progress() const {
    std::lock_guard lock(mutex_);
    RepairProgress out = progress_;
    out.sweeping = out.sweeping || sweep_due_;  // one that is due counts
    out.waiting = queue_.size();
    out.unmendable = tried_.size() + unplaced_.size();
    return out;
}

void Repairer::sweep_soon() {
    {
        std::lock_guard lock(mutex_);
        sweep_due_ = true;
        for (auto& [id, retry] : tried_) retry.due = Instant{0};
    }
    kick(*work_);
}

Task<Result<>> Repairer::wait_idle(Instant deadline) {
    // Two turns: one may have been under way already when the caller asked.
    for (int turn = 0; turn < 2; ++turn) {
        const std::uint64_t seen = idle_.value();
        kick(*work_);
        CO_CHECK_OK(co_await idle_.wait(seen + 1, *runtime_.clock, deadline));
    }
    co_return Result<>{};
}

Task<> Repairer::mend_all() {
    while (!tasks_.stopping()) {
        const std::uint64_t seen = work_->value();
        bool idle = false, room = false;
        co_await rank_reported();
        {
            std::lock_guard lock(mutex_);
            idle = !progress_.sweeping && !sweep_due_ && queue_.size() == 0;
            room = mending_ < config_.at_once;
        }
        if (room) {
            if (const auto id = queue_.next()) {
                co_await begin_to_mend(*id);
                continue;
            }
        }
        if (idle) kick(idle_);
        (void)co_await work_->wait(seen + 1, *runtime_.clock, runtime_.clock->now() + config_.poll_interval);
    }
}

Task<> Repairer::watch() {
    while (!tasks_.stopping()) {
        const std::uint64_t seen = work_->value();
        bool due = look_at_stores();
        due = room_came() || due;
        {
            std::lock_guard lock(mutex_);
            due = std::exchange(sweep_due_, false) || runtime_.clock->now() >= sweep_at_ || due;
            progress_.sweeping = due;
            if (due) {  // another set of stores: what could not be mended may be now
                sweep_at_ = Instant::max();
                for (auto& [id, retry] : tried_) retry.due = Instant{0};
                postponed_.clear();
            }
        }
        try_again();
        if (due && !co_await sweep()) {
            co_await runtime_.clock->sleep_for(config_.poll_interval);  // whatever failed fails again now
            continue;
        }
        (void)co_await work_->wait(seen + 1, *runtime_.clock, runtime_.clock->now() + config_.poll_interval);
    }
}

// True: a store came, or is given up, and no sweep has seen to that yet.
bool Repairer::look_at_stores() {
    const Instant now = runtime_.clock->now();
    const auto members = stores_->members();
    std::lock_guard lock(mutex_);
    // A store that was taken out for good: whatever names it is lost.
    const auto gone = [&](const auto& view) { return std::ranges::find(members, view.first, &StoreSet::Member::index) == members.end(); };
    bool due = std::erase_if(views_, gone) > 0;
    for (const auto& member : members) {
        auto [it, fresh] = views_.try_emplace(member.index, StoreView{member.state, now, usable(member.state)});
        StoreView& view = it->second;
        if (!fresh && usable(view.state) != usable(member.state)) view = {member.state, now, false};
        view.state = member.state;
        if (view.acted) continue;
        if (member.state == StoreState::missing && now - view.since < config_.missing_delay) continue;
        view.acted = due = true;
    }
    return due;
}

bool Repairer::room_came() const {
    std::optional<Chunk> waiting;
    {
        std::lock_guard lock(mutex_);
        waiting = unplaced_chunk_;
    }
    return waiting && spare_store_exists(*waiting);
}

void Repairer::try_again() {
    const Instant now = runtime_.clock->now();
    std::vector<std::pair<ChunkId, std::uint32_t>> due;
    {
        std::lock_guard lock(mutex_);
        for (auto& [id, retry] : tried_) {
            if (retry.due > now) continue;
            retry.due = now + config_.retry_delay;
            due.emplace_back(id, retry.bad);
        }
    }
    for (const auto& [id, bad] : due) {
        if (!queue_.report(id, bad)) break;  // the others come with the next turn
    }
    if (!due.empty()) kick(*work_);
}

bool Repairer::lost(const ShardPlace& place) const {
    if (place.store == no_store) return true;
    if (stores_->online(place.store) != nullptr) return false;
    std::lock_guard lock(mutex_);
    const auto it = views_.find(place.store);
    if (it == views_.end()) return true;  // a number that no store has any more
    const StoreView& view = it->second;
    return view.state != StoreState::missing || runtime_.clock->now() - view.since >= config_.missing_delay;
}

bool Repairer::spare_store_exists(const Chunk& chunk) const {
    std::vector<StoreIndex> avoid;
    for (const auto& p : chunk.places) avoid.push_back(p.store);
    return !stores_->choose(1, avoid, chunk.shard_length).empty();
}

std::uint32_t Repairer::bad_shards(const Chunk& chunk) const {
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < chunk.places.size(); ++i) {
        if (lost(chunk.places[i])) bad |= 1u << i;
    }
    return bad;
}

Task<bool> Repairer::sweep() {
    bool finished = true;
    log_.info("sweep begins");
    ChunkId after{};
    {
        std::lock_guard lock(mutex_);
        progress_.swept = 0;
        unplaced_.clear();
        unplaced_chunk_.reset();
    }
    while (!tasks_.stopping()) {
        const auto page = co_await catalog_->list(context(), after, sweep_page);
        if (!page) {
            log_.warning("sweep", {{"error", to_string(page.error())}});
            std::lock_guard lock(mutex_);
            sweep_due_ = true;
            finished = false;
            break;
        }
        if (page->empty()) break;
        for (const Chunk& chunk : *page) {
            const std::uint32_t bad = bad_shards(chunk);
            if (bad == 0) continue;
            if (!spare_store_exists(chunk)) {
                note_unplaced(chunk);
                continue;
            }
            while (!queue_.has_room() && !tasks_.stopping()) co_await runtime_.clock->sleep_for(100ms);
            (void)queue_.report(chunk.id, bad);
            kick(*work_);
        }
        after = page->back().id;
        std::lock_guard lock(mutex_);
        progress_.swept += page->size();
    }
    {
        std::lock_guard lock(mutex_);
        progress_.sweeping = false;
        log_.info("sweep ends", {{"chunks", progress_.swept}, {"damaged", queue_.size()}});
    }
    kick(*work_);
    co_return finished;
}

// What reads reported comes without the chunk's record: look it up to learn how near to loss it is.
Task<> Repairer::rank_reported() {
    while (!tasks_.stopping()) {
        const auto reported = queue_.next_unranked();
        if (!reported) co_return;
        const auto& [id, told] = *reported;
        const auto record = co_await catalog_->get(context(), id);
        if (!record) {
            log_.warning("the record of a damaged chunk cannot be read", {{"error", to_string(record.error())}});
            give_up(id, config_.poll_interval);
            continue;
        }
        if (!*record) {
            forget(id);
            continue;
        }
        const Chunk& chunk = **record;
        // A store that is missing for a short while costs no rebuild; the sweep comes back to it.
        const std::uint32_t lost_shards = bad_shards(chunk);
        std::uint32_t bad = lost_shards, act = lost_shards;
        for (std::size_t i = 0; i < chunk.places.size(); ++i) {
            if ((told >> i & 1u) == 0) continue;
            bad |= 1u << i;
            if (stores_->online(chunk.places[i].store) != nullptr) act |= 1u << i;
        }
        if (act == 0) {
            postpone(id);
            queue_.finish(id);
        } else if (act == lost_shards && !spare_store_exists(chunk)) {
            note_unplaced(chunk);  // a sweep comes back to it when there is room
            postpone(id);
            queue_.finish(id);
        } else {
            queue_.rank(id, chunk.geometry.m - std::popcount(bad));
        }
    }
}

Task<> Repairer::begin_to_mend(ChunkId id) {
    auto record = co_await catalog_->get(context(), id);
    if (!record) {
        give_up(id, config_.poll_interval);
        co_return;
    }
    if (!*record) {
        forget(id);
        co_return;
    }
    co_await bucket_.take((*record)->length);
    {
        std::lock_guard lock(mutex_);
        ++mending_;
    }
    const Executor home = co_await boost::asio::this_coro::executor;
    if (tasks_.spawn(home, [this, chunk = std::move(**record)] { return mend(chunk); })) co_return;
    std::lock_guard lock(mutex_);
    --mending_;
}

Task<> Repairer::mend(Chunk chunk) {
    const auto mended = co_await mend_chunk(context(), chunk);
    const ChunkId id = chunk.id;
    if (mended) {
        {
            std::lock_guard lock(mutex_);
            tried_.erase(id);
            unplaced_.erase(id);
            if (mended->changed) {
                ++progress_.mended;
                progress_.mended_bytes += chunk.length;
            }
        }
        queue_.finish(id, mended->shards);
    } else {
        log_.warning("chunk not mended",
                     {{"volume", id.volume}, {"epoch", id.epoch}, {"counter", id.counter}, {"error", to_string(mended.error())}});
        give_up(id, config_.retry_delay);
    }
    {
        std::lock_guard lock(mutex_);
        --mending_;
    }
    kick(*work_);
}

Task<Result<Repairer::Mended>> Repairer::mend_chunk(const Context& ctx, const Chunk& before) {
    CO_TRY(bad, co_await stripes_->scrub(ctx, before));
    if (bad.empty()) co_return Mended{};
    Mended mended;
    for (const int shard : bad) mended.shards |= 1u << shard;
    CO_TRY(after, co_await stripes_->rebuild(ctx, before, std::move(bad)));
    if (after != before) {
        CO_TRY(committed, co_await catalog_->replace(ctx, before, after));
        if (!committed) {
            // The record changed or went meanwhile: what we made is of use only if the present one names it.
            CO_TRY(now, co_await catalog_->get(ctx, before.id));
            co_await remove_difference(ctx, after, now ? *now : Chunk{});
            co_return Mended{};
        }
        co_await remove_difference(ctx, before, after);
    }
    if (bad_shards(after) != 0) co_return fail(Errc::no_space, "no store has room for what is lost");
    mended.changed = true;
    co_return mended;
}

// Removes the shards of one record that the other does not name at the same place.
Task<> Repairer::remove_difference(const Context& ctx, const Chunk& shards_of, const Chunk& kept) {
    for (std::size_t i = 0; i < shards_of.places.size(); ++i) {
        const StoreIndex index = shards_of.places[i].store;
        if (index == no_store || (i < kept.places.size() && kept.places[i].store == index)) continue;
        const auto store = stores_->online(index);
        const ShardKey key = shard_key(shards_of, static_cast<int>(i));
        if (store != nullptr) (void)co_await store->remove(ctx, std::span(&key, 1));
    }
}

bool Repairer::may_try(const ChunkId& id) const {
    const Instant now = runtime_.clock->now();
    std::lock_guard lock(mutex_);
    if (const auto tried = tried_.find(id); tried != tried_.end() && now < tried->second.due) return false;
    const auto postponed = postponed_.find(id);
    return postponed == postponed_.end() || now >= postponed->second;
}

void Repairer::postpone(const ChunkId& id) {
    std::lock_guard lock(mutex_);
    if (postponed_.size() >= tried_max) postponed_.clear();
    postponed_[id] = runtime_.clock->now() + config_.poll_interval;
}

void Repairer::note_unplaced(const Chunk& chunk) {
    std::lock_guard lock(mutex_);
    if (unplaced_.size() < tried_max) unplaced_.insert(chunk.id);
    unplaced_chunk_ = chunk;
}

void Repairer::give_up(const ChunkId& id, Duration delay) {
    const std::uint32_t bad = queue_.give_up(id);
    std::lock_guard lock(mutex_);
    if (tried_.size() < tried_max || tried_.contains(id)) {
        tried_[id] = {runtime_.clock->now() + delay, bad};
    } else {  // too many to remember
        sweep_at_ = std::min(sweep_at_, runtime_.clock->now() + config_.retry_delay);
    }
}

void Repairer::forget(const ChunkId& id) {
    {
        std::lock_guard lock(mutex_);
        tried_.erase(id);
        unplaced_.erase(id);
    }
    queue_.finish(id);
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The scrubbing loop.
#include "cluster/repair/scrubber.h"

#include <algorithm>

#include "cluster/stripe/in_parallel.h"

namespace strata::cluster {

namespace {

constexpr std::size_t page_size = 256;
constexpr std::size_t at_once_full_speed = 8;  // chunks being read; otherwise it is one

}  // namespace

Scrubber::Scrubber(const Runtime& runtime, ScrubConfig config, StripeIo& stripes, StoreSet& stores, ChunkCatalog& catalog,
                   Repairer& repairer)
    : runtime_(runtime),
      config_(config),
      log_(runtime.log("cluster.scrub")),
      stripes_(stripes),
      stores_(stores),
      catalog_(catalog),
      repairer_(repairer),
      bucket_(*runtime.clock, config.bytes_per_second_min) {
    progress_.position = config.resume_after;
}

void Scrubber::start() {
    tasks_.spawn(runtime_.executor(), [this] { return run(); });
}

Task<> Scrubber::stop() {
    tasks_.stop();
    wanted_.fail_all(Errc::cancelled);
    (void)co_await tasks_.wait(*runtime_.clock, Instant::max());
    passes_.fail_all(Errc::cancelled);
}

void Scrubber::run_now() {
    {
        std::lock_guard lock(mutex_);
        progress_.full_speed = restart_ = true;
    }
    wanted_.raise(wanted_.value() + 1);
}

ScrubProgress Scrubber::progress() const {
    std::lock_guard lock(mutex_);
    ScrubProgress out = progress_;
    out.repaired = repairer_.progress().mended - mended_before_;
    return out;
}

Task<Result<>> Scrubber::wait_full_speed(Instant deadline) { co_return co_await passes_.wait(wanted_.value(), *runtime_.clock, deadline); }

std::uint64_t Scrubber::rate() const {
    std::uint64_t live = 0;
    for (const auto& member : stores_.members()) {
        if (member.store != nullptr) live += member.store->space().live_bytes;
    }
    const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(1, config_.cycle / 1s));
    return std::max(config_.bytes_per_second_min, live / seconds);
}

Task<> Scrubber::run() {
    ChunkId from = config_.resume_after;
    while (!tasks_.stopping()) {
        const Instant begun = runtime_.clock->now();
        const std::uint64_t answers = wanted_.value();
        begin_pass();
        co_await pass(from);
        from = {};
        if (tasks_.stopping()) break;
        bool again = false;
        {
            std::lock_guard lock(mutex_);
            again = restart_;
            if (!again) {
                ++progress_.passes;
                progress_.position = {};
                progress_.full_speed = false;
                log_.info("scrubbed", {{"chunks", progress_.checked}, {"bad_shards", progress_.bad_shards}});
            }
        }
        if (again) continue;
        passes_.raise(answers);
        (void)co_await wanted_.wait(answers + 1, *runtime_.clock, begun + config_.cycle);
    }
}

void Scrubber::begin_pass() {
    const std::uint64_t mended = repairer_.progress().mended;
    const std::uint64_t paced = rate();
    std::lock_guard lock(mutex_);
    restart_ = false;
    mended_before_ = mended;
    progress_.checked = progress_.checked_bytes = progress_.bad_shards = progress_.inconsistent = 0;
    bucket_.set_rate(progress_.full_speed ? 0 : paced);
}

// Ends early when run_now() asks for a pass from the beginning.
Task<> Scrubber::pass(ChunkId after) {
    for (;;) {
        const auto page = co_await catalog_.list({.clock = runtime_.clock}, after, page_size);
        if (!page) {
            log_.warning("scrub", {{"error", to_string(page.error())}});
            co_await runtime_.clock->sleep_for(1min);
            if (tasks_.stopping()) co_return;
            continue;
        }
        if (page->empty()) co_return;
        std::vector<Task<Checked>> walkers;
        std::size_t next = 0;
        {
            std::lock_guard lock(mutex_);
            const std::size_t count = progress_.full_speed ? at_once_full_speed : 1;
            for (std::size_t i = 0; i < count; ++i) walkers.push_back(walk(*page, next));
        }
        co_await in_parallel(std::move(walkers));
        if (is_over()) co_return;
        after = page->back().id;
    }
}

bool Scrubber::is_over() const {
    std::lock_guard lock(mutex_);
    return restart_ || tasks_.stopping();
}

// Takes chunk after chunk, beside others who do.
Task<Scrubber::Checked> Scrubber::walk(const std::vector<Chunk>& page, std::size_t& next) {
    while (next < page.size()) {
        const Chunk& chunk = page[next++];
        const std::uint64_t asked = wanted_.value();
        const Instant turn = bucket_.take_a_number(std::uint64_t{chunk.shard_length} * chunk.places.size());
        // A pass that is asked for does not wait for the turn of one at leisure.
        if (turn > runtime_.clock->now() && !is_over()) (void)co_await wanted_.wait(asked + 1, *runtime_.clock, turn);
        if (is_over()) break;
        {
            std::lock_guard lock(mutex_);
            progress_.position = chunk.id;
        }
        co_await check(chunk);
    }
    co_return Checked{};
}

Task<> Scrubber::check(const Chunk& chunk) {
    const Context ctx{.clock = runtime_.clock};
    const auto bad = co_await stripes_.scrub(ctx, chunk);
    std::uint64_t damaged = 0;
    for (const int shard : bad ? *bad : std::vector<int>{}) {
        // What lies on a lost store is no find of the scrubber's; the repairer knows of it, or else learns it here.
        const StoreIndex store = chunk.places[static_cast<std::size_t>(shard)].store;
        if (store == no_store || stores_.online(store) == nullptr) {
            repairer_.damaged(chunk.id, shard);
            continue;
        }
        // Removed while it was checked: then no damage.
        const auto record = co_await catalog_.get(ctx, chunk.id);
        if (!record || !*record || **record != chunk) break;
        ++damaged;
        repairer_.damaged(chunk.id, shard);
    }
    std::uint64_t number = 0;
    {
        std::lock_guard lock(mutex_);
        number = progress_.checked++;
        progress_.checked_bytes += chunk.length;
        progress_.bad_shards += damaged;
    }
    const bool sampled = config_.cross_check_every != 0 && number % config_.cross_check_every == 0;
    if (!sampled || !bad || !bad->empty() || chunk.geometry.k == 1) co_return;
    const auto agrees = co_await stripes_.cross_check(ctx, chunk);
    if (!agrees || *agrees) co_return;
    log_.error("data and parity disagree", {{"volume", chunk.id.volume}, {"epoch", chunk.id.epoch}, {"counter", chunk.id.counter}});
    std::lock_guard lock(mutex_);
    ++progress_.inconsistent;
}

}  // namespace strata::cluster

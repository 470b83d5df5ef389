// SPDX-License-Identifier: Apache-2.0
// Collecting orphans.
#include "cluster/repair/orphan_collector.h"

#include <algorithm>

namespace strata::cluster {

namespace {

constexpr std::size_t page_size = 512;

}  // namespace

OrphanCollector::OrphanCollector(const Runtime& runtime, OrphanConfig config, StoreSet& stores, ChunkCatalog& catalog)
    : runtime_(runtime), config_(config), log_(runtime.log("cluster.orphans")), stores_(stores), catalog_(catalog) {}

void OrphanCollector::start() {
    tasks_.spawn(runtime_.executor(), [this] { return run(); });
}

Task<> OrphanCollector::stop() {
    tasks_.stop();
    (void)co_await tasks_.wait(*runtime_.clock, Instant::max());
}

Task<> OrphanCollector::run() {
    while (!tasks_.stopping()) {
        const auto report = co_await run_pass();
        if (!report) {
            log_.warning("pass", {{"error", to_string(report.error())}});
        } else if (report->removed > 0) {
            log_.info("orphans removed", {{"shards", report->removed}, {"bytes", report->removed_bytes}});
        }
        // The first pass after a start only remembers: the second soon sees to what a crash left.
        const bool waiting = report && report->candidates > 0 && report->removed == 0;
        co_await runtime_.clock->sleep_for(waiting ? std::min<Duration>(config_.interval, 10min) : config_.interval);
    }
}

Task<Result<OrphanReport>> OrphanCollector::run_pass() {
    const Context ctx{.clock = runtime_.clock};
    OrphanReport report;
    Result<> outcome;
    for (const auto& member : stores_.members()) {
        if (stores_.online(member.index) == nullptr) continue;
        if (auto examined = co_await examine(ctx, member, report); !examined) outcome = std::move(examined);
    }
    seen_ = std::exchange(seen_now_, {});
    if (!outcome) co_return fail(std::move(outcome.error()));
    co_return report;
}

Task<Result<>> OrphanCollector::examine(const Context& ctx, const StoreSet::Member& member, OrphanReport& report) {
    ShardKey after{};
    for (;;) {
        if (tasks_.stopping()) co_return fail(Errc::cancelled);
        CO_TRY(page, co_await member.store->list(ctx, after, page_size));
        if (page.empty()) co_return Result<>{};
        after = page.back().key;
        CO_CHECK_OK(co_await examine_page(ctx, member, page, report));
    }
}

Task<Result<>> OrphanCollector::examine_page(const Context& ctx, const StoreSet::Member& member, const std::vector<ShardInfo>& page,
                                             OrphanReport& report) {
    std::vector<ChunkId> ids;
    for (const ShardInfo& info : page) {
        if (catalog_.epoch(info.key.chunk.volume) && (ids.empty() || ids.back() != info.key.chunk)) ids.push_back(info.key.chunk);
    }
    CO_TRY(records, co_await catalog_.get_all(ctx, std::move(ids)));
    for (const ShardInfo& info : page) {
        ++report.examined;
        if (!catalog_.epoch(info.key.chunk.volume)) continue;
        const auto record = records.find(info.key.chunk);
        const Verdict verdict = judge(info.key, member.index, record == records.end() ? nullptr : &record->second);
        if (verdict == Verdict::kept) continue;
        if (!ripe(member.index, info.key, verdict)) {
            ++report.candidates;
            continue;
        }
        CO_CHECK_OK(co_await member.store->remove(ctx, std::span(&info.key, 1)));
        ++report.removed;
        report.removed_bytes += info.length;
    }
    co_return Result<>{};
}

OrphanCollector::Verdict OrphanCollector::judge(const ShardKey& key, StoreIndex store, const Chunk* record) const {
    if (record != nullptr) {
        const bool named = key.shard < record->places.size() && record->places[key.shard].store == store;
        return named ? Verdict::kept : Verdict::orphan_when_old;  // repair may be about to commit it
    }
    const auto present = catalog_.epoch(key.chunk.volume);
    if (!present || key.chunk.epoch > *present) return Verdict::kept;  // of an opening that we know nothing of
    return key.chunk.epoch < *present ? Verdict::orphan_of_closed_epoch : Verdict::orphan_when_old;
}

bool OrphanCollector::ripe(StoreIndex store, const ShardKey& key, Verdict verdict) {
    const Instant now = runtime_.clock->now();
    const auto it = seen_.find({store, key});
    if (it != seen_.end() && (verdict == Verdict::orphan_of_closed_epoch || now - it->second >= config_.age)) return true;
    if (seen_now_.size() < config_.candidates_max) seen_now_.emplace(Candidate{store, key}, it == seen_.end() ? now : it->second);
    return false;
}

}  // namespace strata::cluster

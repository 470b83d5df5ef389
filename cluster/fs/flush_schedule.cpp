// SPDX-License-Identifier: Apache-2.0
// Flusher: what is flushed when: by age, under pressure, many files together.
#include <algorithm>

#include "cluster/fs/flush.h"

namespace strata::cluster {

namespace {

constexpr std::size_t files_per_round = 32;  // their mutexes are held together at the commit
constexpr std::size_t files_per_look = 512;
constexpr std::size_t rounds_at_once = 4;
constexpr Duration look_every = 1s;
constexpr Duration memory_wait_max = 5s;

}  // namespace

std::vector<std::vector<NodePtr>> Flusher::group(const std::vector<NodePtr>& nodes) {
    std::vector<std::vector<NodePtr>> groups;
    std::map<vfs::DomainId, std::vector<NodePtr>> small;
    for (const auto& node : nodes) {
        bool is_small = false;
        {
            std::lock_guard lock(node->mutex);
            is_small = node->data != nullptr && node->data->dirty.bytes() < coded_size_min;
        }
        if (!is_small) {
            groups.push_back({node});
            continue;
        }
        auto& together = small[node->row.domain];
        together.push_back(node);
        if (together.size() == files_per_round) groups.push_back(std::exchange(together, {}));
    }
    for (auto& [domain, together] : small) {
        if (!together.empty()) groups.push_back(std::move(together));
    }
    for (auto& together : groups) {
        std::ranges::sort(together, {}, [](const NodePtr& node) { return node->number; });
        together.erase(std::unique(together.begin(), together.end()), together.end());
    }
    return groups;
}

Task<Result<>> Flusher::flush_group(std::vector<NodePtr> nodes) {
    std::vector<NodePtr> claimed;
    if (nodes.size() > 1) {
        for (const auto& node : nodes) {
            if (!co_await core_.load(core_.internal, node)) continue;
            std::lock_guard lock(node->mutex);
            FileData& d = core_.data_of(node);
            if (node->dead || !d.loaded || is_clean(*node) || d.flush_active || flush_row_only(node)) continue;
            d.flush_active = true;
            claimed.push_back(node);
        }
        if (!claimed.empty()) co_await flush_round(claimed);
    }
    Result<> outcome;
    for (const auto& node : nodes) {
        auto flushed = co_await flush(core_.internal, node);
        if (!flushed && flushed.error() != Errc::stale && outcome) outcome = std::move(flushed);
    }
    co_return outcome;
}

Task<Result<>> Flusher::flush_all(std::vector<NodePtr> nodes) {
    auto groups = group(nodes);
    nodes.clear();
    Result<> outcome;
    std::mutex mutex;
    auto run = [this, &groups, &outcome, &mutex](std::size_t i) -> Task<> {
        auto flushed = co_await flush_group(std::move(groups[i]));
        std::lock_guard lock(mutex);
        if (!flushed && outcome) outcome = std::move(flushed);
    };
    co_await core_.run_all(groups.size(), rounds_at_once, run);
    co_return outcome;
}

Task<> Flusher::run() {
    while (!core_.stopping) {
        (void)co_await core_.kick.wait(core_.kick.value() + 1, core_.clock(), core_.clock().now() + look_every);
        core_.pressed = false;
        for (;;) {
            if (core_.stopping) co_return;
            const bool pressed = core_.pinned_bytes() > core_.config.dirty_bytes_max / 2;
            const Instant now = core_.clock().now();
            const Instant since = pressed ? now : Instant{now.ns - core_.config.dirty_age_max.count()};
            auto due = core_.queue.due(since, files_per_look);
            if (due.empty()) break;
            const bool more = due.size() == files_per_look;
            auto flushed = co_await flush_all(std::move(due));
            if (!flushed || !more) break;
        }
    }
}

Task<Result<>> Flusher::wait_for_memory(const Context& ctx) {
    const Instant give_up = std::min(ctx.deadline, core_.clock().now() + memory_wait_max);
    for (;;) {
        const std::uint64_t released = core_.released.value();
        if (core_.pinned_bytes() < core_.config.dirty_bytes_max) co_return Result<>{};
        core_.bump_shared(core_.kick);
        auto oldest = core_.queue.due(Instant::max(), 1);
        if (!oldest.empty()) {
            if (auto flushed = co_await flush(ctx.with_deadline(give_up), oldest.front()); flushed) continue;
        }
        auto waited = co_await core_.released.wait(released + 1, core_.clock(), give_up);
        if (!waited) co_return fail(waited.error() == Errc::timed_out ? Error(Errc::delay) : waited.error());
    }
}

}  // namespace strata::cluster

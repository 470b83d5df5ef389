// SPDX-License-Identifier: Apache-2.0
// DataCore: totals, queue, loading of extent maps.
#include "cluster/fs/data_core.h"

#include <boost/asio/this_coro.hpp>

namespace strata::cluster {

namespace {

constexpr std::size_t extents_per_page = 2000;
constexpr std::uint64_t plenty = std::uint64_t{4} << 30;  // of space: above this a look is good for a while
constexpr Duration look_valid = 100ms;

std::uint64_t mix(std::uint64_t h) {
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdull;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ull;
    return h ^ (h >> 33);
}

std::uint64_t hash_of(const MetaStore::Volume& volume) {
    std::uint64_t h = 0;
    for (const auto byte : volume.uuid) h = mix(h ^ byte);
    return mix(h ^ volume.epoch);
}

}  // namespace

std::uint64_t DirtyQueue::add(NodePtr node, Instant since) {
    std::lock_guard lock(mutex_);
    entries_.emplace_hint(entries_.end(), next_, Entry{std::move(node), since});
    return next_++;
}

void DirtyQueue::remove(std::uint64_t ticket) {
    NodePtr last;  // let go after the mutex: it may be the last pointer
    std::lock_guard lock(mutex_);
    const auto at = entries_.find(ticket);
    if (at == entries_.end()) return;
    last = std::move(at->second.node);
    entries_.erase(at);
}

std::vector<NodePtr> DirtyQueue::due(Instant since, std::size_t limit) const {
    std::vector<NodePtr> nodes;
    std::lock_guard lock(mutex_);
    for (const auto& [ticket, entry] : entries_) {
        if (entry.since > since || nodes.size() >= limit) break;
        nodes.push_back(entry.node);
    }
    return nodes;
}

bool DirtyQueue::empty() const {
    std::lock_guard lock(mutex_);
    return entries_.empty();
}

DataCore::DataCore(DataEngine::Parts p, DataConfig c)
    : parts(std::move(p)),
      config(c),
      log(parts.runtime->log("cluster.data")),
      internal{.clock = parts.runtime->clock, .log = &log, .caller = &superuser, .commit_point = nullptr},
      cache(config.cache_bytes_max),
      reader(*parts.stripes, cache, *parts.runtime->clock),
      volume_hash_(hash_of(parts.meta->volume())) {}

std::uint64_t DataCore::verifier() const { return mix(volume_hash_ ^ losses.load()); }

FileData& DataCore::data_of(const NodePtr& node) {
    if (node->data == nullptr) {
        node->data = std::make_unique<FileData>();
        node->data->self = node;
    }
    return *node->data;
}

void DataCore::bump_shared(Signal& signal) {
    std::lock_guard lock(bump_mutex_);
    bump(signal);
}

Signal& DataCore::flush_ended(FileData& data) {
    if (data.flush_ended == nullptr) data.flush_ended = std::make_shared<Signal>();
    return *data.flush_ended;
}

bool DataCore::busy(const Node& node) const {
    if (node.data == nullptr) return false;
    const FileData& d = *node.data;
    return !d.dirty.empty() || !d.flushing.empty() || d.flush_active || d.loading || d.rewriting || d.ticket != 0;
}

void DataCore::know_empty_map(Node& node) {
    if (!node.data->loaded && !node.data->loading && has_no_extents(node)) node.data->loaded = true;
}

Task<Result<>> DataCore::load_map(const Context& ctx, MapId id, ExtentMap& map) {
    for (std::uint64_t from = 0;;) {
        CO_TRY(page, co_await meta().extents(ctx, id, from, UINT64_MAX, extents_per_page));
        for (const auto& row : page.chunks) map.add_chunk(row.chunk);
        for (const auto& row : page.extents) CO_CHECK_OK(map.add(row));
        if (page.extents.size() < extents_per_page) co_return Result<>{};
        from = page.extents.back().offset + page.extents.back().length;
    }
}

Task<Result<>> DataCore::load(const Context& ctx, NodePtr node) {
    for (;;) {
        MapId id = 0;
        std::shared_ptr<Signal> other;
        std::uint64_t other_ended = 0;
        {
            std::lock_guard lock(node->mutex);
            FileData& d = data_of(node);
            know_empty_map(*node);
            if (d.loaded) co_return Result<>{};
            flush_ended(d);
            if (d.loading) {
                other = d.flush_ended;
                other_ended = other->value() + 1;
            } else {
                d.loading = true;
                id = node->row.map;
            }
        }
        if (other != nullptr) {
            CO_CHECK_OK(co_await other->wait(other_ended, clock(), ctx.deadline));
            continue;
        }
        ExtentMap map;
        const auto loaded = co_await load_map(internal, id, map);
        {
            std::lock_guard lock(node->mutex);
            FileData& d = *node->data;
            d.loading = false;
            if (loaded && node->row.map == id && !d.loaded) {  // else a truncate gave the file a new map
                d.map = std::move(map);
                d.loaded = true;
                if (parts.weigh) parts.weigh(*node);
            }
            bump(*d.flush_ended);
        }
        if (!loaded) {
            if (loaded.error() == Errc::corrupt) {
                log.error("the extents of a file are damaged", {{"inode", node->number}, {"error", to_string(loaded.error())}});
            }
            co_return fail(loaded.error());
        }
    }
}

void DataCore::changed(const NodePtr& node) {
    FileData& d = *node->data;
    ++d.written;
    d.changed_at = clock().now();
    node->unflushed = true;
    if (d.ticket == 0) d.ticket = queue.add(node, d.changed_at);
    count(d);
}

void DataCore::clean(Node& node) {
    FileData& d = *node.data;
    if (d.ticket != 0) queue.remove(std::exchange(d.ticket, 0));
    node.unflushed = false;
}

void DataCore::count(FileData& d) {
    const std::size_t pinned_now = d.dirty.pinned() + d.flushing.pinned();
    const std::uint64_t bytes_now = d.dirty.bytes() + d.flushing.bytes();
    if (pinned_now != d.counted_pinned) pinned_.fetch_add(pinned_now - d.counted_pinned, std::memory_order_relaxed);
    if (bytes_now != d.counted_bytes) unwritten_.fetch_add(bytes_now - d.counted_bytes, std::memory_order_relaxed);
    const bool less = pinned_now < d.counted_pinned;
    d.counted_pinned = pinned_now;
    d.counted_bytes = bytes_now;
    if (less) bump_shared(released);
}

void DataCore::set_allocated(Node& node) const {
    constexpr std::uint64_t sector = 512;
    const std::uint64_t small = node.row.inline_data.size();
    node.row.allocated = small > 0 ? (small + sector - 1) / sector * sector : node.data->map.allocated();
    if (parts.weigh) parts.weigh(node);
}

Result<> DataCore::check_space(vfs::DomainId domain, std::uint64_t bytes) {
    const std::uint64_t wanted = unwritten_bytes() + bytes;
    const Instant now = clock().now();
    {
        std::lock_guard lock(space_mutex_);
        const auto at = space_.find(domain);
        if (at != space_.end() && now < at->second.valid_until && wanted + plenty < at->second.available) return {};
    }
    const std::uint64_t available = parts.available(domain);
    {
        std::lock_guard lock(space_mutex_);
        space_[domain] = {available, now + look_valid};
    }
    if (available < wanted) return fail(Errc::no_space);
    return {};
}

namespace {

struct Lanes {
    std::function<Task<>(std::size_t)> job;
    std::size_t count = 0;
    std::atomic<std::size_t> next{0};
    std::atomic<std::uint64_t> ended{0};
    Signal ended_signal;
};

Task<> run_lane(std::shared_ptr<Lanes> lanes) {
    for (;;) {
        const std::size_t i = lanes->next.fetch_add(1);
        if (i >= lanes->count) break;
        co_await lanes->job(i);
    }
    lanes->ended_signal.raise(lanes->ended.fetch_add(1) + 1);
}

}  // namespace

Task<> DataCore::run_all(std::size_t count, std::size_t lanes_wanted, std::function<Task<>(std::size_t)> job) {
    if (count <= 1) {
        if (count == 1) co_await job(0);
        co_return;
    }
    auto lanes = std::make_shared<Lanes>();
    lanes->job = std::move(job);
    lanes->count = count;
    const auto home = co_await boost::asio::this_coro::executor;
    std::uint64_t started = 1;
    for (std::size_t i = 1; i < std::min(count, lanes_wanted); ++i) {
        if (tasks.spawn(home, [lanes] { return run_lane(lanes); })) ++started;
    }
    co_await run_lane(lanes);
    // Jobs use their caller's frame: it must not end before them, whatever the wait says.
    while (lanes->ended.load() < started) (void)co_await lanes->ended_signal.wait(started, clock(), Instant::max());
}

}  // namespace strata::cluster

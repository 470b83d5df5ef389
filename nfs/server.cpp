// SPDX-License-Identifier: Apache-2.0
// Server: start, accept, stop.
#include "nfs/server.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace strata::nfs {

namespace {

constexpr std::string_view settings_table = "nfs", handle_key_record = "handle_key", epoch_record = "epoch";

Task<> serve_connection(std::shared_ptr<Connection> connection) { co_await connection->run(); }

}  // namespace

Server::Server(Config config, Runtime runtime, Parts parts)
    : service_(std::move(config), std::move(runtime), parts), metrics_(*service_.runtime.metrics) {}

Server::~Server() = default;

Task<Result<>> Server::load_key(const Context& ctx) {
    auto& records = *service_.parts.records;
    auto stored = co_await records.get(ctx, settings_table, handle_key_record);
    if (!stored && !(stored.error() == Errc::not_found)) co_return fail(stored.error());
    if (stored && stored->size() == sizeof(HandleKey)) {
        std::memcpy(service_.handle_key.data(), stored->data(), sizeof(HandleKey));
        co_return Result<>();
    }
    if (stored) co_return fail(Errc::corrupt, "the record nfs/handle_key has an unknown size");
    service_.runtime.random->fill(std::as_writable_bytes(std::span(service_.handle_key)));
    co_return co_await records.put(ctx, settings_table, handle_key_record, as_text(std::as_bytes(std::span(service_.handle_key))));
}

// Every start has a number of its own, larger than any before: what an earlier incarnation gave out is told by it.
Task<Result<std::uint32_t>> Server::next_epoch(const Context& ctx) {
    auto& records = *service_.parts.records;
    const auto stored = co_await records.get(ctx, settings_table, epoch_record);
    if (!stored && !(stored.error() == Errc::not_found)) co_return fail(stored.error());
    std::byte bytes[4] = {};
    if (stored && stored->size() == sizeof bytes) std::memcpy(bytes, stored->data(), sizeof bytes);
    // From the clock at first, so that a stateid of all zeros but a few bits is never of a present epoch.
    const auto epoch = std::max(load_be32(bytes) + 1, static_cast<std::uint32_t>(service_.started.seconds));
    store_be32(bytes, epoch);
    CO_CHECK_OK(co_await records.put(ctx, settings_table, epoch_record, as_text(bytes)));
    co_return epoch;
}

Task<Result<>> Server::start() {
    const auto ctx = service_.own_context();
    CO_CHECK_OK(co_await load_key(ctx));
    CO_TRY(epoch, co_await next_epoch(ctx));
    service_.clients.begin(epoch);
    CO_CHECK_OK(co_await service_.grace.load(ctx, service_.runtime.clock->now() + service_.config.grace));
    if (service_.grace.active()) service_.log.info("grace: clients of before the restart take back what they held");
    group_.spawn(service_.runtime.executor(), [this] { return keep_time(); });
    co_return Result<>();
}

// Leases and grace end by this clock, a quarter of a lease late at most.
Task<> Server::keep_time() {
    auto& clock = *service_.runtime.clock;
    const auto step = std::min<Duration>(service_.config.lease / 4, 5s);
    while (!group_.stopping()) {
        co_await clock.sleep_for(step);
        if (group_.stopping()) co_return;
        const auto now = clock.now();
        if (service_.grace.time_over(now)) {
            co_await service_.grace.end(service_.own_context());
            service_.log.info("grace is over");
        }
        service_.clients.forget_idle_owners(now);
        for (auto& client : service_.clients.overdue(now, service_.config.courtesy)) {
            // A sign of life may have come since.
            if (client->lease_over(clock.now(), service_.config.lease)) co_await service_.end_client(std::move(client));
        }
    }
}

void Server::own(std::unique_ptr<Listener> listener) {
    std::lock_guard lock(mutex_);
    if (paused_) listener->pause(true);
    listeners_.push_back(std::move(listener));
}

void Server::serve(std::unique_ptr<ByteStream> stream) {
    const auto id = next_id_.fetch_add(1, std::memory_order_relaxed);
    const auto executor = stream->executor();
    auto connection = std::make_shared<Connection>(service_, metrics_, group_, std::move(stream), id);
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return;
        connections_.emplace(id, connection);
        if (count_.fetch_add(1, std::memory_order_relaxed) + 1 >= service_.config.connections_max && !paused_) {
            paused_ = true;
            for (auto& listener : listeners_) listener->pause(true);
        }
    }
    connection->on_end([this, id] { ended(id); });
    group_.spawn(executor, [connection = std::move(connection)] { return serve_connection(connection); });
}

void Server::ended(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    connections_.erase(id);
    const auto left = count_.fetch_sub(1, std::memory_order_relaxed) - 1;
    if (paused_ && left < service_.config.connections_max - service_.config.connections_max / 16) {
        paused_ = false;
        for (auto& listener : listeners_) listener->pause(false);
    }
}

Task<> Server::stop(Instant deadline) {
    std::vector<std::shared_ptr<Connection>> open;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        for (auto& listener : listeners_) listener->close();
        for (auto& [id, weak] : connections_) {
            if (auto connection = weak.lock()) open.push_back(std::move(connection));
        }
    }
    for (auto& connection : open) Connection::drain(std::move(connection));
    open.clear();
    auto& clock = *service_.runtime.clock;
    // Half of the time for answers, the other half for what has to be cut off.
    const auto now = clock.now();
    const auto half = deadline == Instant::max() ? deadline : now + (deadline - now) / 2;
    while (count_.load(std::memory_order_relaxed) != 0 && clock.now() < half) co_await clock.sleep_for(5ms);
    group_.stop();
    (void)co_await group_.wait(clock, deadline);
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Server: start, accept, stop.
#include "nfs/server.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

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
    auto ctx = service_.own_context();
    ctx.deadline = Instant::max();  // nobody is served before
    CO_CHECK_OK(co_await load_key(ctx));
    CO_TRY(epoch, co_await next_epoch(ctx));
    service_.clients.begin(epoch, service_.runtime.random->next());
    CO_CHECK_OK(co_await service_.grace.load(ctx, service_.runtime.clock->now() + service_.config.grace));
    if (service_.grace.active()) service_.log.info("grace: clients of before the restart take back what they held");
    group_.spawn(service_.runtime.executor(), [this] { return keep_leases(); });
    group_.spawn(service_.runtime.executor(), [this] { return keep_grace(); });
    co_return Result<>();
}

// Leases and grace end by this clock, a quarter of a lease late at most. They do not wait for each other.
Task<> Server::keep_grace() {
    auto& clock = *service_.runtime.clock;
    const auto step = std::min<Duration>(service_.config.lease / 4, 5s);
    while (!group_.stopping() && service_.grace.active()) {
        co_await clock.sleep_for(step);
        if (!group_.stopping() && service_.grace.due(clock.now())) co_await service_.end_grace();
    }
}

Task<> Server::keep_leases() {
    auto& clock = *service_.runtime.clock;
    const auto step = std::min<Duration>(service_.config.lease / 4, 5s);
    while (!group_.stopping()) {
        co_await clock.sleep_for(step);
        service_.replies.purge(clock.now());
        co_await visit_clients();
        // The silent keep their sessions and replies while nobody needs the room.
        const auto& kept = service_.session_bytes;
        while (!group_.stopping() && kept.used() > kept.max() / 8 * 7 && co_await service_.make_room()) {
        }
    }
}

// A few at a time, so that requests get the table in between.
Task<> Server::visit_clients() {
    constexpr std::size_t at_once = 256;
    auto& clients = service_.clients;
    auto& clock = *service_.runtime.clock;
    ClientId at = 0;
    for (auto some = clients.some(at, at_once); !some.empty() && !group_.stopping(); some = clients.some(at, at_once)) {
        at = some.back()->id;
        for (auto& client : some) {
            const auto now = clock.now();
            clients.forget_idle_owners(*client, now);
            // Which could not be ended comes again with the next visit.
            if (clients.overdue(*client, now, service_.config.courtesy)) (void)co_await service_.end_client(std::move(client));
        }
        co_await boost::asio::post(service_.runtime.executor(), boost::asio::use_awaitable_t<Executor>());
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
    std::vector<std::shared_ptr<Connection>> unwanted;
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return;
        connections_.emplace(id, connection);
        const auto open = count_.fetch_add(1, std::memory_order_relaxed) + 1;
        const auto most = service_.config.connections_max;
        if (open >= most && !paused_) {
            paused_ = true;
            for (auto& listener : listeners_) listener->pause(true);
            unwanted = longest_idle(most / 16 + 2);  // one more than lets the listeners go on
        }
    }
    for (auto& one : unwanted) Connection::drain(std::move(one));
    connection->on_end([this, id] { ended(id); });
    group_.spawn(executor, [connection = std::move(connection)] { return serve_connection(connection); });
}

// Of those that no client with a lease uses. mutex_ is held.
std::vector<std::shared_ptr<Connection>> Server::longest_idle(std::size_t count) const {
    std::vector<std::pair<Instant, std::shared_ptr<Connection>>> idle;
    for (const auto& [id, weak] : connections_) {
        auto connection = weak.lock();
        if (connection == nullptr) continue;
        const auto since = connection->idle_since();
        if (since != Instant::max()) idle.emplace_back(since, std::move(connection));
    }
    count = std::min(count, idle.size());
    std::ranges::partial_sort(idle, idle.begin() + static_cast<std::ptrdiff_t>(count), {}, [](const auto& e) { return e.first; });
    std::vector<std::shared_ptr<Connection>> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(std::move(idle[i].second));
    return out;
}

void Server::ended(std::uint64_t id) {
    {
        std::lock_guard lock(mutex_);
        connections_.erase(id);
        const auto most = service_.config.connections_max;
        if (paused_ && connections_.size() < most - most / 16) {
            paused_ = false;
            for (auto& listener : listeners_) listener->pause(false);
        }
    }
    // Last: stop() waits for it, and then the server may go.
    count_.fetch_sub(1, std::memory_order_release);
}

Task<Result<>> Server::stop(Instant deadline) {
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
    auto ended = co_await group_.wait(clock, deadline);
    while (ended && count_.load(std::memory_order_acquire) != 0) {
        if (clock.now() >= deadline) ended = fail(Errc::timed_out, "connections have not ended");
        if (ended) co_await clock.sleep_for(5ms);
    }
    co_return ended;
}

}  // namespace strata::nfs

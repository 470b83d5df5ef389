// SPDX-License-Identifier: Apache-2.0
// Service: construction, and the end of clients.
#include "nfs/service.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace strata::nfs {

Service::Service(Config c, Runtime r, Parts p)
    : config(std::move(c)),
      runtime(std::move(r)),
      parts(p),
      log(runtime.log("nfs")),
      volume_hash(hash_of(parts.fs->volume())),
      started(runtime.clock->wall_time()),
      server_owner(config.server_owner.empty() ? fmt::format("strata-{:016x}", volume_hash) : config.server_owner),
      session_bytes(config.session_bytes_max),
      state_bytes(config.state_bytes_max),
      unfinished_bytes(parts.buffers->limit_bytes() / 4),
      clients(sessions, *parts.files, config.lease, config.clients_max),
      grace(*parts.records) {}

Context Service::own_context() {
    static const Credentials superuser = Credentials::superuser();
    Context ctx;
    ctx.clock = runtime.clock;
    ctx.log = &log;
    ctx.caller = &superuser;
    ctx.deadline = request_deadline();
    return ctx;
}

Instant Service::request_deadline() const { return runtime.clock->now() + std::min<Duration>(config.request_timeout, config.lease / 2); }

Task<Result<>> Service::ensure_record(std::shared_ptr<Client> client) {
    if (client->record.load(std::memory_order_acquire) == Record::durable) co_return Result<>();
    const auto written = co_await grace.record(own_context(), client->owner, client->minor_version);
    client->record.store(written ? Record::durable : Record::unsure, std::memory_order_release);
    // It ended meanwhile: its record must not outlive it, unless it is another instance's by now.
    const bool gone = client->gone.load(std::memory_order_acquire);
    if (gone && clients.confirmed_of(client->minor_version, client->owner) == nullptr) {
        (void)co_await grace.erase(own_context(), client->owner);
    }
    co_return written;
}

void Service::adopt_record(Client& client) const {
    // In this order: an end of grace either is seen here, or sees the client.
    client.record.store(Record::durable, std::memory_order_seq_cst);
    if (!grace.may_reclaim(client.owner)) client.record.store(Record::none, std::memory_order_seq_cst);
}

Task<> Service::forget_record(std::shared_ptr<Client> gone) {
    if (gone->record.exchange(Record::none) == Record::none) co_return;
    // A record says no more than the new instance may say: during grace it may still reclaim what the older one held.
    const auto successor = clients.confirmed_of(gone->minor_version, gone->owner);
    const bool taken_over = successor != nullptr && successor->record.load(std::memory_order_acquire) != Record::none;
    if (taken_over || grace.may_reclaim(gone->owner)) co_return;
    const auto erased = co_await grace.erase(own_context(), gone->owner);
    if (!erased && successor != nullptr) successor->record.store(Record::unsure);
}

Task<bool> Service::end_client(std::shared_ptr<Client> client) {
    // First the record, then the state: nobody may get what the client could still reclaim.
    if (client->record.exchange(Record::none) != Record::none) {
        const auto erased = co_await grace.erase(own_context(), client->owner);
        if (!erased) {
            client->record.store(Record::unsure);
            log.warning("a client stays: its record could not be erased", {{"error", to_string(erased.error())}});
            co_return false;
        }
    }
    clients.remove(client);
    // An OPEN that came between the two may have written it again.
    co_await forget_record(client);
    // An id that was never confirmed says nothing for its owner.
    if (client->confirmed && grace.completed(client->owner)) co_await end_grace();
    co_return true;
}

Task<Service::Courtesy> Service::end_if_courtesy(ClientId id) {
    const auto client = clients.find(id);
    if (client == nullptr) co_return Courtesy::ended;
    if (!client->lease_over(runtime.clock->now(), config.lease)) co_return Courtesy::alive;
    co_return co_await end_client(client) ? Courtesy::ended : Courtesy::later;
}

Task<bool> Service::make_room() {
    constexpr std::size_t at_once = 16;
    constexpr Duration pause = 1s;
    const auto now = runtime.clock->now();
    if (now.ns < next_look_.load(std::memory_order_relaxed)) co_return false;
    auto silent = clients.silent(now, at_once);
    if (silent.empty()) next_look_.store((now + pause).ns, std::memory_order_relaxed);
    bool ended = false;
    for (auto& client : silent) ended |= co_await end_client(std::move(client));
    co_return ended;
}

Task<> Service::end_grace() {
    const auto lost = grace.close();
    if (!lost) co_return;
    // What they took back they keep, but they have no record of it until their next OPEN, or RECLAIM_COMPLETE.
    for (const auto& owner : *lost) {
        for (const std::uint8_t minor_version : {0, 1}) {
            const auto client = clients.confirmed_of(minor_version, owner);
            if (client != nullptr) client->record.store(Record::none, std::memory_order_seq_cst);
        }
    }
    const auto ended = co_await grace.end(own_context(), *lost);
    if (!ended) {
        log.warning("grace goes on: records of clients could not be erased", {{"error", to_string(ended.error())}});
    } else {
        log.info("grace is over", {{"clients_lost", static_cast<std::uint64_t>(lost->size())}});
    }
}

}  // namespace strata::nfs

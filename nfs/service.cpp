// SPDX-License-Identifier: Apache-2.0
// Service: construction, and the end of clients.
#include "nfs/service.h"

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
      clients(sessions, *parts.files, config.lease, config.clients_max),
      grace(*parts.records) {}

Context Service::own_context() {
    static const Credentials superuser = Credentials::superuser();
    Context ctx;
    ctx.clock = runtime.clock;
    ctx.log = &log;
    ctx.caller = &superuser;
    return ctx;
}

Task<> Service::end_client(std::shared_ptr<Client> client) {
    const auto ctx = own_context();
    // First the record, then the state: nobody may get what the client could still reclaim.
    if (client->recorded.exchange(false)) {
        const auto erased = co_await grace.erase(ctx, client->owner);
        if (!erased) log.warning("the record of a client stays", {{"error", to_string(erased.error())}});
    }
    clients.remove(client);
    if (grace.completed(client->owner)) co_await grace.end(ctx);
}

Task<bool> Service::end_if_courtesy(ClientId id) {
    const auto client = clients.find(id);
    if (client == nullptr) co_return true;
    if (!client->lease_over(runtime.clock->now(), config.lease)) co_return false;
    co_await end_client(client);
    co_return true;
}

}  // namespace strata::nfs

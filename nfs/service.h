// SPDX-License-Identifier: Apache-2.0
// Service: what all connections of one NFS server identity share: the files, and the protocol's own state.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "nfs/rpc/replay_cache.h"
#include "nfs/state/client_table.h"
#include "nfs/state/grace.h"
#include "nfs/state/quota.h"
#include "nfs/state/session.h"
#include "nfs/wire/file_handle.h"
#include "server/base/buffer.h"
#include "server/base/context.h"
#include "server/base/result.h"
#include "server/base/runtime.h"
#include "server/base/task.h"
#include "server/vfs/file_state.h"
#include "server/vfs/file_system.h"
#include "server/vfs/record_store.h"
#include "server/vfs/share.h"

namespace strata::nfs {

struct Config {
    Duration lease = 60s;
    Duration grace = 60s;                 // at most; ends when all recorded clients have reclaimed
    Duration courtesy = 24h;              // how long an expired client's state may stay while nobody wants it
    std::size_t connections_max = 20000;  // past it, accepting pauses
    std::size_t clients_max = 200000;
    std::size_t session_bytes_max = std::size_t{512} << 20;  // sessions, their slots and the replies that these keep
    std::size_t state_bytes_max = std::size_t{512} << 20;    // owners, opens and locks of all clients, roughly
    std::size_t sessions_per_client_max = 16;
    std::uint32_t slots_max = 64;                // a session
    std::uint32_t operations_max = 64;           // a COMPOUND
    std::size_t in_flight_requests_max = 64;     // a connection
    std::size_t in_flight_bytes_max = 16 << 20;  // a connection
    Duration write_timeout = 60s;                // for a client that does not take its replies
    Duration record_timeout = 60s;               // for a record that began and does not end
    Duration first_timeout = 60s;                // for the first request of a connection
    Duration idle_timeout = 6min;                // for the next one, where no client of a lease speaks
    Duration request_timeout = 30s;              // what takes longer is answered DELAY, or not at all; half of the lease at most
    std::string server_owner;                    // so_major_id and scope; empty: from the volume's UUID
};

// What the service stands on. All outlive it.
struct Parts {
    vfs::FileSystem* fs = nullptr;
    vfs::ShareTable* shares = nullptr;
    vfs::FileStateTable* files = nullptr;
    vfs::RecordStore* records = nullptr;
    BufferPool* buffers = nullptr;
};

// Conflicts with clients whose lease is over are cleared one client at a time, at most so many for one request.
constexpr int courtesy_rounds = 16;

struct Service {
    Config config;
    Runtime runtime;
    Parts parts;
    Log log;
    HandleKey handle_key{};
    std::uint64_t volume_hash = 0;
    Timestamp started;                 // wall time
    std::string server_owner;          // so_major_id and scope: the same from every node that serves this group
    Quota session_bytes, state_bytes;  // outlive what takes shares of them
    Quota unfinished_bytes;            // of the buffers: large records of which a part is here
    SessionTable sessions;
    ClientTable clients;
    Grace grace;
    ReplayCache replies;

    Service(Config c, Runtime r, Parts p);

    // A context of the service's own, as the superuser, with a request's deadline.
    Context own_context();
    // Until when a request that comes now may run.
    Instant request_deadline() const;
    // Before a client gets its first state: it may reclaim after a restart. Errors: the store's.
    Task<Result<>> ensure_record(std::shared_ptr<Client> client);
    // It was found or made in place of another instance of its owner, or of one before the restart: what the store holds of it.
    void adopt_record(Client& client) const;
    // The record of a client that is gone already, another instance of the same owner in its place.
    Task<> forget_record(std::shared_ptr<Client> gone);
    // The client and all that it holds end; its record is erased first. Fine if it is gone already. False: the record could not be
    // erased, and the client keeps what it holds: to be tried again later.
    Task<bool> end_client(std::shared_ptr<Client> client);
    // The holder of a conflicting open or lock, if it is a client whose lease is over, ends.
    enum class Courtesy : std::uint8_t {
        ended,  // try again
        alive,  // the conflict is real
        later,  // its record could not be erased: delay
    };
    Task<Courtesy> end_if_courtesy(ClientId id);
    // A bound on memory is reached: some clients whose lease is over end. False: there are none.
    Task<bool> make_room();
    // Grace is over, or everybody who could reclaim has.
    Task<> end_grace();

private:
    std::atomic<std::int64_t> next_look_{0};  // Instant::ns: when make_room() found nobody, it looks again after this
};

}  // namespace strata::nfs

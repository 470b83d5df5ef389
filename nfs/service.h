// SPDX-License-Identifier: Apache-2.0
// Service: what all connections of one NFS server identity share: the files, and the protocol's own state.
#pragma once

#include <cstdint>
#include <string>

#include "nfs/rpc/replay_cache.h"
#include "nfs/state/client_table.h"
#include "nfs/state/grace.h"
#include "nfs/state/session.h"
#include "nfs/wire/file_handle.h"
#include "server/base/buffer.h"
#include "server/base/runtime.h"
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
    std::size_t sessions_per_client_max = 16;
    std::uint32_t slots_max = 64;                // a session
    std::uint32_t operations_max = 64;           // a COMPOUND
    std::size_t in_flight_requests_max = 64;     // a connection
    std::size_t in_flight_bytes_max = 16 << 20;  // a connection
    Duration write_timeout = 60s;                // for a client that does not take its replies
    Duration record_timeout = 60s;               // for a record that began and does not end
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

struct Service {
    Config config;
    Runtime runtime;
    Parts parts;
    Log log;
    HandleKey handle_key{};
    std::uint64_t volume_hash = 0;
    Timestamp started;         // wall time
    std::string server_owner;  // so_major_id and scope: the same from every node that serves this group
    SessionTable sessions;
    ClientTable clients;
    Grace grace;
    ReplayCache replies;

    Service(Config c, Runtime r, Parts p);

    // A context of the service's own, as the superuser.
    Context own_context();
    // The client and all that it holds end; its record is erased first. Fine if it is gone already.
    Task<> end_client(std::shared_ptr<Client> client);
    // The holder of a conflicting open or lock: if it is a client whose lease is over, it ends, and true says to try again.
    Task<bool> end_if_courtesy(ClientId id);
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// ClientTable: every client, by id and by owner string; how they come, are confirmed, expire and go.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nfs/state/client.h"
#include "nfs/state/session.h"

namespace strata::nfs {

// Any thread. Nothing here suspends; durable records are the caller's (Grace).
class ClientTable {
public:
    ClientTable(SessionTable& sessions, vfs::FileStateTable& files, Duration lease, std::size_t clients_max)
        : sessions_(&sessions), files_(&files), lease_(lease), clients_max_(clients_max) {}

    ~ClientTable();
    ClientTable(const ClientTable&) = delete;
    ClientTable& operator=(const ClientTable&) = delete;

    // Before the first request: the number of this incarnation of the server, larger than any before.
    void begin(std::uint32_t epoch) { epoch_ = epoch; }
    std::uint32_t epoch() const { return epoch_; }
    Duration lease() const { return lease_; }

    // Null: no client of that id, confirmed or not.
    std::shared_ptr<Client> find(ClientId id) const;
    // A client id that this incarnation of the server once gave out.
    bool was_ours(ClientId id) const;

    // EXCHANGE_ID (RFC 8881, 18.35.4).
    struct Exchange {
        std::string_view owner;
        Verifier verifier{};
        Principal principal;
        bool update = false;
    };
    struct Exchanged {
        NfsStatus status = NfsStatus::ok;
        std::shared_ptr<Client> client;
        bool confirmed = false;
        std::vector<std::shared_ptr<Client>> replaced;  // removed from the table: their records go, too
    };
    Exchanged exchange_id(const Exchange& request, Instant now);

    // SETCLIENTID (RFC 7530, 16.33).
    Exchanged set_client_id(const Exchange& request, const Verifier& confirm, Instant now);
    // SETCLIENTID_CONFIRM (RFC 7530, 16.34).
    Exchanged confirm_client_id(ClientId id, const Verifier& confirm, const Principal& principal, Instant now);

    // The client proved that it got its id (first CREATE_SESSION). Returns the older incarnation of the same owner that ends by this.
    std::shared_ptr<Client> confirm(const std::shared_ptr<Client>& client);

    // Takes the client out of the table: its sessions end, its opens and locks are released. Fine if it is gone already.
    void remove(const std::shared_ptr<Client>& client);

    // Clients whose lease is over and who hold nothing that could be wanted back, or have been gone for longer than `courtesy`.
    std::vector<std::shared_ptr<Client>> overdue(Instant now, Duration courtesy) const;
    // Owners without opens, locks and requests for a lease's time: only their 4.0 sequence would be missed, which starts anew.
    void forget_idle_owners(Instant now);
    std::size_t size() const;
    std::vector<std::shared_ptr<Client>> all() const;

private:
    struct ByOwner {
        std::shared_ptr<Client> confirmed, unconfirmed;
    };
    std::shared_ptr<Client> make(const Exchange& request, std::uint8_t minor_version, Instant now);
    void detach(const std::shared_ptr<Client>& client);
    void release(const std::shared_ptr<Client>& client);

    SessionTable* sessions_;
    vfs::FileStateTable* files_;
    std::uint32_t epoch_ = 0;
    Duration lease_;
    std::size_t clients_max_;
    mutable std::mutex mutex_;  // guards what follows
    std::uint32_t next_number_ = 1;
    std::unordered_map<ClientId, std::shared_ptr<Client>> by_id_;
    std::map<std::string, ByOwner, std::less<>> by_owner_;  // the owner string, after a byte that tells 4.0 from 4.1
};

}  // namespace strata::nfs

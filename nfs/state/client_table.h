// SPDX-License-Identifier: Apache-2.0
// ClientTable: every client, by id and by owner string; how they come, are confirmed, expire and go.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
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

    // Before the first request: the number of this incarnation of the server, larger than any before, and what makes its ids hard to
    // guess.
    void begin(std::uint32_t epoch, std::uint64_t key) {
        epoch_ = epoch;
        key_ = key;
    }
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
        bool first = false;                             // it is confirmed by this
        std::vector<std::shared_ptr<Client>> replaced;  // removed from the table: their records go, too
    };
    // At clients_max the oldest client that never confirmed gives way; delay: there is none.
    Exchanged exchange_id(const Exchange& request, Instant now);

    // SETCLIENTID (RFC 7530, 16.33).
    Exchanged set_client_id(const Exchange& request, const Verifier& confirm, Instant now);
    // SETCLIENTID_CONFIRM (RFC 7530, 16.34).
    Exchanged confirm_client_id(ClientId id, const Verifier& confirm, const Principal& principal, Instant now);

    // The client proved that it got its id (first CREATE_SESSION). Returns the older incarnation of the same owner that ends by this.
    std::shared_ptr<Client> confirm(const std::shared_ptr<Client>& client);

    // Takes the client out of the table: its sessions end, its opens and locks are released. Fine if it is gone already.
    void remove(const std::shared_ptr<Client>& client);

    // A confirmed client of the same owner, not gone.
    std::shared_ptr<Client> confirmed_of(std::uint8_t minor_version, std::string_view owner) const;
    // Up to `count` clients with ids above `after`, by id: for those who visit all, a few at a time.
    std::vector<std::shared_ptr<Client>> some(ClientId after, std::size_t count) const;
    // Its lease is over, and it holds nothing that could be wanted back, or has been silent for longer than `courtesy`.
    bool overdue(const Client& client, Instant now, Duration courtesy) const;
    // Owners without opens, locks and requests for a lease's time: only their 4.0 sequence would be missed, which starts anew.
    void forget_idle_owners(Client& client, Instant now) const;
    // Up to `count` clients whose lease is over, the longest silent first. Looks at all of them.
    std::vector<std::shared_ptr<Client>> silent(Instant now, std::size_t count) const;
    std::size_t size() const;

private:
    struct ByOwner {
        std::shared_ptr<Client> confirmed, unconfirmed;
    };
    using Clients = std::vector<std::shared_ptr<Client>>;
    bool make_room(Clients& ended);
    void drop(const std::shared_ptr<Client>& client);
    std::shared_ptr<Client> make(const Exchange& request, std::uint8_t minor_version, Instant now);
    void detach(const std::shared_ptr<Client>& client);
    void release(const std::shared_ptr<Client>& client);

    SessionTable* sessions_;
    vfs::FileStateTable* files_;
    std::uint32_t epoch_ = 0;
    std::uint64_t key_ = 0;
    Duration lease_;
    std::size_t clients_max_;
    mutable std::mutex mutex_;  // guards what follows
    std::uint32_t made_ = 0;
    std::map<ClientId, std::shared_ptr<Client>> by_id_;
    std::map<std::uint64_t, std::shared_ptr<Client>> unconfirmed_;  // those of by_id_, by the order in which they came
    std::map<std::string, ByOwner, std::less<>> by_owner_;          // the owner string, after a byte that tells 4.0 from 4.1
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Client: one NFS client as the server knows it: its lease, its sessions, its owners, its opens and locks.
//
// Locking: ClientTable::mutex_ before Client::mutex before Session::mutex; never one held over a co_await or over the end of a State.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nfs/state/quota.h"
#include "nfs/state/scramble.h"
#include "nfs/wire/file_handle.h"
#include "nfs/wire/status.h"
#include "nfs/wire/types.h"
#include "server/base/clock.h"
#include "server/vfs/file_state.h"
#include "server/vfs/file_system.h"

namespace strata::nfs {

struct Client;
struct Session;
struct State;

// What the record store holds of a client: with a record it may reclaim after a restart.
enum class Record : std::uint8_t {
    none,
    durable,
    unsure,  // a write or an erasure failed, or may have come too late: to be done again before anything relies on it
};

// Who may act for a client id: the flavor and user of the request that made it.
struct Principal {
    std::uint32_t flavor = 0;
    std::uint32_t uid = 0;
    friend bool operator==(const Principal&, const Principal&) = default;
};

// The last reply to an owner: operation, status, body, and the filehandle and stateid that it left behind.
struct OwnerReply {
    std::uint32_t operation = 0;
    NfsStatus status = NfsStatus::ok;
    std::vector<std::byte> body;
    HandleBytes handle{};
    Stateid stateid;
    std::uint64_t commit_index = 0;  // what has to be durable before it is sent (CommitPoint)
};

// An open-owner or lock-owner. The sequence of minor version 0 (RFC 7530, 9.1.7) lives here; 4.1 leaves it alone. Guarded by Client::mutex.
struct Owner {
    std::string name;
    std::uint32_t seqid = 0;                                         // of the last request that counted
    bool started = false;                                            // a first seqid was seen
    bool confirmed = false;                                          // by OPEN_CONFIRM (4.0)
    bool busy = false;                                               // a request of this owner is under way (4.0)
    Instant used;                                                    // for owners without state, which are forgotten after a lease
    std::unordered_map<vfs::FileId, std::shared_ptr<State>> states;  // its open, or its locks, of each file
    std::uint32_t last_closed = 0;   // the state that its last CLOSE ended: a retransmission still names it (4.0)
    std::optional<OwnerReply> last;  // for a retransmission
    Quota::Share share;
};

// What a stateid stands for. Guarded by its Client::mutex; `file`, `kind` and `owner` never change.
struct State {
    enum class Kind : std::uint8_t { open, lock } kind = Kind::open;
    Stateid id;
    vfs::FileId file;
    std::shared_ptr<Owner> owner;
    // open
    std::unique_ptr<vfs::Open> open;
    std::unique_ptr<vfs::Pin> pin;
    std::uint32_t uid = 0;  // who opened: others have to have permissions of their own
    std::uint8_t access = 0, deny = 0;
    std::uint16_t history = 0;  // bit 4 * deny + access for each combination that was opened: what a downgrade may go to
    std::vector<std::weak_ptr<State>> locks;
    // lock
    std::shared_ptr<State> parent;  // the open that the locks were taken through
    Quota::Share share;
};

// A CREATE_SESSION's result, kept for a replay (RFC 8881, 18.36.4).
struct ChannelAttrs {
    std::uint32_t header_pad_size = 0, max_request_size = 0, max_response_size = 0, max_response_size_cached = 0, max_operations = 0,
                  max_requests = 0;
    std::vector<std::uint32_t> rdma_ird;
};
struct CreatedSession {
    SessionId id{};
    std::uint32_t sequence = 0;
    std::uint32_t flags = 0;
    ChannelAttrs fore, back;
};

struct Client {
    ClientId id = 0;
    std::uint64_t order = 0;       // the order in which clients came
    std::uint64_t number_key = 0;  // of the numbers of its states
    std::uint8_t minor_version = 1;
    std::string owner;  // co_ownerid, or the id string of SETCLIENTID
    Verifier verifier{};
    Principal principal;
    Verifier confirm{};  // 4.0: setclientid_confirm

    std::atomic<bool> confirmed{false};  // changed under ClientTable's mutex

    // The last sign of life, as Instant::ns; the lease runs from here.
    std::atomic<std::int64_t> renewed{0};
    std::atomic<Record> record{Record::none};
    std::atomic<bool> reclaim_complete{false};  // 4.1: RECLAIM_COMPLETE was seen
    std::atomic<bool> gone{false};              // out of the table, changed under its mutex; it gets no more sessions and states

    mutable std::mutex mutex;  // guards what follows
    std::uint32_t create_sequence = 0;
    std::optional<CreatedSession> created;
    std::vector<std::shared_ptr<Session>> sessions;
    std::unordered_map<std::uint32_t, std::shared_ptr<State>> states;  // by the number in the stateid
    std::uint32_t states_made = 0;
    std::unordered_map<std::uint32_t, std::shared_ptr<Owner>> closed;  // 4.0: whose CLOSE may come once more
    std::map<std::string, std::shared_ptr<Owner>, std::less<>> open_owners, lock_owners;

    void renew(Instant now) { renewed.store(now.ns, std::memory_order_relaxed); }
    bool lease_over(Instant now, Duration lease) const { return now.ns - renewed.load(std::memory_order_relaxed) > lease.count(); }
    bool has_state() const {
        std::lock_guard lock(mutex);
        return !states.empty();
    }
    vfs::Holder holder(const Owner& o) const { return {vfs::Protocol::nfs, id, o.name}; }
    // A stateid that was never given out. `mutex` is held.
    Stateid new_stateid(std::uint32_t seqid);
};

// The 12 bytes of a stateid: the server's epoch, the client's number, the state's number. STALE, EXPIRED and BAD follow from the bytes.
struct StateNumber {
    std::uint32_t epoch = 0, client = 0, state = 0;

    static StateNumber of(const Stateid& s);
    Stateid stateid(std::uint32_t seqid) const;
};

inline std::uint32_t epoch_of(ClientId id) { return static_cast<std::uint32_t>(id >> 32); }
inline std::uint32_t number_of(ClientId id) { return static_cast<std::uint32_t>(id); }
constexpr ClientId make_client_id(std::uint32_t epoch, std::uint32_t number) { return (ClientId{epoch} << 32) | number; }

// The next seqid of a stateid: wraps past zero, which means "the current one" (RFC 8881, 8.2.2).
inline std::uint32_t next_seqid(std::uint32_t seqid) { return seqid == 0xffffffffu ? 1 : seqid + 1; }

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// A connection with its NFSv4.1 session, and blocking calls on it: what set-up and verification use. The measured part
// (lane.h) takes over the socket and the slots in between.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/compound.h"
#include "tests/bench/nfs4.h"
#include "tests/bench/socket.h"
#include "tests/bench/xdr.h"

namespace strata::bench {

struct Target {
    Address address;
    Credential credential;
    std::string path;  // of the share, "/bench"
    std::uint32_t minor_version = 1;
};

// The results of a COMPOUND, read from the first after SEQUENCE.
struct Reply {
    Bytes record;
    XdrReader results{View()};
    std::uint32_t status = 0;
};

class Session {
public:
    // Connects, EXCHANGE_ID, CREATE_SESSION, RECLAIM_COMPLETE. Throws Failure unless the server gives `session_slots` slots. This
    // connection uses the first `slots`.
    Session(const Target& target, std::string_view owner, std::uint32_t slots, std::uint32_t session_slots, std::uint32_t source = 0);

    // A further connection for `first`'s session, with `slots` slots of its own from `slot_base`: BIND_CONN_TO_SESSION.
    Session(const Target& target, const Session& first, std::uint32_t slot_base, std::uint32_t slots);

    // One COMPOUND on the first slot, repeated while the server answers DELAY or GRACE (up to two minutes). Throws Failure on
    // any other status but NFS4_OK.
    Reply call(const Ops& ops);

    // Calls `count` COMPOUNDs in order, with one on each slot at a time.
    void pipeline(std::size_t count, const std::function<Ops(std::size_t)>& make,
                  const std::function<void(std::size_t, XdrReader&)>& check);

    // DESTROY_SESSION and DESTROY_CLIENTID: of the connection that made the session, and the last to be called.
    void destroy();

    [[nodiscard]] int fd() const { return socket_.fd(); }
    [[nodiscard]] const Prefix& prefix() const { return prefix_; }
    [[nodiscard]] const SessionId& id() const { return id_; }
    [[nodiscard]] std::uint64_t clientid() const { return clientid_; }
    [[nodiscard]] std::uint32_t slot_base() const { return slot_base_; }
    [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(sequences_.size()); }

    // Bytes of a request or reply, RPC header included.
    [[nodiscard]] std::uint32_t request_max() const { return request_max_; }
    [[nodiscard]] std::uint32_t response_max() const { return response_max_; }

    // The sequence number of the next request on a slot (counted from slot_base).
    std::uint32_t& sequence(std::uint32_t slot) { return sequences_[slot]; }

private:
    void exchange_id(std::string_view owner);
    void create_session(std::uint32_t slots);
    void send_on(std::uint32_t slot, std::uint32_t xid, const Ops& ops);
    bool read_on(std::uint32_t slot, Reply& reply);

    Socket socket_;
    Prefix prefix_;
    Prefix bare_;
    SessionId id_{};
    std::uint64_t clientid_ = 0;
    std::uint32_t create_sequence_ = 0;
    std::uint32_t slot_base_ = 0;
    std::uint32_t request_max_ = 0;
    std::uint32_t response_max_ = 0;
    std::uint32_t xid_ = 0x40000000;
    std::vector<std::uint32_t> sequences_;
};

// What set-up needs of a file system.
Bytes look_up_path(Session& session, std::string_view path);
Bytes make_directory(Session& session, View parent, std::string_view name);

struct OpenFile {
    Bytes handle;
    Stateid stateid;
};
OpenFile open_file(Session& session, View directory, std::string_view owner, std::string_view name);

// Creates `count` empty files, named by `name_of`. Handles come back in order.
std::vector<Bytes> create_files(Session& session, View directory, std::size_t count,
                                const std::function<std::string(std::size_t)>& name_of);

}  // namespace strata::bench

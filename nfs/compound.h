// SPDX-License-Identifier: Apache-2.0
// Compound: everything that the operations of one COMPOUND request share, and the loop that runs them (RFC 8881, 16.2).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "nfs/connection_state.h"
#include "nfs/rpc/replay_cache.h"
#include "nfs/service.h"
#include "nfs/share_view.h"
#include "nfs/wire/file_handle.h"
#include "nfs/wire/status.h"
#include "nfs/wire/types.h"
#include "nfs/wire/xdr.h"
#include "server/base/context.h"
#include "server/base/task.h"
#include "server/vfs/file_system.h"

namespace strata::nfs {

// What the current or the saved filehandle names.
struct FileRef {
    enum class Kind : std::uint8_t { none, pseudo_root, file } kind = Kind::none;
    const vfs::Share* share = nullptr;  // of the compound's view; null for none and for the pseudo root
    vfs::FileId id;

    bool is_none() const { return kind == Kind::none; }
    bool is_pseudo_root() const { return kind == Kind::pseudo_root; }
    bool is_file() const { return kind == Kind::file; }  // any object of the volume, directories too
    bool is_share_root() const { return is_file() && id == share->root; }
};

// One request, one coroutine at a time, reused by its connection for the next request. Operations take what they need from here and
// leave their effect on the current and saved filehandle and stateid here.
struct Compound {
    Service& service;
    ConnectionState& connection;

    // --- who asks ---
    Context ctx;  // ctx.caller is always &caller; ctx.commit_point is always &commit_point
    CommitPoint commit_point;
    Credentials authenticated;  // as the RPC header said, before squashing
    Credentials caller;         // what the client acts as on the share of the current filehandle
    std::uint32_t auth_flavor = 0;
    std::shared_ptr<const ShareView> shares;

    // --- the COMPOUND ---
    std::uint32_t xid = 0;
    std::uint32_t minor_version = 0;
    std::uint32_t operation_count = 0;
    std::uint32_t operation_index = 0;  // of the operation that runs
    bool keep_error_body = false;       // set by a handler whose error has a body of its own (LOCK's denied), or that replays one

    // --- session (minor version 1 and up; null before SEQUENCE) ---
    std::shared_ptr<Session> session;
    std::uint32_t slot = 0;
    bool slot_taken = false;             // ours until the reply is ready
    std::uint32_t request_checksum = 0;  // tells a retry from another request that uses its slot and sequence
    bool cache_this = false;
    bool uncached_retry = false;  // the operation after SEQUENCE fails with retry_uncached_rep
    bool replayed = false;        // this is a retry: `replay` is the whole reply's body
    std::shared_ptr<const std::vector<std::byte>> replay;
    // --- minor version 0 ---
    ReplayCache::Key replay_key;
    bool changes_uncounted = false;  // something was changed that no session and no owner counts: the reply is kept by replay_key
    ClientId client = 0;             // of the session; minor version 0: of the stateid or owner in the operation
    std::size_t reply_limit = record_size_max;  // bytes of the whole RPC reply
    std::size_t request_bytes = 0;              // of the whole RPC call
    std::size_t reply_base = 0;                 // bytes of the writer before this COMPOUND's RPC reply

    // --- filehandles and stateids ---
    FileRef current, saved;
    Stateid current_stateid = Stateid::invalid(), saved_stateid = Stateid::invalid();

    Compound(Service& s, ConnectionState& c) : service(s), connection(c) {}
    Compound(const Compound&) = delete;
    Compound& operator=(const Compound&) = delete;

    vfs::FileSystem& fs() const { return *service.parts.fs; }

    // Makes it ready for the next request: state of the last one gone, `shares` fresh.
    void begin(std::uint32_t new_xid, std::uint32_t flavor);
    // Changes the current filehandle; squashes the caller for its share.
    void set_current(const FileRef& file);
    void set_current(const vfs::Share& share, vfs::FileId id) { set_current(FileRef{FileRef::Kind::file, &share, id}); }
    void set_pseudo_root() { set_current(FileRef{FileRef::Kind::pseudo_root, nullptr, {}}); }

    // Bytes that the reply may still grow by: idempotent operations with large replies (READ, READDIR) size themselves by it.
    std::size_t room(const XdrWriter& out) const;
    // Replaces the special "current" stateid (4.1: seqid 1, other 0) by the one it stands for. Errors: bad_stateid (there is none).
    NfsStatus resolve(Stateid& stateid) const;

    HandleBytes handle_of(const FileRef& file) const;
    // Errors: badhandle, stale (no such share for this client, or another volume).
    NfsStatus file_of(Bytes handle, FileRef& out) const;
    // Attributes of any FileRef, the pseudo root included.
    Task<Result<vfs::Attributes>> attributes_of(const FileRef& file) const;
};

// What tells a request from another that uses its xid or slot: of its arguments' bytes the first ones, and how many they are. The payload
// of a large WRITE need not be read for it.
std::uint32_t checksum_of_request(Bytes rest);

// How a COMPOUND ended.
enum class Outcome : std::uint8_t {
    replied,  // the reply is in the writer
    ignored,  // no reply is sent: the request is a retransmission of one that runs
    dropped,  // no reply may be sent: its changes may not be durable; the connection is to be closed
};

// Runs the COMPOUND whose arguments `in` stands at, and writes its COMPOUND4res to `out`. All that the reply promises is durable on return.
Task<Outcome> run_compound(Compound& compound, XdrReader& in, XdrWriter& out);

// What an operation on names answers where there may be no directory: symlink, notdir, or `otherwise` if it is one.
Task<NfsStatus> directory_status(Compound& compound, const FileRef& file, NfsStatus otherwise);

// Is this a name that a directory entry can have? Errors: inval (empty, not UTF-8), nametoolong, badname ("." and ".."), badchar
// ("/" or NUL inside).
NfsStatus check_name(std::string_view name);

}  // namespace strata::nfs

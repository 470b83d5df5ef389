// SPDX-License-Identifier: Apache-2.0
// CREATE_SESSION, DESTROY_SESSION, BIND_CONN_TO_SESSION, BACKCHANNEL_CTL: RFC 8881, 18.36, 18.37, 18.34, 18.33.
#include "nfs/state/session.h"

#include <algorithm>
#include <utility>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/rpc/message.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t flag_persist = 1, flag_back_channel = 2, flag_rdma = 4;
constexpr std::uint32_t direction_fore = 1, direction_back = 2, direction_both = 3, direction_fore_or_both = 3, direction_back_or_both = 7;
// Smaller messages than these cannot carry a SEQUENCE and one operation.
constexpr std::uint32_t request_min = 256, response_min = 256;

ChannelAttrs read_channel(XdrReader& in) {
    ChannelAttrs c;
    c.header_pad_size = in.u32();
    c.max_request_size = in.u32();
    c.max_response_size = in.u32();
    c.max_response_size_cached = in.u32();
    c.max_operations = in.u32();
    c.max_requests = in.u32();
    const auto count = in.count(4);
    if (count > 1) in.fail();
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) c.rdma_ird.push_back(in.u32());
    return c;
}

void write_channel(XdrWriter& out, const ChannelAttrs& c) {
    out.u32(c.header_pad_size);
    out.u32(c.max_request_size);
    out.u32(c.max_response_size);
    out.u32(c.max_response_size_cached);
    out.u32(c.max_operations);
    out.u32(c.max_requests);
    out.u32(static_cast<std::uint32_t>(c.rdma_ird.size()));
    for (const auto v : c.rdma_ird) out.u32(v);
}

// callback_sec_parms4, read to its end: which of them is used is decided when the first callback is made.
void read_callback_security(XdrReader& in) {
    const auto count = in.count(4);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        switch (in.u32()) {
            case auth_flavor::none: break;
            case auth_flavor::sys: {
                in.u32();
                in.text(255);
                in.u32();
                in.u32();
                const auto groups = in.count(4);
                if (groups > 16) in.fail();
                for (std::uint32_t g = 0; g < groups && in.ok(); ++g) in.u32();
                break;
            }
            case auth_flavor::gss:
                in.u32();
                in.opaque(in.remaining());
                in.opaque(in.remaining());
                break;
            default: in.fail();
        }
    }
}

struct CreateArgs {
    ClientId client = 0;
    std::uint32_t sequence = 0, flags = 0, callback_program = 0;
    ChannelAttrs fore, back;
};

// What we give for what was asked: never more.
// `quota`: of what all sessions may keep. The fuller it is, the less each new one gets.
NfsStatus negotiate(const Config& config, const Quota& quota, const CreateArgs& args, CreatedSession& out) {
    const auto left = quota.max() - std::min(quota.used(), quota.max());
    const bool scarce = left < quota.max() / 4, tight = left < quota.max() / 2;
    // The least is room for the reply to an OPEN with all its attributes: without it a client cannot work.
    const std::uint32_t cached_max = scarce ? 2048 : tight ? 4096 : 8192;
    const std::uint32_t slots_max = std::min<std::uint32_t>(config.slots_max, scarce ? 4 : tight ? 16 : UINT32_MAX);
    for (const auto* c : {&args.fore, &args.back}) {
        if (c->max_request_size < request_min || c->max_response_size < response_min) return NfsStatus::toosmall;
        if (c->max_operations == 0 || c->max_requests == 0) return NfsStatus::toosmall;
    }
    out.fore = args.fore;
    out.fore.header_pad_size = 0;
    out.fore.max_request_size = std::min<std::uint32_t>(args.fore.max_request_size, record_size_max);
    out.fore.max_response_size = std::min<std::uint32_t>(args.fore.max_response_size, record_size_max);
    // A cached reply stays in memory until its slot is used again.
    out.fore.max_response_size_cached =
        std::min<std::uint32_t>({args.fore.max_response_size_cached, out.fore.max_response_size, cached_max});
    out.fore.max_operations = std::min(args.fore.max_operations, config.operations_max);
    out.fore.max_requests = std::min(args.fore.max_requests, slots_max);
    out.fore.rdma_ird.clear();
    out.back = args.back;
    out.back.header_pad_size = 0;
    out.back.max_operations = std::min(args.back.max_operations, 16u);
    out.back.max_requests = std::min(args.back.max_requests, 16u);
    out.back.rdma_ird.clear();
    return NfsStatus::ok;
}

void write_created(XdrWriter& out, const CreatedSession& created) {
    out.write(created.id);
    out.u32(created.sequence);
    out.u32(created.flags);
    write_channel(out, created.fore);
    write_channel(out, created.back);
}

// Under the client's lock: the sequence decides between a replay, a new session and an error.
NfsStatus create(Compound& compound, const std::shared_ptr<Client>& client, const CreateArgs& args, CreatedSession& created) {
    auto& service = compound.service;
    std::lock_guard lock(client->mutex);
    if (client->gone.load(std::memory_order_acquire)) return NfsStatus::stale_clientid;
    if (args.sequence == client->create_sequence && client->created) {
        created = *client->created;
        return NfsStatus::ok;
    }
    if (args.sequence != client->create_sequence + 1) return NfsStatus::seq_misordered;
    const Principal principal{compound.auth_flavor, compound.authenticated.uid};
    // Before it is confirmed, an id belongs to who asked for it (18.36.3).
    if (client->sessions.empty() && client->create_sequence == 0 && client->principal != principal) return NfsStatus::clid_inuse;
    if ((args.flags & ~(flag_persist | flag_back_channel | flag_rdma)) != 0) return NfsStatus::inval;
    const auto status = negotiate(service.config, service.session_bytes, args, created);
    if (status != NfsStatus::ok) return status;
    if (client->sessions.size() >= service.config.sessions_per_client_max) return NfsStatus::nospc;
    constexpr std::size_t session_bytes = 1024;
    auto share = service.session_bytes.take(session_bytes + std::size_t{created.fore.max_requests} * sizeof(Slot));
    if (!share) return NfsStatus::delay;
    created.sequence = args.sequence;
    created.flags = args.flags & flag_back_channel;
    store_be64(created.id.data(), client->id);
    service.runtime.random->fill(std::span(created.id).subspan(8));
    auto session = std::make_shared<Session>();
    session->share = std::move(*share);
    session->id = created.id;
    session->client = client;
    session->fore = created.fore;
    session->back = created.back;
    session->callback_program = args.callback_program;
    client->create_sequence = args.sequence;
    client->created = created;
    client->sessions.push_back(session);
    service.sessions.add(std::move(session));
    return NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_create_session(Compound& compound, XdrReader& in, XdrWriter& out) {
    CreateArgs args;
    args.client = in.u64();
    args.sequence = in.u32();
    args.flags = in.u32();
    args.fore = read_channel(in);
    args.back = read_channel(in);
    args.callback_program = in.u32();
    read_callback_security(in);
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto& service = compound.service;
    const auto client = service.clients.find(args.client);
    if (client == nullptr || client->minor_version == 0) co_return NfsStatus::stale_clientid;
    CreatedSession created;
    auto status = create(compound, client, args, created);
    if (status == NfsStatus::delay && co_await service.make_room()) status = create(compound, client, args, created);
    if (status != NfsStatus::ok) co_return status;
    client->renew(service.runtime.clock->now());
    // The first session proves that the client got its id: an earlier instance of it ends.
    const bool first = !client->confirmed;
    const auto older = service.clients.confirm(client);
    // It went while the session was made, and the session with it.
    if (client->gone.load(std::memory_order_acquire)) co_return NfsStatus::stale_clientid;
    if (first) service.adopt_record(*client);
    if (older != nullptr) co_await service.forget_record(older);
    write_created(out, created);
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_destroy_session(Compound& compound, XdrReader& in, XdrWriter&) {
    SessionId id;
    in.read(id);
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto& service = compound.service;
    const auto session = service.sessions.find(id);
    if (session == nullptr) co_return NfsStatus::badsession;
    const bool own = compound.session == session;
    if (own && compound.operation_index + 1 != compound.operation_count) co_return NfsStatus::not_only_op;
    if (session->busy(own ? compound.slot : UINT32_MAX)) co_return NfsStatus::delay;
    {
        auto& client = *session->client;
        std::lock_guard lock(client.mutex);
        std::erase(client.sessions, session);
    }
    session->destroyed.store(true, std::memory_order_release);
    service.sessions.remove(id);
    co_return NfsStatus::ok;
}

NfsStatus op_bind_conn_to_session(Compound& compound, XdrReader& in, XdrWriter& out) {
    SessionId id;
    in.read(id);
    const auto direction = in.u32();
    const bool rdma = in.boolean();
    if (!in.ok() || (direction != direction_fore && direction != direction_back && direction != direction_fore_or_both &&
                     direction != direction_back_or_both)) {
        return NfsStatus::badxdr;
    }
    (void)rdma;  // we have none: the reply says so
    auto session = compound.service.sessions.find(id);
    if (session == nullptr) return NfsStatus::badsession;
    session->client->renew(compound.service.runtime.clock->now());
    out.write(id);
    out.u32(direction == direction_fore ? direction_fore : direction == direction_back ? direction_back : direction_both);
    out.boolean(false);
    compound.connection.last_session = std::move(session);
    return NfsStatus::ok;
}

NfsStatus op_backchannel_ctl(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto program = in.u32();
    read_callback_security(in);
    if (!in.ok()) return NfsStatus::badxdr;
    std::lock_guard lock(compound.session->mutex);
    compound.session->callback_program = program;
    return NfsStatus::ok;
}

}  // namespace strata::nfs

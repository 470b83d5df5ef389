// SPDX-License-Identifier: Apache-2.0
// SETCLIENTID, SETCLIENTID_CONFIRM, RENEW: RFC 7530, 16.33, 16.34, 16.29.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/find_state.h"

namespace strata::nfs {

Task<NfsStatus> op_setclientid(Compound& compound, XdrReader& in, XdrWriter& out) {
    ClientTable::Exchange request;
    in.read(request.verifier);
    request.owner = in.text(opaque_limit);
    in.u32();  // the callback's program, network id, address and ident: for delegations, which we do not grant yet
    in.text(in.remaining());
    in.text(in.remaining());
    in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto& service = compound.service;
    request.principal = {compound.auth_flavor, compound.authenticated.uid};
    Verifier confirm;
    service.runtime.random->fill(confirm);
    auto exchanged = service.clients.set_client_id(request, confirm, service.runtime.clock->now());
    if (exchanged.status == NfsStatus::delay && co_await service.make_room()) {
        exchanged = service.clients.set_client_id(request, confirm, service.runtime.clock->now());
    }
    if (exchanged.status == NfsStatus::clid_inuse) {
        // The address of who uses the id: we do not keep it.
        out.text("tcp");
        out.text("0.0.0.0.0.0");
        compound.keep_error_body = true;
    }
    if (exchanged.status != NfsStatus::ok) co_return exchanged.status;
    out.u64(exchanged.client->id);
    out.write(confirm);
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_setclientid_confirm(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto id = in.u64();
    Verifier confirm;
    in.read(confirm);
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto& service = compound.service;
    const Principal principal{compound.auth_flavor, compound.authenticated.uid};
    const auto done = service.clients.confirm_client_id(id, confirm, principal, service.runtime.clock->now());
    if (done.first) service.adopt_record(*done.client);
    for (const auto& older : done.replaced) co_await service.forget_record(older);
    co_return done.status;
}

Task<NfsStatus> op_renew(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto id = in.u64();
    if (!in.ok()) co_return NfsStatus::badxdr;
    std::shared_ptr<Client> client;
    co_return find_client(compound, id, client);
}

}  // namespace strata::nfs

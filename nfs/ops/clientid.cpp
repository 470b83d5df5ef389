// SPDX-License-Identifier: Apache-2.0
// EXCHANGE_ID, DESTROY_CLIENTID, RECLAIM_COMPLETE: RFC 8881, 18.35, 18.50, 18.51.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/rpc/message.h"
#include "nfs/state/client_table.h"

namespace strata::nfs {

namespace {

// EXCHGID4_FLAG_*: 18.35.1. What 4.2 adds (0x4, fencing between servers) is refused, as other servers do: clients do not send it.
constexpr std::uint32_t supp_moved_refer = 0x1, supp_moved_migr = 0x2, bind_princ_stateid = 0x100, use_non_pnfs = 0x10000,
                        use_pnfs_mds = 0x20000, use_pnfs_ds = 0x40000, upd_confirmed_rec_a = 0x40000000, confirmed_r = 0x80000000;
constexpr std::uint32_t flags_allowed =
    supp_moved_refer | supp_moved_migr | bind_princ_stateid | use_non_pnfs | use_pnfs_mds | use_pnfs_ds | upd_confirmed_rec_a;
constexpr std::uint32_t protect_none = 0, protect_machine = 1, protect_ssv = 2;

struct ExchangeArgs {
    ClientTable::Exchange exchange;
    std::uint32_t flags = 0, protect = 0;
};

void skip_mask(XdrReader& in) {
    const auto words = in.count(4);
    for (std::uint32_t i = 0; i < words && in.ok(); ++i) in.u32();
}

void skip_opaques(XdrReader& in) {
    const auto count = in.count(4);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) in.opaque(in.remaining());
}

void read_protection(XdrReader& in, std::uint32_t how) {
    if (how > protect_ssv) return in.fail();
    if (how == protect_none) return;
    skip_mask(in);
    skip_mask(in);
    if (how == protect_machine) return;
    skip_opaques(in);
    skip_opaques(in);
    in.u32();
    in.u32();
}

ExchangeArgs read_args(XdrReader& in) {
    ExchangeArgs args;
    in.read(args.exchange.verifier);
    args.exchange.owner = in.text(opaque_limit);
    args.flags = in.u32();
    args.protect = in.u32();
    read_protection(in, args.protect);
    const auto implementations = in.count(4);
    if (implementations > 1) in.fail();
    if (implementations == 1) {
        in.text(in.remaining());
        in.text(in.remaining());
        in.u64();
        in.u32();
    }
    return args;
}

}  // namespace

Task<NfsStatus> op_exchange_id(Compound& compound, XdrReader& in, XdrWriter& out) {
    auto args = read_args(in);
    if (!in.ok()) co_return NfsStatus::badxdr;
    if ((args.flags & ~flags_allowed) != 0) co_return NfsStatus::inval;
    // Machine credentials need RPCSEC_GSS; an SSV needs algorithms that we do not have.
    if (args.protect == protect_machine) co_return NfsStatus::inval;
    if (args.protect == protect_ssv) co_return NfsStatus::encr_alg_unsupp;
    auto& service = compound.service;
    args.exchange.principal = {compound.auth_flavor, compound.authenticated.uid};
    args.exchange.update = (args.flags & upd_confirmed_rec_a) != 0;
    auto exchanged = service.clients.exchange_id(args.exchange, service.runtime.clock->now());
    if (exchanged.status == NfsStatus::delay && co_await service.make_room()) {
        exchanged = service.clients.exchange_id(args.exchange, service.runtime.clock->now());
    }
    for (const auto& client : exchanged.replaced) co_await service.forget_record(client);
    if (exchanged.status != NfsStatus::ok) co_return exchanged.status;
    const auto& client = *exchanged.client;
    std::uint32_t sequence = 0;
    {
        std::lock_guard lock(client.mutex);
        sequence = client.create_sequence + 1;
    }
    out.u64(client.id);
    out.u32(sequence);
    out.u32(use_non_pnfs | (exchanged.confirmed ? confirmed_r : 0));
    out.u32(protect_none);
    out.u64(0);  // so_minor_id: sessions are shared by all addresses of the server identity
    out.text(service.server_owner);
    out.text(service.server_owner);  // scope
    out.u32(0);                      // no implementation id
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_destroy_clientid(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto id = in.u64();
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto& service = compound.service;
    const auto client = service.clients.find(id);
    if (client == nullptr || client->minor_version == 0) co_return NfsStatus::stale_clientid;
    {
        std::lock_guard lock(client->mutex);
        if (!client->sessions.empty() || !client->states.empty()) co_return NfsStatus::clientid_busy;
    }
    co_return co_await service.end_client(client) ? NfsStatus::ok : NfsStatus::delay;
}

Task<NfsStatus> op_reclaim_complete(Compound& compound, XdrReader& in, XdrWriter&) {
    const bool one_fs = in.boolean();
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (one_fs) co_return compound.current.is_none() ? NfsStatus::nofilehandle : NfsStatus::ok;
    auto& service = compound.service;
    const auto client = compound.session->client;
    if (client->reclaim_complete.load(std::memory_order_relaxed)) co_return NfsStatus::complete_already;
    if (client->has_state() && client->record.load(std::memory_order_acquire) != Record::durable) {
        // It comes after grace, which took the record: what it holds is all that it will reclaim, so it may have one again.
        if (service.grace.closing()) co_return NfsStatus::delay;
        const auto written = co_await service.ensure_record(client);
        if (!written) co_return to_status(written.error());
    }
    if (client->reclaim_complete.exchange(true)) co_return NfsStatus::complete_already;
    if (service.grace.completed(client->owner)) co_await service.end_grace();
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

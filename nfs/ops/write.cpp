// SPDX-License-Identifier: Apache-2.0
// WRITE, COMMIT: RFC 8881, 18.32 and 18.3.
#include <limits>
#include <utility>

#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/io_right.h"
#include "nfs/wire/types.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {
constexpr std::uint64_t offset_max = std::numeric_limits<std::uint64_t>::max();
}

Task<NfsStatus> op_write(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    const auto offset = in.u64();
    const auto stable = in.u32();
    auto data = in.payload(in.remaining());
    if (!in.ok() || stable > static_cast<std::uint32_t>(vfs::Stability::file_sync)) co_return NfsStatus::badxdr;
    const auto status = co_await authorize_io(compound, stateid, vfs::share::write);
    if (status != NfsStatus::ok) co_return status;
    if (data.size() > offset_max - offset) co_return NfsStatus::fbig;
    vfs::WriteResult written{0, static_cast<vfs::Stability>(stable), 0};
    if (data.empty()) {
        written.verifier = compound.fs().write_verifier();
    } else {
        auto result = co_await compound.fs().write(compound.ctx, compound.current.id, offset, BufferChain(std::move(data)),
                                                   static_cast<vfs::Stability>(stable));
        if (!result) co_return data_status(compound, result.error());
        written = *result;
    }
    out.u32(static_cast<std::uint32_t>(written.count));
    out.u32(static_cast<std::uint32_t>(written.stability));
    out.write(to_verifier(written.verifier));
    co_return NfsStatus::ok;
}

// Whoever has the handle may make durable what others wrote: it changes nothing that can be seen, so no right is asked for.
Task<NfsStatus> op_commit(Compound& compound, XdrReader& in, XdrWriter& out) {
    const auto offset = in.u64();
    const auto count = in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (count > offset_max - offset) co_return NfsStatus::inval;
    const auto verifier = co_await compound.fs().commit(compound.ctx, compound.current.id, offset, count);
    if (!verifier) co_return data_status(compound, verifier.error());
    out.write(to_verifier(*verifier));
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

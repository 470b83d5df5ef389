// SPDX-License-Identifier: Apache-2.0
// COPY, CLONE, OFFLOAD_CANCEL, OFFLOAD_STATUS: RFC 7862, 15.2, 15.13, 15.8 and 15.9.
//
// A COPY is always done when its reply goes, which the reply says; a client that asked for an asynchronous one has to accept that
// (15.2.3). So there is never an offload under way.
#include <algorithm>

#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/io_right.h"
#include "nfs/wire/attributes.h"
#include "nfs/wire/types.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {

// A longer COPY is cut short, so that its slot is not held for long; the client goes on with the next.
constexpr std::uint64_t copy_size_max = std::uint64_t{256} << 20;

struct CopyArgs {
    Stateid source_stateid, target_stateid;
    std::uint64_t source_offset = 0, target_offset = 0, count = 0;
    auto fields() { return std::tie(source_stateid, target_stateid, source_offset, target_offset, count); }
};

// The right to read the saved filehandle and to write the current one. Stateids belong to the filehandle that they are looked up for,
// and the caller to its share: the saved one is made current for the time of its check.
Task<NfsStatus> authorize(Compound& compound, const CopyArgs& args) {
    const auto target = compound.current;
    const auto target_stateid = compound.current_stateid;
    compound.set_current(compound.saved);
    compound.current_stateid = compound.saved_stateid;
    const auto status = co_await authorize_io(compound, args.source_stateid, vfs::share::read);
    compound.set_current(target);
    compound.current_stateid = target_stateid;
    if (status != NfsStatus::ok) co_return status;
    co_return co_await authorize_io(compound, args.target_stateid, vfs::share::write);
}

bool overlap(const Compound& compound, const CopyArgs& args, std::uint64_t count) {
    if (compound.saved.id != compound.current.id) return false;
    const auto low = std::min(args.source_offset, args.target_offset), high = std::max(args.source_offset, args.target_offset);
    return high - low < count;
}

// The range to copy, checked against the source (15.2.3): a count of 0 means to its end.
Task<NfsStatus> check_range(Compound& compound, const CopyArgs& args, std::uint64_t& count) {
    const auto source = co_await compound.fs().get_attributes(compound.ctx, compound.saved.id);
    if (!source) co_return to_status(source.error());
    if (args.source_offset > source->size || args.count > source->size - args.source_offset) co_return NfsStatus::inval;
    count = args.count != 0 ? args.count : source->size - args.source_offset;
    if (args.target_offset > vfs::file_size_max || count > vfs::file_size_max - args.target_offset) co_return NfsStatus::fbig;
    co_return overlap(compound, args, count) ? NfsStatus::inval : NfsStatus::ok;
}

void write_copy_reply(XdrWriter& out, const vfs::CopyResult& copied) {
    out.u32(0);  // no callback id: it is done
    out.u64(copied.count);
    out.u32(static_cast<std::uint32_t>(copied.stability));
    out.write(to_verifier(copied.verifier));
    out.boolean(true);  // consecutive
    out.boolean(true);  // synchronous
}

}  // namespace

Task<NfsStatus> op_copy(Compound& compound, XdrReader& in, XdrWriter& out) {
    CopyArgs args;
    in.read(args);
    in.boolean();  // consecutive
    in.boolean();  // synchronous
    const auto source_servers = in.count(8);
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (source_servers != 0) co_return NfsStatus::notsupp;
    auto status = co_await authorize(compound, args);
    if (status != NfsStatus::ok) co_return status;
    std::uint64_t count = 0;
    status = co_await check_range(compound, args, count);
    if (status != NfsStatus::ok) co_return status;
    vfs::CopyResult result{0, compound.fs().write_verifier(), vfs::Stability::file_sync};
    if (count != 0) {
        const auto copied = co_await compound.fs().copy(compound.ctx, compound.saved.id, args.source_offset, compound.current.id,
                                                        args.target_offset, std::min(count, copy_size_max));
        if (!copied) co_return data_status(compound, copied.error());
        result = *copied;
    }
    write_copy_reply(out, result);
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_clone(Compound& compound, XdrReader& in, XdrWriter&) {
    CopyArgs args;
    in.read(args);
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (compound.saved.share != compound.current.share) co_return NfsStatus::xdev;
    auto status = co_await authorize(compound, args);
    if (status != NfsStatus::ok) co_return status;
    std::uint64_t count = 0;
    status = co_await check_range(compound, args, count);
    if (status != NfsStatus::ok) co_return status;
    if (args.source_offset % clone_block_size != 0 || args.target_offset % clone_block_size != 0) co_return NfsStatus::inval;
    if (count == 0) co_return NfsStatus::ok;
    const auto cloned =
        co_await compound.fs().clone(compound.ctx, compound.saved.id, args.source_offset, compound.current.id, args.target_offset, count);
    co_return cloned ? NfsStatus::ok : data_status(compound, cloned.error());
}

namespace {

// No offload has a stateid here, whichever the client sends.
NfsStatus no_such_offload(XdrReader& in) {
    Stateid stateid;
    in.read(stateid);
    return in.ok() ? NfsStatus::bad_stateid : NfsStatus::badxdr;
}

}  // namespace

Task<NfsStatus> op_offload_cancel(Compound&, XdrReader& in, XdrWriter&) { co_return no_such_offload(in); }
Task<NfsStatus> op_offload_status(Compound&, XdrReader& in, XdrWriter&) { co_return no_such_offload(in); }

}  // namespace strata::nfs

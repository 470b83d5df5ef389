// SPDX-License-Identifier: Apache-2.0
// ALLOCATE, DEALLOCATE, SEEK, IO_ADVISE: RFC 7862, 15.1, 15.4, 15.11 and 15.5.
#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/io_right.h"
#include "nfs/wire/attribute_mask.h"
#include "nfs/wire/types.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {

struct Range {
    std::uint64_t offset = 0, length = 0;
};

Task<NfsStatus> read_range(Compound& compound, XdrReader& in, Range& range) {
    Stateid stateid;
    in.read(stateid);
    range.offset = in.u64();
    range.length = in.u64();
    if (!in.ok()) co_return NfsStatus::badxdr;
    const auto status = co_await authorize_io(compound, stateid, vfs::share::write);
    if (status != NfsStatus::ok) co_return status;
    if (range.length == 0) co_return NfsStatus::inval;
    const bool too_far = range.offset > vfs::file_size_max || range.length > vfs::file_size_max - range.offset;
    co_return too_far ? NfsStatus::fbig : NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_allocate(Compound& compound, XdrReader& in, XdrWriter&) {
    Range range;
    const auto status = co_await read_range(compound, in, range);
    if (status != NfsStatus::ok) co_return status;
    const auto done = co_await compound.fs().allocate(compound.ctx, compound.current.id, range.offset, range.length);
    co_return done ? NfsStatus::ok : data_status(compound, done.error());
}

Task<NfsStatus> op_deallocate(Compound& compound, XdrReader& in, XdrWriter&) {
    Range range;
    const auto status = co_await read_range(compound, in, range);
    if (status != NfsStatus::ok) co_return status;
    const auto done = co_await compound.fs().deallocate(compound.ctx, compound.current.id, range.offset, range.length);
    co_return done ? NfsStatus::ok : data_status(compound, done.error());
}

// The end of the file counts as a hole; where no data follow, the answer is eof and the end of the file.
Task<NfsStatus> op_seek(Compound& compound, XdrReader& in, XdrWriter& out) {
    constexpr std::uint32_t content_data = 0, content_hole = 1;
    Stateid stateid;
    in.read(stateid);
    auto offset = in.u64();
    const auto what = in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    const auto status = co_await authorize_io(compound, stateid, vfs::share::read);
    if (status != NfsStatus::ok) co_return status;
    if (what != content_data && what != content_hole) co_return NfsStatus::union_notsupp;
    const auto object = co_await compound.fs().get_attributes(compound.ctx, compound.current.id);
    if (!object) co_return to_status(object.error());
    if (offset >= object->size) co_return NfsStatus::nxio;
    while (offset < object->size) {
        const auto run = co_await compound.fs().map(compound.ctx, compound.current.id, offset);
        if (!run && run.error() == Errc::invalid_argument) break;  // truncated meanwhile
        if (!run) co_return data_status(compound, run.error());
        if (run->hole == (what == content_hole) || run->length == 0) break;
        offset += run->length;
    }
    out.boolean(offset >= object->size);
    out.u64(offset);
    co_return NfsStatus::ok;
}

// Hints are read and none is followed: the reply names those that were.
Task<NfsStatus> op_io_advise(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    in.u64();
    in.u64();
    read_mask(in);
    if (!in.ok()) co_return NfsStatus::badxdr;
    bool proven = false;
    const auto status = check_io(compound, stateid, vfs::share::none, proven);
    if (status != NfsStatus::ok) co_return status;
    write_mask(out, {});
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// READ_PLUS: RFC 7862, 15.10.
//
//   read_plus_res4 := eof read_plus_content*
//   content        := DATA(0) offset opaque<> | HOLE(1) offset length
#include <algorithm>
#include <utility>

#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/io_right.h"
#include "nfs/wire/types.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {

constexpr std::uint32_t content_data = 0, content_hole = 1;
constexpr std::uint32_t contents_max = 64;       // a reply; the client asks again for the rest
constexpr std::size_t content_head = 4 + 8 + 8;  // the larger of both, and its padding fits, too

// Writes the run of data or hole at `at`, at most up to `end`, and moves `at` behind it. `at` stays: nothing fits or follows any more.
Task<NfsStatus> write_content(Compound& compound, XdrWriter& out, std::uint64_t& at, std::uint64_t end) {
    const auto room = compound.room(out);
    if (room <= content_head + 4) co_return NfsStatus::ok;
    const auto file = compound.current.id;
    const auto run = co_await compound.fs().map(compound.ctx, file, at);
    if (!run) co_return run.error() == Errc::invalid_argument ? NfsStatus::ok : data_status(compound, run.error());
    auto length = std::min(run->length, end - at);
    if (length == 0) co_return NfsStatus::ok;
    if (run->hole) {
        out.u32(content_hole);
        out.u64(at);
        out.u64(length);
        at += length;
        co_return NfsStatus::ok;
    }
    length = std::min<std::uint64_t>(length, std::min(room - content_head - 4, io_size_max));
    auto read = co_await compound.fs().read(compound.ctx, file, at, static_cast<std::uint32_t>(length));
    if (!read) co_return data_status(compound, read.error());
    if (read->data.empty()) co_return NfsStatus::ok;  // truncated meanwhile
    const auto size = read->data.size();
    out.u32(content_data);
    out.u64(at);
    out.opaque(std::move(read->data));
    at += size;
    co_return NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_read_plus(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    const auto offset = in.u64();
    const auto count = in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    auto status = co_await authorize_io(compound, stateid, vfs::share::read);
    if (status != NfsStatus::ok) co_return status;
    const auto object = co_await compound.fs().get_attributes(compound.ctx, compound.current.id);
    if (!object) co_return to_status(object.error());
    const auto eof_at = out.hole();
    const auto contents_at = out.hole();
    const auto left = offset < object->size ? object->size - offset : 0;
    const auto end = offset + std::min<std::uint64_t>({left, count, io_size_max});
    auto at = offset;
    std::uint32_t contents = 0;
    while (at < end && contents < contents_max) {
        const auto before = at;
        status = co_await write_content(compound, out, at, end);
        if (status != NfsStatus::ok) co_return status;
        if (at == before) break;
        ++contents;
    }
    // No run, and not the end: a client would ask for ever. Either there is no room for one, or the file has become shorter meanwhile.
    const bool nothing = contents == 0 && at < end;
    if (nothing && compound.room(out) <= content_head + 4) co_return NfsStatus::rep_too_big;
    out.patch(eof_at, at >= object->size || nothing ? 1 : 0);
    out.patch(contents_at, contents);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

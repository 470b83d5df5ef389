// SPDX-License-Identifier: Apache-2.0
// READ, READLINK: RFC 8881, 18.22 and 18.24.
#include <algorithm>
#include <utility>

#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/io_right.h"
#include "nfs/wire/types.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

Task<NfsStatus> op_read(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    const auto offset = in.u64();
    const auto count = in.u32();
    if (!in.ok()) co_return NfsStatus::badxdr;
    const auto status = co_await authorize_io(compound, stateid, vfs::share::read);
    if (status != NfsStatus::ok) co_return status;
    constexpr std::size_t around = 16;  // eof, the length, padding, and a byte to spare
    const auto room = compound.room(out);
    const auto size = std::min({std::size_t{count}, io_size_max, room > around ? room - around : 0});
    auto read = co_await compound.fs().read(compound.ctx, compound.current.id, offset, static_cast<std::uint32_t>(size));
    if (!read) co_return data_status(compound, read.error());
    out.boolean(read->end_of_file);
    out.opaque(std::move(read->data));
    co_return NfsStatus::ok;
}

Task<NfsStatus> op_readlink(Compound& compound, XdrReader&, XdrWriter& out) {
    const auto target = co_await compound.fs().read_link(compound.ctx, compound.current.id);
    if (!target) {
        const auto code = target.error().code;
        const bool other_type = code == Errc::is_directory || code == Errc::wrong_type || code == Errc::invalid_argument;
        if (other_type) co_return compound.minor_version == 0 ? NfsStatus::inval : NfsStatus::wrong_type;
        co_return to_status(code);
    }
    out.text(*target);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

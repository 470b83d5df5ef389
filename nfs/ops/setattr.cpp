// SPDX-License-Identifier: Apache-2.0
// SETATTR: RFC 8881, 18.30.
#include <memory>

#include "nfs/compound.h"
#include "nfs/ops/handlers.h"
#include "nfs/state/io_right.h"
#include "nfs/wire/attributes.h"
#include "server/vfs/acl.h"
#include "server/vfs/file_state.h"

namespace strata::nfs {

namespace {

// An ACL that says what a mode says is stored as that mode, so that taking the last named entry away leads back to plain mode bits.
void reduce_to_mode(vfs::SetAttributes& set, const vfs::Attributes& object) {
    if (set.mode || !set.acl || *set.acl == nullptr) return;
    const auto mode = vfs::mode_of(**set.acl, object.mode);
    if (**set.acl != vfs::acl_of_mode(mode, object.type == vfs::FileType::directory)) return;
    set.acl = std::shared_ptr<const vfs::Acl>();
    set.mode = mode;
}

}  // namespace

// All or nothing: the file system sets what it is given in one step; a failure's attrsset is empty.
Task<NfsStatus> op_setattr(Compound& compound, XdrReader& in, XdrWriter& out) {
    Stateid stateid;
    in.read(stateid);
    AttributeChange change;
    auto status = read_settable(in, compound.minor_version, change);
    if (status != NfsStatus::ok) co_return status;
    bool proven = false;
    // Without a size the stateid means nothing (18.30.3), and clients send any.
    if (change.set.size) status = check_io(compound, stateid, vfs::share::write, proven);
    if (status != NfsStatus::ok) co_return status;
    const auto file = compound.current.id;
    if (change.mask.none() || change.set.acl) {
        const auto object = co_await compound.fs().get_attributes(compound.ctx, file);
        if (!object) co_return to_status(object.error());
        if (change.mask.none()) {
            write_mask(out, change.mask);
            co_return NfsStatus::ok;
        }
        reduce_to_mode(change.set, *object);
    }
    const auto result = co_await compound.fs().set_attributes(compound.ctx, file, change.set, proven);
    if (!result) co_return to_status(result.error());
    write_mask(out, change.mask);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

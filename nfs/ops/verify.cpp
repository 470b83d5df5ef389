// SPDX-License-Identifier: Apache-2.0
// VERIFY, NVERIFY: RFC 8881, 18.31 and 18.15.
#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/wire/attributes.h"

namespace strata::nfs {

namespace {

Task<NfsStatus> compare(Compound& compound, XdrReader& in, XdrWriter& out, bool& equal) {
    ExpectedAttributes expected;
    const auto status = read_expected(in, compound.minor_version, expected);
    if (status != NfsStatus::ok) co_return status;
    const FileRef file = compound.current;
    const auto object = co_await compound.attributes_of(file);
    if (!object) co_return to_status(object.error());
    auto source = attribute_source(compound, file, *object, expected.mask);
    if (file.is_file() && expected.mask.intersects(space_attributes)) {
        const auto space = co_await compound.fs().space(compound.ctx, file.id);
        if (!space) co_return to_status(space.error());
        source.space = *space;
    }
    equal = equal_attributes(expected, source, out);
    co_return NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_verify(Compound& compound, XdrReader& in, XdrWriter& out) {
    bool equal = false;
    const auto status = co_await compare(compound, in, out, equal);
    if (status != NfsStatus::ok) co_return status;
    co_return equal ? NfsStatus::ok : NfsStatus::not_same;
}

Task<NfsStatus> op_nverify(Compound& compound, XdrReader& in, XdrWriter& out) {
    bool equal = false;
    const auto status = co_await compare(compound, in, out, equal);
    if (status != NfsStatus::ok) co_return status;
    co_return equal ? NfsStatus::same : NfsStatus::ok;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// fattr4: one table says of each attribute how it is encoded, whether it can be set and which minor versions know it (RFC 8881, 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "nfs/wire/attribute_mask.h"
#include "nfs/wire/file_handle.h"
#include "nfs/wire/status.h"
#include "nfs/wire/types.h"
#include "nfs/wire/xdr.h"
#include "server/vfs/types.h"

namespace strata::nfs {

constexpr std::uint32_t clone_block_size = 4096;

// What the attributes of one object are computed from. Refers to its parts; lives as long as one operation.
struct AttributeSource {
    const vfs::Attributes& object;
    Fsid fsid;
    std::uint64_t mounted_on_fileid = 0;  // differs from the fileid for the root of a share only
    std::uint32_t minor_version = 0;
    std::uint32_t lease_seconds = 0;
    HandleBytes handle{};  // needed for filehandle only
    vfs::Space space;      // needed for space_attributes only
};

// The attributes of a minor version: all; those that can be set; those that can only be set; those that need AttributeSource::space.
AttributeMask supported_attributes(std::uint32_t minor_version);
AttributeMask settable_attributes(std::uint32_t minor_version);
constexpr AttributeMask set_only_attributes{Attribute::time_access_set, Attribute::time_modify_set};
constexpr AttributeMask space_attributes{Attribute::files_avail, Attribute::files_free, Attribute::files_total,
                                         Attribute::space_avail, Attribute::space_free, Attribute::space_total};

// Writes a fattr4 with those of `wanted` that this minor version supports and that can be read. Allocates nothing, acl excepted.
void write_attributes(XdrWriter& out, const AttributeMask& wanted, const AttributeSource& source);
// A fattr4 that says only why the object's attributes cannot be had: READDIR's rdattr_error.
void write_attribute_error(XdrWriter& out, NfsStatus error);

// What a SETATTR, CREATE or OPEN wants set.
struct AttributeChange {
    vfs::SetAttributes set;
    AttributeMask mask;  // the attrsset of a reply if all of it was done
};

// Reads a fattr4 of attributes to be set.
// Errors: badxdr, attrnotsupp, inval (cannot be set, or a value out of its domain), badowner.
NfsStatus read_settable(XdrReader& in, std::uint32_t minor_version, AttributeChange& change);

// VERIFY's and NVERIFY's argument, left undecoded: it is compared with our own encoding byte by byte.
struct ExpectedAttributes {
    AttributeMask mask;
    Bytes values;  // a view into the request
};
// Errors: badxdr, attrnotsupp, inval (set-only, or rdattr_error).
NfsStatus read_expected(XdrReader& in, std::uint32_t minor_version, ExpectedAttributes& expected);
// `scratch` is left as it was.
bool equal_attributes(const ExpectedAttributes& expected, const AttributeSource& source, XdrWriter& scratch);

// A uid or gid as the string that stands on the wire, and back. "1000" is the number; of name@domain only root and nobody are known.
// Errors: inval (empty), badowner.
NfsStatus parse_owner(std::string_view text, std::uint32_t& id);

}  // namespace strata::nfs

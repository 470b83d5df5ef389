// SPDX-License-Identifier: Apache-2.0
// PUTFH, PUTROOTFH, PUTPUBFH, GETFH, SAVEFH, RESTOREFH: RFC 8881, 18.19-18.21, 18.8, 18.27, 18.28.
#include "nfs/compound.h"
#include "nfs/ops/handlers.h"

namespace strata::nfs {

NfsStatus op_putfh(Compound& compound, XdrReader& in, XdrWriter&) {
    const auto handle = in.opaque(fh_size_max);
    if (!in.ok()) return NfsStatus::badxdr;
    FileRef file;
    const auto status = compound.file_of(handle, file);
    if (status == NfsStatus::ok) compound.set_current(file);
    return status;
}

// The public filehandle is the root filehandle.
NfsStatus op_putrootfh(Compound& compound, XdrReader&, XdrWriter&) {
    compound.set_pseudo_root();
    return NfsStatus::ok;
}

NfsStatus op_getfh(Compound& compound, XdrReader&, XdrWriter& out) {
    out.opaque(compound.handle_of(compound.current));
    return NfsStatus::ok;
}

NfsStatus op_savefh(Compound& compound, XdrReader&, XdrWriter&) {
    compound.saved = compound.current;
    compound.saved_stateid = compound.current_stateid;
    return NfsStatus::ok;
}

NfsStatus op_restorefh(Compound& compound, XdrReader&, XdrWriter&) {
    // 4.0 has an error of its own for this (RFC 7530, 13.1.4.5); 4.1 says nofilehandle, and clients accept either there.
    if (compound.saved.is_none()) return compound.minor_version == 0 ? NfsStatus::restorefh : NfsStatus::nofilehandle;
    compound.set_current(compound.saved);
    compound.current_stateid = compound.saved_stateid;
    return NfsStatus::ok;
}

}  // namespace strata::nfs

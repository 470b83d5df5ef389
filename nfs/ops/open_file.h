// SPDX-License-Identifier: Apache-2.0
// OPEN, the first half: the file that the claim names is found or created, and the right to it is checked.
#pragma once

#include "nfs/compound.h"
#include "nfs/ops/open_args.h"

namespace strata::nfs {

struct OpenedFile {
    FileRef file;
    ChangeInfo directory;
    std::uint32_t owner = 0;   // the file's uid
    bool created = false;      // by this OPEN, or by the one that this is a retry of: its mode does not bind its creator, who owns it
    bool truncate = false;     // to be done once no other open denies it
    AttributeMask attributes;  // that were set
};

// Leaves the current filehandle alone. Errors: those of LOOKUP and CREATE, isdir, symlink, wrong_type, access, rofs.
Task<NfsStatus> find_or_create(Compound& compound, OpenArgs& args, OpenedFile& out);

}  // namespace strata::nfs

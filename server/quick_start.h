// SPDX-License-Identifier: Apache-2.0
// Quick start: makes the shares that the command line names and that are missing, and tells a person how to mount them.
#pragma once

#include <string>
#include <vector>

#include "server/base/context.h"
#include "server/vfs/file_system.h"
#include "server/vfs/record_store.h"
#include "server/vfs/share.h"

namespace strata {

struct Owner {
    std::uint32_t uid = 0, gid = 0;
};

// All shares: those of the settings database, and those of `specs` that were not there: a directory of the same name in the volume's
// root, a domain of its own, owned by `owner` with mode 0755 unless the spec says otherwise. Durable on return.
// Errors: config: a spec contradicts what is stored; the message names both values.
Task<Result<vfs::ShareList>> ensure_shares(const Context& ctx, vfs::FileSystem& fs, vfs::RecordStore& records,
                                           const std::vector<vfs::ShareSpec>& specs, Owner owner);

// One line a share: the mount command, with a hint below where its users could not write.
Task<Result<std::string>> mount_hints(const Context& ctx, vfs::FileSystem& fs, const vfs::ShareList& shares, const Endpoint& nfs);

}  // namespace strata

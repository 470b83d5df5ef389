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

// All shares, sorted by name: those of the settings database, and those of `specs` that were not there: a directory of the same name in
// the volume's root, a domain of its own, owned by `owner` with mode 0755 unless the spec says otherwise. Durable on return. A
// directory that a crash left without its record is taken over. Owner and mode contradict only where they are neither what the
// directory has now nor what it was made with: clients may chown and chmod it, and the same command line still starts the server.
// Errors: config: a spec contradicts what is stored; the message names both values. bad_message, bad_version: a record, named.
Task<Result<vfs::ShareList>> ensure_shares(const Context& ctx, vfs::FileSystem& fs, vfs::RecordStore& records,
                                           const std::vector<vfs::ShareSpec>& specs, Owner owner);

// One line a share: the mount command, as a shell takes it, with a hint below where somebody could not write at its top; without shares,
// how to make one. `machine` is what clients reach this machine by if `nfs` is all its addresses; empty: not known.
Task<Result<std::string>> mount_hints(const Context& ctx, vfs::FileSystem& fs, const vfs::ShareList& shares, const Endpoint& nfs,
                                      const std::string& machine);

// The numeric address that this machine sends from by default (IPv6 in brackets); empty: it has no such route. Sends nothing.
std::string default_address();

}  // namespace strata

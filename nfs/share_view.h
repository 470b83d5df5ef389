// SPDX-License-Identifier: Apache-2.0
// ShareView: the shares as one client sees them: the ones that admit it, listed in a pseudo root directory of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "nfs/wire/file_handle.h"
#include "nfs/wire/types.h"
#include "server/base/byte_stream.h"
#include "server/vfs/file_system.h"
#include "server/vfs/share.h"

namespace strata::nfs {

// Immutable; made by a connection for its client, and made anew when the share table's version has changed. A COMPOUND keeps the one
// it started with.
class ShareView {
public:
    ShareView(std::uint64_t version, std::shared_ptr<const vfs::ShareList> shares, const Endpoint& client);

    std::uint64_t version() const { return version_; }
    const Endpoint& client() const { return client_; }

    // Null: no share of that name admits this client.
    const vfs::Share* find(std::string_view name) const;
    // The share that a handle was given out under. A renamed share is found by its root, if that is unambiguous. Null: none, or not
    // admitted.
    const vfs::Share* find(const HandleContent& handle) const;

    // The pseudo root as an object: a directory 0555 of root's, own fsid, whose change follows the share table.
    vfs::Attributes pseudo_root(Timestamp at) const;
    // Its entries after `cookie`, to the visitor. `attributes` of an entry is null: the share's root has them, in the volume.
    vfs::DirectoryPage read_pseudo_root(std::uint64_t cookie, const vfs::DirectoryVisitor& visit) const;
    // What a share's root is called in the pseudo root: its mounted_on_fileid.
    static std::uint64_t mounted_on_fileid(const vfs::Share& share);

    static constexpr std::uint64_t pseudo_root_fileid = 2;
    static constexpr Fsid pseudo_root_fsid{0x5354524154410000ull, 0};

private:
    struct Item {
        const vfs::Share* share;
        std::uint32_t name_hash;
    };
    std::uint64_t version_;
    std::shared_ptr<const vfs::ShareList> all_;
    Endpoint client_;
    std::vector<Item> admitted_;  // by name, as in the list
};

// The filesystem id of an object with these attributes: one a volume and domain, never derived from a node.
inline Fsid fsid_of(std::uint64_t volume_hash, vfs::DomainId domain) { return {volume_hash, domain}; }

}  // namespace strata::nfs

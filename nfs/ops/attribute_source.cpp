// SPDX-License-Identifier: Apache-2.0
// From a filehandle's object to what its attributes are encoded from.
#include "nfs/ops/attribute_source.h"

#include <chrono>

#include "nfs/share_view.h"

namespace strata::nfs {

AttributeSource attribute_source(const Compound& compound, const FileRef& file, const vfs::Attributes& object,
                                 const AttributeMask& wanted) {
    const auto& service = compound.service;
    AttributeSource source{.object = object};
    source.minor_version = compound.minor_version;
    source.lease_seconds = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(service.config.lease).count());
    source.mounted_on_fileid = file.is_share_root() ? ShareView::mounted_on_fileid(*file.share) : object.id.inode;
    source.fsid = file.is_pseudo_root() ? ShareView::pseudo_root_fsid : fsid_of(service.volume_hash, object.domain);
    if (wanted.has(Attribute::filehandle)) source.handle = compound.handle_of(file);
    return source;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// From a filehandle's object to what its attributes are encoded from; and what an operation answers to an object of the wrong type.
#pragma once

#include "nfs/compound.h"
#include "nfs/wire/attributes.h"
#include "server/base/result.h"
#include "server/base/task.h"
#include "server/vfs/types.h"

namespace strata::nfs {

// `object`: the attributes of `file`, which the source refers to. Its space is left at zero.
AttributeSource attribute_source(const Compound& compound, const FileRef& file, const vfs::Attributes& object, const AttributeMask& wanted);

// What an operation on the data of regular files answers to an error of the file system: minor version 0 has inval where later ones
// name the type (RFC 7530, 16.23.4; RFC 8881, 18.22.3).
inline NfsStatus data_status(const Compound& compound, const Error& error) {
    if (compound.minor_version == 0) return error == Errc::is_symlink || error == Errc::wrong_type ? NfsStatus::inval : to_status(error);
    return error == Errc::wrong_type ? NfsStatus::wrong_type : to_status(error);
}

}  // namespace strata::nfs

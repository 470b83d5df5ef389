// SPDX-License-Identifier: Apache-2.0
// A disk that should be mounted and is not: its folder looks empty, and a new volume made there would hide the old one.
#pragma once

#include <set>
#include <string>

#include "server/base/result.h"

namespace strata {

// Errors: config: `folder` is, or lies in, a place of `wanted` that is not in `mounted`.
Result<> refuse_unmounted(const std::string& folder, const std::set<std::string>& wanted, const std::set<std::string>& mounted);

// The same by /etc/fstab and what is mounted on this machine, for a folder without the file `mark`; with it, it holds a volume, which may
// be opened whatever fstab says.
Result<> refuse_unmounted(const std::string& folder, const std::string& mark);

}  // namespace strata

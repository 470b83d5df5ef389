// SPDX-License-Identifier: Apache-2.0
// Service: construction.
#include "nfs/service.h"

#include <utility>

namespace strata::nfs {

Service::Service(Config c, Runtime r, Parts p)
    : config(std::move(c)),
      runtime(std::move(r)),
      parts(p),
      log(runtime.log("nfs")),
      volume_hash(hash_of(parts.fs->volume())),
      started(runtime.clock->wall_time()) {}

}  // namespace strata::nfs

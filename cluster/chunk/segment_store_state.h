// SPDX-License-Identifier: Apache-2.0
// SegmentStoreState: what the parts of one store share.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "cluster/chunk/open_segments.h"
#include "cluster/chunk/segment_set.h"
#include "cluster/chunk/store_identity.h"
#include "cluster/chunk/store_space.h"
#include "server/base/runtime.h"

namespace strata::cluster {

struct SegmentStoreState {
    SegmentStoreState(const Runtime& r, std::shared_ptr<Disk> d, const SegmentStoreConfig& c, const StoreIdentity& i)
        : runtime(r),
          disk(std::move(d)),
          config(c),
          identity(i),
          space(*disk, config),
          files(*disk, config.open_segments_max),
          log(r.log("cluster.chunk")) {}

    Runtime runtime;
    std::shared_ptr<Disk> disk;
    const SegmentStoreConfig config;
    const StoreIdentity identity;
    StoreSpaceGauge space;
    OpenSegments files;
    Log log;

    std::mutex mutex;  // guards `set` and the counters of its segments; never held during I/O
    SegmentSet set;
    std::atomic<bool> failed{false};

    // Once true it stays: after a failed write or sync nothing more is promised until the store is opened anew.
    void fail_store(const Error& error) {
        if (!failed.exchange(true)) log.error("store failed", {{"store", disk->description()}, {"error", to_string(error)}});
    }
};

}  // namespace strata::cluster

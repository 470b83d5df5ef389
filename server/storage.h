// SPDX-License-Identifier: Apache-2.0
// Storage: this node's stores, metadata and file system, opened and closed as one. Runs in the simulator too: it touches the world only
// through its Runtime and OpenDisk.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "cluster/fs/cluster_file_system.h"
#include "cluster/fs/meta_records.h"
#include "cluster/fs/volume.h"
#include "cluster/fs/volume_catalog.h"
#include "cluster/meta/sqlite_meta_store.h"
#include "cluster/placement/local_store_set.h"
#include "cluster/repair/orphan_collector.h"
#include "cluster/repair/repairer.h"
#include "cluster/repair/scrubber.h"
#include "cluster/stripe/stripe.h"
#include "server/base/runtime.h"
#include "server/stores.h"

namespace strata {

// Records of the settings database: stores by UUID, with the number that chunk records name them by, or "retired NUMBER".
constexpr std::string_view store_records = "store";
constexpr std::string_view retired_prefix = "retired ";

struct StorageConfig {
    std::string data;                       // folder of node.json
    std::vector<std::string> stores;        // folders; empty: those that node.json remembers, or data/stores/0
    std::optional<cluster::Policy> policy;  // for a new volume, which needs stores enough for it; of an old one it must agree
    cluster::SegmentStoreConfig segments;
    cluster::VolumeConfig volume;
    cluster::MetaStoreConfig metadata;  // sizes and times; how many copies, and when to make them, Storage decides
    cluster::RepairConfig repair;
    cluster::ScrubConfig scrub;
    cluster::OrphanConfig orphans;
    bool background = true;  // repair, scrub, collection of orphans; false for `check`, which makes no store either
};

class Storage {
public:
    // Opens, or makes what is missing. Errors: config, corrupt, store_missing (too few stores to be sure of all that was acknowledged).
    static Task<Result<std::unique_ptr<Storage>>> open(const Context& ctx, const Runtime& runtime, OpenDisk open_disk,
                                                       StorageConfig config);
    ~Storage();  // after close()

    cluster::ClusterFileSystem& fs() { return *fs_; }
    cluster::MetaRecords& records() { return *records_; }
    cluster::Volume& volume() { return *volume_; }
    cluster::MetaStore& meta() { return *meta_; }
    cluster::LocalStoreSet& stores() { return *stores_; }
    cluster::StripeIo& stripes() { return *stripes_; }
    // The disks of the stores that are there, for check_replicas() after close().
    std::vector<cluster::StoreDisk> metadata_places() const;
    const cluster::Policy& policy() const { return policy_; }

    // Stores, tolerance, space, metadata copies, repair and scrub, for people and for programs.
    Task<boost::json::object> status(const Context& ctx);
    // Gives the empty `new_folder` in place of the lost store that was at `old_folder`: its shards and metadata are rebuilt elsewhere.
    // One at a time. Errors: not_found (no such store), busy (that store is online and answers; another replacement runs), config (the
    // new folder); whatever keeps node.json from being written, after the store was replaced.
    Task<Result<>> replace_store(const Context& ctx, const std::string& old_folder, const std::string& new_folder);
    // Verifies every shard now, at full speed; returns what was found. Runs until done.
    Task<Result<boost::json::object>> scrub(const Context& ctx);
    // Before the end: who waits for long work of one of these is told `cancelled`, now and from now on. Any thread.
    void refuse_waits();

    // Flushes, applies, marks clean. Nothing else may run any more.
    Task<Result<>> close(const Context& ctx);

private:
    Storage(const Runtime& runtime, OpenDisk open_disk, StorageConfig config);
    std::vector<std::string> folders() const;
    Task<Result<>> open_all(const Context& ctx);
    Task<Result<>> load_node_file(const Context& ctx);
    Task<Result<>> open_meta(const Context& ctx);
    Task<Result<>> number_stores(const Context& ctx);
    Task<Result<>> settle_policy(const Context& ctx);
    void open_volume();
    Result<> check_apart(const std::string& folder) const;
    Result<> refuse_new_stores() const;
    Task<> probe_store(const std::string& folder);
    Task<Result<>> replace_lost(const Context& ctx, const std::string& old_folder, const std::string& new_folder);
    Task<Result<cluster::StoreIndex>> record_replacement(const Context& ctx, const cluster::StoreSet::Member& lost,
                                                         const cluster::Uuid& fresh);
    vfs::Space space(vfs::DomainId domain);

    const Runtime& runtime_;
    Log log_;
    OpenDisk open_disk_;
    StorageConfig config_;
    NodeFile node_;
    cluster::Policy policy_;
    std::unique_ptr<Pool> blocking_;
    std::shared_ptr<Disk> data_;
    std::vector<OpenedStore> opened_;
    std::unique_ptr<cluster::SqliteMetaStore> meta_;
    std::unique_ptr<cluster::MetaRecords> records_;
    std::unique_ptr<cluster::LocalStoreSet> stores_;
    std::unique_ptr<cluster::VolumeCatalog> catalog_;
    std::unique_ptr<cluster::Repairer> repairer_;
    std::unique_ptr<cluster::StripeIo> stripes_;
    std::unique_ptr<cluster::Scrubber> scrubber_;
    std::unique_ptr<cluster::OrphanCollector> orphans_;
    std::unique_ptr<cluster::Volume> volume_;
    std::unique_ptr<cluster::ClusterFileSystem> fs_;
    std::atomic<bool> replacing_{false};
    std::mutex space_mutex_;
    vfs::Space space_;
    Instant space_until_;
};

}  // namespace strata

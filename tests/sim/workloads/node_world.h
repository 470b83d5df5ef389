// SPDX-License-Identifier: Apache-2.0
// NodeWorld: one whole node (stores, metadata, file system, repair) on simulated disks: opened, cut from power, opened again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/check.h"
#include "server/storage.h"
#include "tests/sim/world.h"

namespace strata::sim {

struct NodeOptions {
    int stores = 3;
    std::string policy = "ec-2+1";
    std::uint64_t disk_bytes = 192u << 20;
    std::vector<std::string> lie_about;  // canary: files whose path contains one of these are not synced; empty: no lies
};

class NodeWorld {
public:
    NodeWorld(std::uint64_t seed, NodeOptions options);
    ~NodeWorld();

    World& world() { return world_; }
    SimRandom& random() { return world_.random(); }
    Storage& storage() { return *storage_; }
    bool is_open() const { return storage_ != nullptr; }
    // No power cut since the last opening was begun.
    bool powered() const { return powered_; }

    // Opens the storage; in a new world it is made. Errors: Storage::open's.
    Result<> open();
    // In order: everything flushed.
    Result<> close();
    // The power fails for all disks, now or at the `calls`th call to any of them from now on (0: not any more).
    void cut_power();
    void cut_power_after(std::uint64_t calls) { calls_left_ = calls; }
    // What the cut left running ends; the storage is gone. Disks are then powered again.
    void abandon();

    // As `stratad check` sees it. The storage must be closed or cut; it is opened without background work and closed again.
    Result<CheckReport> check();

    // The stores' disks by number; replace() adds one.
    SimDisk& disk(int store) { return *disks_[static_cast<std::size_t>(store)].disk; }
    int store_count() const { return static_cast<int>(disks_.size()); }
    const std::string& folder(int store) const { return disks_[static_cast<std::size_t>(store)].folder; }
    // Unplugged at the next opening.
    void set_absent(int store, bool absent) { disks_[static_cast<std::size_t>(store)].absent = absent; }
    bool is_absent(int store) const { return disks_[static_cast<std::size_t>(store)].absent; }
    // A new empty disk takes the place of store `lost`. Returns the new one's number.
    Result<int> replace(int lost);

    // A request of the superuser with a commit point of its own.
    struct Request {
        CommitPoint commit_point;
        Context ctx;
    };
    std::unique_ptr<Request> request();

    // Something that must not be; the run goes on, the test fails.
    void problem(std::string text);
    const std::vector<std::string>& problems() const { return problems_; }

private:
    struct Place {
        std::string folder;
        std::shared_ptr<SimDisk> disk;
        bool absent = false;
    };
    Result<std::unique_ptr<Disk>> open_disk(const std::string& folder, bool create);
    StorageConfig config(bool background);
    void count_call();
    void add_disk();

    World world_;
    NodeOptions options_;
    Credentials superuser_ = Credentials::superuser();
    Log log_;
    std::shared_ptr<SimDisk> data_disk_;
    std::vector<Place> disks_;
    std::unique_ptr<Storage> storage_;
    std::uint64_t calls_left_ = 0;
    bool powered_ = true;
    bool made_ = false;  // the node remembers its stores
    std::vector<std::string> problems_;
};

}  // namespace strata::sim

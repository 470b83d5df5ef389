// SPDX-License-Identifier: Apache-2.0
// A node's life: small sizes, so that every seed sees segments sealed, logs turned over and memory under pressure.
#include "tests/sim/workloads/node_world.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "tests/sim/watched_disk.h"
#include "tests/sim/workloads/lying_disk.h"

namespace strata::sim {

namespace {

constexpr const char* data_folder = "/data";
constexpr Duration call_max = 1h;  // of virtual time; what takes longer hangs

}  // namespace

NodeWorld::NodeWorld(std::uint64_t seed, NodeOptions options)
    : world_(seed), options_(std::move(options)), log_(world_.log(), "test"), data_disk_(world_.make_disk("data", 64 << 20)) {
    // SQLite salts its write-ahead log from a generator of the whole process.
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed % 1'000'000'007 + 1), nullptr);
    for (int i = 0; i < options_.stores; ++i) add_disk();
}

NodeWorld::~NodeWorld() {
    try {
        abandon();
    } catch (const WorldIdle&) {
        (void)storage_.release();  // what hangs in it never ends; the test has failed
    }
}

void NodeWorld::add_disk() {
    const std::string name = fmt::format("s{}", disks_.size());
    disks_.push_back({"/" + name, world_.make_disk(name, options_.disk_bytes), false});
}

Result<std::unique_ptr<Disk>> NodeWorld::open_disk(const std::string& folder, bool) {
    std::shared_ptr<SimDisk> disk;
    if (folder == data_folder) disk = data_disk_;
    for (const auto& place : disks_) {
        if (place.folder == folder && !place.absent) disk = place.disk;
    }
    if (disk == nullptr) return fail(Errc::not_found, folder + ": no such disk");
    std::shared_ptr<Disk> mounted = disk->mount();
    if (!options_.lie_about.empty()) mounted = std::make_shared<LyingDisk>(std::move(mounted), options_.lie_about);
    return std::make_unique<WatchedDisk>(std::move(mounted), [this] { count_call(); });
}

StorageConfig NodeWorld::config(bool background) {
    StorageConfig c;
    c.data = data_folder;
    if (!made_) {
        for (const auto& place : disks_) c.stores.push_back(place.folder);
    }
    c.policy = *cluster::Policy::parse(options_.policy);
    c.segments.segment_bytes = 2 << 20;
    c.segments.log_reserve_bytes = 16 << 20;
    c.metadata.cache = {.writer_bytes = 512 << 10, .reader_bytes = 128 << 10};
    c.metadata.log.segment_bytes = 64 << 10;
    c.metadata.log_bytes_max = 64 << 10;
    c.metadata.wal_pages_max = 100;
    c.metadata.copy_pages = 16;
    c.metadata.follower_delay = 50ms;
    c.metadata.follower_commands = 100;
    c.volume.nodes_max = 12;
    c.volume.data.dirty_bytes_max = 2 << 20;
    c.volume.data.cache_bytes_max = 512 << 10;
    c.volume.data.seal_age = 20s;
    c.repair.missing_delay = 30s;
    c.repair.retry_delay = 30s;
    c.orphans.interval = 20s;
    c.orphans.age = 60s;
    c.background = background;
    return c;
}

std::unique_ptr<NodeWorld::Request> NodeWorld::request() {
    auto request = std::make_unique<Request>();
    request->ctx.clock = &world_.clock();
    request->ctx.log = &log_;
    request->ctx.caller = &superuser_;
    request->ctx.commit_point = &request->commit_point;
    return request;
}

Result<> NodeWorld::open() {
    powered_ = true;
    auto made = request();
    auto opened = world_.run(Storage::open(
                                 made->ctx, world_.runtime(),
                                 [this](const std::string& folder, bool create) { return open_disk(folder, create); }, config(true)),
                             call_max);
    if (!opened) return fail(std::move(opened.error()));
    storage_ = std::move(*opened);
    made_ = true;
    return {};
}

Result<> NodeWorld::close() {
    auto made = request();
    auto closed = world_.run(storage_->close(made->ctx), call_max);
    storage_.reset();
    return closed;
}

void NodeWorld::cut_power() {
    world_.trace("power cut");
    calls_left_ = 0;
    powered_ = false;
    data_disk_->power_cut();
    for (auto& place : disks_) place.disk->power_cut();
}

void NodeWorld::count_call() {
    if (calls_left_ > 0 && --calls_left_ == 0) cut_power();
}

void NodeWorld::abandon() {
    if (storage_ == nullptr) return;
    if (powered_) cut_power();
    // Every handle died with the power: closing changes no byte any more, it only lets what waits come to its end.
    auto made = request();
    (void)world_.run(storage_->close(made->ctx), call_max);
    storage_.reset();
}

Result<CheckReport> NodeWorld::check() {
    powered_ = true;
    auto made = request();
    TRY(storage, world_.run(Storage::open(
                                made->ctx, world_.runtime(),
                                [this](const std::string& folder, bool create) { return open_disk(folder, create); }, config(false)),
                            call_max));
    auto report = world_.run(check_storage(made->ctx, *storage), call_max);
    CHECK_OK(world_.run(storage->close(made->ctx), call_max));
    return report;
}

Result<int> NodeWorld::replace(int lost) {
    add_disk();
    const int fresh = store_count() - 1;
    auto made = request();
    CHECK_OK(world_.run(storage_->replace_store(made->ctx, folder(lost), folder(fresh)), call_max));
    return fresh;
}

void NodeWorld::problem(std::string text) {
    world_.trace(text);
    if (problems_.size() < 20) problems_.push_back(std::move(text));
}

}  // namespace strata::sim

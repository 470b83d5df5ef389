// SPDX-License-Identifier: Apache-2.0
// Starting and stopping the appliance as stratad's main does.
#include "tests/stress/served_volume.h"

#include <cstdlib>
#include <filesystem>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "server/control_socket.h"
#include "tests/bench/failure.h"
#include "tests/stress/failing_disk.h"

namespace strata::stress {

namespace {

constexpr int io_threads = 4;
constexpr std::uint32_t owner_id = 1000;

template <class T>
std::future<T> spawn(SystemRuntime& system, Task<T> task) {
    return boost::asio::co_spawn(system.io().executor(0), std::move(task), boost::asio::use_future);
}

// What takes minutes or hours in a server's life happens many times while a test runs, and nothing is small enough to stay in memory.
StorageConfig hurried() {
    StorageConfig storage;
    storage.segments.segment_bytes = 8 << 20;
    storage.segments.open_segments_max = 8;
    storage.volume.nodes_max = 1024;
    storage.volume.directory_entries_max = 16;
    storage.volume.data.dirty_bytes_max = 4 << 20;
    storage.volume.data.cache_bytes_max = 2 << 20;
    storage.segments.upkeep_interval = 200ms;
    storage.segments.compact_below_percent = 80;
    storage.volume.data.dirty_age_max = 100ms;
    storage.volume.data.seal_age = 500ms;
    storage.metadata.follower_delay = 20ms;
    storage.metadata.follower_commands = 200;
    storage.metadata.wal_pages_max = 500;
    storage.repair.poll_interval = 200ms;
    storage.repair.missing_delay = 1s;
    storage.repair.retry_delay = 1s;
    storage.orphans.interval = 500ms;
    storage.orphans.age = 1s;
    return storage;
}

std::string text_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace

ServedVolume::ServedVolume(ServedVolumeConfig config) : config_(config) {
    std::string pattern = testing::TempDir() + "strata-stress-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) bench::fail("no temporary folder");
    folder_ = pattern;
    for (auto& failing : failing_) failing = std::make_shared<std::atomic<bool>>(false);
    start();
}

ServedVolume::~ServedVolume() {
    if (appliance_) {
        if (auto stopped = stop(); !stopped) ADD_FAILURE() << "the server did not end: " << to_string(stopped.error());
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void ServedVolume::start() {
    Config config;
    config.data = folder_ + "/data";
    // Later the node file knows them, and who has taken whose place.
    for (int i = 0; i < store_count && !made_; ++i) config.stores.push_back(store_folder(i));
    config.policy = *cluster::Policy::parse("ec-4+2");
    config.shares.push_back(*vfs::ShareSpec::parse("files:owner=1000:1000,mode=0755"));
    config.nfs = {.v6 = false, .address = {127, 0, 0, 1}, .port = 0};
    config.nfs_lease_seconds = config_.lease_seconds;
    config.nfs_grace_seconds = config_.grace_seconds;
    config.nfs_connections_max = config_.connections_max;
    config.memory_mib = 256;
    const auto open_disk = [this](const std::string& folder, bool create) -> Result<std::unique_ptr<Disk>> {
        TRY(disk, open_exclusive_disk(folder, create));
        for (int i = 0; i < store_count; ++i) {
            if (folder != store_folder(i)) continue;
            return std::make_unique<FailingDisk>(std::move(disk), failing_[static_cast<std::size_t>(i)]);
        }
        return std::move(disk);
    };
    sink_ = std::make_unique<StreamLogSink>(STDERR_FILENO, false);
    system_ = std::make_unique<SystemRuntime>(io_threads, *sink_);
    appliance_ = std::make_unique<Appliance>(*system_, std::move(config), Log(*sink_, "stratad"), open_disk, hurried());
    if (auto started = spawn(*system_, appliance_->start()).get(); !started) {
        bench::fail("the server does not start: " + to_string(started.error()));
    }
    made_ = true;
    auto status = ask({{"command", "status"}});
    if (!status) bench::fail("the server gives no status: " + to_string(status.error()));
    target_.address = bench::parse_address(text_at(status->at("nfs").as_object(), "listen"));
    target_.credential = {.uid = owner_id, .gid = owner_id};
    target_.path = "/files";
    target_.minor_version = 2;
}

Result<boost::json::object> ServedVolume::ask(const boost::json::object& request, Duration limit) const {
    return ask_control_socket(folder_ + "/data/control.sock", request, limit);
}

Result<> ServedVolume::stop() {
    auto stopped = spawn(*system_, appliance_->stop(stop_limit - 1s));
    if (stopped.wait_for(std::chrono::nanoseconds(stop_limit)) != std::future_status::ready) {
        // What still runs still uses all of it, and nothing after this could be believed.
        std::fprintf(stderr, "the server does not end in its time: %s\n", appliance_->stopping());
        std::fflush(nullptr);
        std::_Exit(EXIT_FAILURE);
    }
    auto outcome = stopped.get();
    if (!outcome) {
        std::fprintf(stderr, "no orderly end: %s\n", to_string(outcome.error()).c_str());
        std::fflush(nullptr);
        if (outcome.error() == Errc::timed_out) std::_Exit(EXIT_FAILURE);
    }
    appliance_.reset();
    system_.reset();
    sink_.reset();
    return outcome;
}

}  // namespace strata::stress

// SPDX-License-Identifier: Apache-2.0
// Appliance: start and stop order.
#include "server/appliance.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "nfs/server.h"
#include "server/mount_check.h"

namespace strata {

namespace {

constexpr std::uint64_t mebi = 1 << 20;

// How the memory that we may use is divided. The rest is for metadata, connections and the system.
struct MemoryPlan {
    std::uint64_t network, dirty, blocks, nodes;
};

MemoryPlan plan_memory(std::uint64_t configured_mib) {
    std::uint64_t total = configured_mib * mebi;
    if (total == 0) {
        const auto machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        total = machine / 4;
    }
    constexpr std::uint64_t bytes_per_node = 1024;
    return {std::max(total / 8, 64 * mebi), std::max(total / 4, 64 * mebi), std::max(total / 4, 32 * mebi),
            std::max<std::uint64_t>(total / 4 / bytes_per_node, 20'000)};
}

// Descriptors: a client takes one, a store those of its open segments, its log and its databases. Clients get what is left.
constexpr std::uint64_t descriptors_of_process = 64, descriptors_of_store = 32, connections_min = 16;

std::uint64_t descriptor_limit() {
    rlimit files{};
    return ::getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 1024;
}

std::size_t open_segments_for(std::uint64_t descriptors) { return std::clamp<std::uint64_t>(descriptors / 64, 8, 256); }

}  // namespace

Appliance::Appliance(SystemRuntime& system, Config config, Log log, OpenDisk open_disk, std::optional<StorageConfig> storage)
    : system_(system),
      config_(std::move(config)),
      log_(std::move(log)),
      open_disk_(std::move(open_disk)),
      storage_config_(std::move(storage)) {}

Appliance::~Appliance() = default;

Context Appliance::internal() const {
    Context ctx;
    ctx.clock = system_.runtime().clock;
    ctx.log = const_cast<Log*>(&log_);
    ctx.caller = &superuser_;
    return ctx;
}

StorageConfig Appliance::fitting_storage() const {
    const MemoryPlan memory = plan_memory(config_.memory_mib);
    StorageConfig storage;
    storage.segments.segment_bytes = config_.segment_mib * mebi;
    storage.segments.open_segments_max = open_segments_for(descriptor_limit());
    storage.volume.nodes_max = memory.nodes;
    storage.volume.data.dirty_bytes_max = memory.dirty;
    storage.volume.data.cache_bytes_max = memory.blocks;
    return storage;
}

Task<Result<>> Appliance::start() {
    const Context ctx = internal();
    const MemoryPlan memory = plan_memory(config_.memory_mib);
    // Dirty data and cached blocks keep the buffers that they were received in, within their own bounds: those must not be missing for
    // what is being received, least of all for the COMMIT that would free them.
    buffers_ = std::make_unique<BufferPool>(memory.network + memory.dirty + memory.blocks);

    CO_CHECK_OK(refuse_unmounted(config_.data, NodeFile::path));
    StorageConfig storage = storage_config_ ? *storage_config_ : fitting_storage();
    storage.data = config_.data;
    storage.stores = config_.stores;
    storage.policy = config_.policy;
    CO_TRY(opened, co_await Storage::open(ctx, system_.runtime(), open_disk_, std::move(storage)));
    storage_ = std::move(opened);

    CommitPoint commit_point;
    Context request = ctx;
    request.commit_point = &commit_point;
    const Owner owner{::geteuid(), ::getegid()};
    CO_TRY(shares, co_await ensure_shares(request, storage_->fs(), storage_->records(), config_.shares, owner));
    shares_.replace(shares);
    CO_CHECK_OK(co_await open_nfs(ctx));

    auto control = open_control_socket(system_.io().executor(0), *ctx.clock, config_.data + "/control.sock", log_.child("control"),
                                       [this](const boost::json::object& command) { return answer(command); });
    if (!control) co_return fail(std::move(control.error()));
    control_ = std::move(*control);

    tasks_.spawn(system_.io().executor(0), [this] { return reap_orphans_after_grace(); });

    CO_TRY(hints, co_await mount_hints(request, storage_->fs(), shares, config_.nfs, default_address()));
    banner_ = fmt::format("ready: nfs {}, policy {}\n{}", config_.nfs.to_string(), storage_->policy().to_string(), hints);
    if (storage_->policy().full.m == 0) banner_ += "hint: policy single keeps one copy: damage is found, but a lost disk is lost\n";
    co_return Result<>{};
}

Task<Result<>> Appliance::open_nfs(const Context&) {
    nfs::Config config;
    config.lease = std::chrono::seconds(config_.nfs_lease_seconds);
    config.grace = std::chrono::seconds(config_.grace_seconds());
    const std::uint64_t stores = storage_->stores().members().size();
    const std::uint64_t kept = descriptors_of_process + stores * (descriptors_of_store + open_segments_for(descriptor_limit()));
    const std::uint64_t left = std::max(descriptor_limit(), kept + connections_min) - kept;
    config.connections_max = std::min<std::uint64_t>(config_.nfs_connections_max, left);
    log_.info("limits", {{"open_files", descriptor_limit()}, {"nfs_connections", config.connections_max}});
    nfs::Parts parts;
    parts.fs = &storage_->fs();
    parts.shares = &shares_;
    parts.files = &files_;
    parts.records = &storage_->records();
    parts.buffers = buffers_.get();
    nfs_ = std::make_unique<nfs::Server>(std::move(config), system_.runtime(), parts);
    CO_CHECK_OK(co_await nfs_->start());
    CO_TRY(listener, system_.io().listen(config_.nfs, [this](std::unique_ptr<ByteStream> stream) { nfs_->serve(std::move(stream)); }));
    config_.nfs = listener->local();  // port 0 was any free one
    nfs_->own(std::move(listener));
    co_return Result<>{};
}

// A file that was open and had lost its last name when the server went down belongs to whoever reclaims it within grace.
Task<> Appliance::reap_orphans_after_grace() {
    const Context ctx = internal();
    co_await ctx.clock->sleep_for(std::chrono::seconds(config_.grace_seconds() + config_.nfs_lease_seconds));
    if (tasks_.stopping()) co_return;
    if (auto reaped = co_await storage_->volume().reap_orphans(ctx); !reaped) {
        log_.warning("removed files could not be collected", {{"error", to_string(reaped.error())}});
    }
}

Task<Result<boost::json::object>> Appliance::answer(const boost::json::object& request) {
    const Context ctx = internal();
    const auto text = [&](const char* key) -> std::string {
        const auto* value = request.if_contains(key);
        return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
    };
    const std::string command = text("command");
    if (command == "status") {
        auto status = co_await storage_->status(ctx);
        status["nfs"] = boost::json::object{{"listen", config_.nfs.to_string()}, {"connections", nfs_->connections()}};
        co_return status;
    }
    if (command == "scrub") co_return co_await storage_->scrub(ctx);
    if (command == "metrics") co_return boost::json::object{{"text", system_.metrics().text()}};
    if (command == "disk replace") {
        CO_CHECK_OK(co_await storage_->replace_store(ctx, text("old"), text("new")));
        co_return boost::json::object{{"replaced", true}};
    }
    co_return fail(Errc::invalid_argument, fmt::format("unknown command \"{}\"", command));
}

Task<Error> Appliance::failed() {
    auto waited = co_await storage_->meta().durable().wait(UINT64_MAX, *system_.runtime().clock, Instant::max());
    co_return waited ? Error(Errc::internal) : waited.error();
}

Task<Result<>> Appliance::stop(Duration limit) {
    Context ctx = internal();
    ctx.deadline = ctx.clock->now() + limit;
    // What does not end in its time is cut off; the data are flushed and closed all the same.
    stopping_ = "the control socket";
    if (storage_) storage_->refuse_waits();
    Result<> refused;
    if (control_) refused = co_await control_->stop(ctx.clock->now() + limit / 6);
    stopping_ = "background work";
    tasks_.stop();
    (void)co_await tasks_.wait(*ctx.clock, ctx.clock->now() + limit / 6);
    stopping_ = "NFS requests under way";
    Result<> stopped;
    if (nfs_) stopped = co_await nfs_->stop(ctx.clock->now() + limit / 3);
    stopping_ = "writing to the stores and closing them";
    Result<> closed;
    if (storage_) closed = co_await storage_->close(ctx);
    // What still runs still uses all this: the process is to exit without destroying it.
    if (!refused) co_return fail(refused.error().code, "a command of the control socket is still under way");
    if (!stopped) co_return stopped;
    if (tasks_.size() != 0) co_return fail(Errc::timed_out, "tasks have not ended");
    control_.reset();
    nfs_.reset();
    storage_.reset();
    co_return closed;
}

}  // namespace strata

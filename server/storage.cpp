// SPDX-License-Identifier: Apache-2.0
// Storage: order of opening: data folder, stores, metadata, numbers of the stores, policy, volume, background work.
#include "server/storage.h"

#include <algorithm>

#include <fmt/format.h>

#include "cluster/chunk/store_identity.h"
#include "cluster/placement/placeable_space.h"
#include "server/config.h"

namespace strata {

namespace {

using cluster::StoreIndex;
using cluster::StoreState;

constexpr std::string_view policy_table = "policy";  // key: "default"

// A volume that begins with fewer stores could take nothing, and its policy stays.
Result<> refuse_too_few(const cluster::Policy& policy, std::size_t stores) {
    const auto needed = static_cast<std::size_t>(policy.full.shards());
    if (stores >= needed) return {};
    return fail(Errc::config, fmt::format("policy {} needs {} stores, and {} given: name the others with --store, each on a disk of its "
                                          "own, or take another --policy (without one it would be {})",
                                          policy.to_string(), needed, stores == 1 ? "1 is" : fmt::format("{} are", stores),
                                          cluster::Policy::default_for(static_cast<int>(stores)).to_string()));
}

}  // namespace

Storage::Storage(const Runtime& runtime, OpenDisk open_disk, StorageConfig config)
    : runtime_(runtime), log_(runtime.log("storage")), open_disk_(std::move(open_disk)), config_(std::move(config)) {}

Storage::~Storage() = default;

Task<Result<std::unique_ptr<Storage>>> Storage::open(const Context& ctx, const Runtime& runtime, OpenDisk open_disk, StorageConfig config) {
    std::unique_ptr<Storage> storage(new Storage(runtime, std::move(open_disk), std::move(config)));
    auto opened = co_await storage->open_all(ctx);
    if (!opened) {
        (void)co_await storage->close(ctx);
        co_return fail(std::move(opened.error()));
    }
    co_return storage;
}

// Those that are named; at the first start of all, one of our own.
std::vector<std::string> Storage::folders() const {
    if (!config_.stores.empty() || !node_.stores.empty()) return config_.stores;
    return {config_.data + "/stores/0"};
}

Task<Result<>> Storage::open_all(const Context& ctx) {
    blocking_ = runtime_.make_pool("storage", 1);
    CO_CHECK_OK(co_await load_node_file(ctx));
    for (const auto& folder : folders()) CO_CHECK_OK(check_apart(folder));
    if (!config_.background) {
        auto known = co_await blocking_->run([this] { return refuse_new_stores(); });
        if (!known) co_return fail(std::move(known.error()));
    }
    CO_TRY(opened, co_await open_stores(ctx, runtime_, open_disk_, *blocking_, node_, folders(), config_.segments));
    opened_ = std::move(opened);
    for (const auto& store : opened_) {
        if (store.why) log_.warning("a store is not there", {{"folder", store.folder}, {"why", store.why->detail}});
    }
    policy_ = config_.policy.value_or(cluster::Policy::default_for(static_cast<int>(opened_.size())));
    if (!node_.policy.empty()) {
        CO_TRY(remembered, cluster::Policy::parse(node_.policy));
        policy_ = remembered;
    }
    CO_CHECK_OK(co_await open_meta(ctx));
    records_ = std::make_unique<cluster::MetaRecords>(runtime_, *meta_);
    CO_CHECK_OK(co_await settle_policy(ctx));
    CO_CHECK_OK(co_await number_stores(ctx));
    node_.policy = policy_.to_string();
    auto saved = co_await blocking_->run([&] { return node_.save(*data_); });
    if (!saved) co_return fail(std::move(saved.error()));
    open_volume();
    CO_CHECK_OK(co_await fs_->make_root(ctx));
    co_return Result<>{};
}

// The cluster's UUID comes from the node file; without one, from the stores that are named, so that a lost data folder costs nothing.
Task<Result<>> Storage::load_node_file(const Context&) {
    co_return co_await blocking_->run([this]() -> Result<> {
        auto disk = open_disk_(config_.data, true);
        if (!disk) {
            const std::string_view what = disk.error() == Errc::busy ? "another stratad serves this data folder" : "the data folder";
            return fail(disk.error().code, fmt::format("{}: {}", what, disk.error().detail));
        }
        data_ = std::move(*disk);
        TRY(known, NodeFile::load(*data_));
        if (known) {
            node_ = std::move(*known);
            return {};
        }
        TRY(found, cluster_of_stores(open_disk_, folders()));
        if (!found && config_.policy) CHECK_OK(refuse_too_few(*config_.policy, folders().size()));
        node_.cluster = found ? *found : cluster::random_uuid(*runtime_.random);
        return {};
    });
}

// A store inside another, or around the data folder: losing the outer one, or giving it to somebody, would take the inner one along.
Result<> Storage::check_apart(const std::string& folder) const {
    if (is_inside(config_.data, folder)) {
        return fail(Errc::config, fmt::format("the data folder {} lies inside the store {}", config_.data, folder));
    }
    for (const auto& other : node_.stores) {
        if (is_inside(folder, other.folder)) return fail(Errc::config, fmt::format("{} lies inside the store {}", folder, other.folder));
        if (is_inside(other.folder, folder)) return fail(Errc::config, fmt::format("the store {} lies inside {}", other.folder, folder));
    }
    return {};
}

// Who only looks makes nothing. Blocks.
Result<> Storage::refuse_new_stores() const {
    for (const auto& folder : config_.stores) {
        if (std::ranges::find(node_.stores, folder, &NodeFile::Store::folder) != node_.stores.end()) continue;
        const auto disk = open_disk_(folder, false);
        if (!disk) return fail(disk.error().code, fmt::format("store {}: {}", folder, disk.error().detail));
        const auto identity = cluster::read_identity(**disk);
        if (!identity) return fail(Errc::config, fmt::format("store {}: holds no store, and none is made now", folder));
    }
    return {};
}

Task<Result<>> Storage::settle_policy(const Context& ctx) {
    auto stored = co_await records_->get(ctx, policy_table, "default");
    if (!stored && !(stored.error() == Errc::not_found)) co_return fail(std::move(stored.error()));
    if (!stored) {
        CO_CHECK_OK(refuse_too_few(policy_, opened_.size()));
        co_return co_await records_->put(ctx, policy_table, "default", policy_.to_string());
    }
    if (config_.policy && config_.policy->to_string() != *stored) {
        co_return fail(Errc::config, fmt::format("the volume's policy is {}, but the command line or file says {}: leave the policy out",
                                                 *stored, config_.policy->to_string()));
    }
    CO_TRY(policy, cluster::Policy::parse(*stored));
    policy_ = policy;
    co_return Result<>{};
}

// Each store has a number that chunk records carry; it is never given to another store.
Task<Result<>> Storage::number_stores(const Context& ctx) {
    CO_TRY(rows, co_await records_->scan(ctx, store_records));
    std::map<std::string, StoreIndex> numbers;
    StoreIndex next = 0;
    for (const auto& [uuid, value] : rows) {
        const bool gone = value.starts_with(retired_prefix);
        const auto number = static_cast<StoreIndex>(std::stoul(gone ? value.substr(retired_prefix.size()) : value));
        next = std::max<StoreIndex>(next, static_cast<StoreIndex>(number + 1));
        if (!gone) numbers[uuid] = number;
    }
    std::vector<cluster::StoreSet::Member> members;
    for (const auto& store : opened_) {
        const std::string uuid = cluster::to_string(store.identity);
        auto [it, added] = numbers.try_emplace(uuid, next);
        if (added) {
            CO_CHECK_OK(co_await records_->put(ctx, store_records, uuid, std::to_string(next)));
            ++next;
        }
        members.push_back({it->second, store.identity, store.folder, store.store, store.state});
    }
    // A store that metadata know and that no folder holds is missing all the same.
    for (const auto& [uuid, number] : numbers) {
        if (std::ranges::any_of(members, [&](const auto& m) { return m.index == number; })) continue;
        CO_TRY(identity, cluster::parse_uuid(uuid));
        members.push_back({number, identity, "(folder unknown)", nullptr, StoreState::missing});
    }
    stores_ = std::make_unique<cluster::LocalStoreSet>(*runtime_.random, std::move(members));
    co_return Result<>{};
}

std::vector<cluster::StoreDisk> Storage::metadata_places() const {
    std::vector<cluster::StoreDisk> places;
    for (const auto& store : opened_) {
        if (store.store != nullptr) places.push_back({store.identity, store.disk, store.upkeep_reserve});
    }
    return places;
}

Task<Result<>> Storage::open_meta(const Context&) {
    auto places = metadata_places();
    bool unused = node_.policy.empty();  // the node file is written when the volume is there
    for (const auto& store : opened_) {
        if (store.store != nullptr) unused = unused && store.store->space().live_bytes == 0;
    }
    cluster::MetaStoreConfig config = config_.metadata;
    config.copies = policy_.full.m + 1;
    // Where data are, metadata are too; making new ones over them would lose the volume. A first start that did not live to make the
    // volume left stores without either.
    config.create = unused && places.size() == opened_.size();
    config.rebuild = config_.background;
    CO_TRY(meta, co_await cluster::open_meta_store(runtime_, std::move(places), config));
    meta_ = std::move(meta);
    co_return Result<>{};
}

void Storage::open_volume() {
    auto moved = [this](const cluster::Chunk& chunk) {
        if (volume_) volume_->data().chunk_moved(chunk);
    };
    catalog_ = std::make_unique<cluster::VolumeCatalog>(runtime_, *meta_, moved);
    repairer_ = std::make_unique<cluster::Repairer>(runtime_, config_.repair);
    stripes_ = std::make_unique<cluster::StripeIo>(runtime_, *stores_, *repairer_);
    scrubber_ = std::make_unique<cluster::Scrubber>(runtime_, config_.scrub, *stripes_, *stores_, *catalog_, *repairer_);
    orphans_ = std::make_unique<cluster::OrphanCollector>(runtime_, config_.orphans, *stores_, *catalog_);
    cluster::VolumeParts parts;
    parts.runtime = &runtime_;
    parts.meta = meta_.get();
    parts.stripes = stripes_.get();
    parts.policy = [this](vfs::DomainId) { return policy_; };
    parts.space = [this](vfs::DomainId domain) { return space(domain); };
    volume_ = std::make_unique<cluster::Volume>(std::move(parts), config_.volume);
    fs_ = std::make_unique<cluster::ClusterFileSystem>(*volume_);
    if (!config_.background) return;
    volume_->data().start();
    repairer_->start(*stripes_, *stores_, *catalog_);
    scrubber_->start();
    orphans_->start();
}

Task<Result<>> Storage::close(const Context& ctx) {
    Result<> outcome;
    if (volume_ && config_.background) {
        outcome = co_await volume_->data().flush_all(ctx);
        co_await volume_->data().stop();
        co_await orphans_->stop();
        co_await scrubber_->stop();
        co_await repairer_->stop();
    }
    if (meta_ && outcome) {
        outcome = co_await meta_->close(ctx);
    } else if (meta_) {
        co_await meta_->abandon();
    }
    if (stores_) {
        co_await stores_->close();
    } else {
        for (auto& store : opened_) {
            if (store.store) co_await store.store->close();
        }
    }
    fs_.reset();
    volume_.reset();
    orphans_.reset();
    scrubber_.reset();
    stripes_.reset();
    repairer_.reset();
    catalog_.reset();
    records_.reset();
    stores_.reset();
    meta_.reset();
    opened_.clear();
    co_return outcome;
}

// Asked by every write, so an answer is good for a while: 50 ms of writing is within the stores' own reserve.
vfs::Space Storage::space(vfs::DomainId) {
    constexpr Duration good_for = 50ms;
    const Instant now = runtime_.clock->now();
    {
        std::lock_guard lock(space_mutex_);
        if (now < space_until_) return space_;
        space_until_ = now + good_for;
    }
    std::vector<std::uint64_t> free, total;
    for (const auto& member : stores_->members()) {
        if (member.store == nullptr || member.state == StoreState::failed || member.state == StoreState::missing) continue;
        const auto space = member.store->space();
        free.push_back(member.state == StoreState::online ? space.free_bytes : 0);
        total.push_back(space.total_bytes);
    }
    vfs::Space fresh;
    fresh.total_bytes = cluster::placeable_bytes(total, policy_.full);
    if (meta_->has_room())
        fresh.free_bytes = fresh.available_bytes = std::min(fresh.total_bytes, cluster::placeable_bytes(free, policy_.full));
    std::lock_guard lock(space_mutex_);
    space_ = fresh;
    return space_;
}

}  // namespace strata

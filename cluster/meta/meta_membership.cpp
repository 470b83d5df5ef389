// SPDX-License-Identifier: Apache-2.0
// Who holds the metadata: losing replicas, building new ones, and the manifests that say so.
#include <algorithm>
#include <utility>

#include "cluster/meta/sqlite_meta_store.h"
#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr int publish_attempts = 10;  // before others go on without a member that only lacks space or descriptors
constexpr Duration publish_pause = 1s;

constexpr Duration rebuild_pause_min = 30s;  // before a store that failed gets a replica again
constexpr Duration rebuild_pause_max = 1h;

// Manifests on their way to all stores. Outlives the wait for them if a store hangs.
struct ManifestRound {
    explicit ManifestRound(std::size_t stores) : results(stores) {}
    Signal ended;
    std::mutex mutex;
    std::vector<std::optional<Result<>>> results;
    std::uint64_t count = 0;
};

}  // namespace

SqliteMetaStore::Site& SqliteMetaStore::site_of(const StoreDisk& place) {
    for (auto& site : sites_) {
        if (site.place.store == place.store) return site;
    }
    sites_.push_back({.place = place, .pool = runtime_.make_pool("meta-store", 1)});
    return sites_.back();
}

SqliteMetaStore::MemberPtr SqliteMetaStore::attach(StoreDisk place, std::shared_ptr<Replica> replica, LogIndex applied) {
    auto member = std::make_shared<Member>();
    member->room = std::make_shared<Room>(reserve_ + place.reserved_bytes);
    member->place = std::move(place);
    member->replica = std::move(replica);
    member->pool = runtime_.make_pool("meta-apply", 1);
    member->read_pool = runtime_.make_pool("meta-read", config_.readers);
    member->wanted.raise(applied);
    member->applied.raise(applied);
    members_.push_back(member);
    return member;
}

// The one that is furthest.
void SqliteMetaStore::choose_reader() {
    MemberPtr best;
    for (const auto& member : members_) {
        if (member->lost || !member->counts) continue;
        if (best == nullptr || member->applied.value() > best->applied.value()) best = member;
    }
    reader_ = best;
    if (best != nullptr) best->wanted.raise(durable_index_);
}

void SqliteMetaStore::mark_lost(const MemberPtr& member, const Error& why) {
    {
        std::lock_guard lock(mutex_);
        if (member->lost) return;
        member->lost = true;
        member->error = to_string(why);
        auto& site = site_of(member->place);
        if (why == Errc::cancelled)
            site.usable = false;  // taken out
        else if (why != Errc::corrupt)
            postpone(site);  // one bad sector, or a disk that is dying: it is tried again, ever less often
        if (reader_ == member) choose_reader();
    }
    log_.error("a replica of the metadata is lost", {{"store", member->place.disk->description()}, {"error", to_string(why)}});
    member->wanted.fail_all(why);
    member->applied.fail_all(why);
    if (member->replica != nullptr) member->replica->close_readers();
    repair_wanted_.raise(repair_wanted_.value() + 1);
    after_apply();
}

Task<Result<>> SqliteMetaStore::lose(Uuid store, Error why) {
    MemberPtr member;
    {
        std::lock_guard lock(mutex_);
        for (const auto& each : members_) {
            if (each->place.store == store && !each->lost) member = each;
        }
    }
    if (member != nullptr) mark_lost(member, why);
    CO_CHECK_OK(co_await enter_membership());
    auto recorded = co_await record_loss(store);
    leave_membership();
    records_->remove_copy(store);
    if (!recorded) fail_volume(recorded.error());
    co_return recorded;
}

Task<Result<>> SqliteMetaStore::record_loss(Uuid store) {
    ReplicaManifest next;
    {
        std::lock_guard lock(mutex_);
        next = manifest_;
    }
    if (!next.lists(store)) co_return Result<>{};
    std::erase(next.members, store);
    if (next.members.empty()) co_return fail(Errc::io, "the last replica of the metadata failed");
    co_return co_await publish(std::move(next));
}

Task<Result<>> SqliteMetaStore::enter_membership() {
    for (;;) {
        std::uint64_t turn = 0;
        {
            std::lock_guard lock(mutex_);
            if (!membership_busy_) {
                membership_busy_ = true;
                co_return Result<>{};
            }
            turn = membership_turns_ + 1;
        }
        CO_CHECK_OK(co_await membership_free_.wait(turn, *runtime_.clock, Instant::max()));
    }
}

void SqliteMetaStore::leave_membership() {
    std::lock_guard lock(mutex_);
    membership_busy_ = false;
    membership_free_.raise(++membership_turns_);
}

// Returns which of them failed.
Task<std::vector<std::pair<Uuid, Error>>> SqliteMetaStore::write_manifests(const ReplicaManifest& manifest, bool listed) {
    std::vector<std::pair<StoreDisk, std::shared_ptr<Pool>>> sites;
    {
        std::lock_guard lock(mutex_);
        for (const auto& site : sites_) {
            if (manifest.lists(site.place.store) == listed) sites.emplace_back(site.place, site.pool);
        }
    }
    auto round = std::make_shared<ManifestRound>(sites.size());
    for (std::size_t i = 0; i < sites.size(); ++i) {
        sites[i].second->post(Job([round, i, disk = sites[i].first.disk, manifest] {
            auto written = write_manifest(*disk, manifest);
            std::uint64_t count = 0;
            {
                std::lock_guard lock(round->mutex);
                round->results[i] = std::move(written);
                count = ++round->count;
            }
            round->ended.raise(count);
        }));
    }
    (void)co_await round->ended.wait(sites.size(), *runtime_.clock, runtime_.clock->now() + config_.store_timeout);
    std::vector<std::pair<Uuid, Error>> failed;
    std::lock_guard lock(round->mutex);
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const auto store = sites[i].first.store;
        if (!round->results[i])
            failed.emplace_back(store, Error(Errc::timed_out, "the store does not answer"));
        else if (!*round->results[i])
            failed.emplace_back(store, round->results[i]->error());
    }
    co_return failed;
}

// Until all members that are listed have it. Only then the witnesses get it: none is ever newer than what every member has.
Task<Result<>> SqliteMetaStore::publish(ReplicaManifest next) {
    bool changed = true;
    for (int attempt = 1;; ++attempt) {
        if (changed) {  // the same again is no new generation: a member that waits for space must not fall behind by it
            ++next.generation;
            next.nonce = runtime_.random->next();
        }
        const auto failed = co_await write_manifests(next, true);
        if (failed.empty()) {
            (void)co_await write_manifests(next, false);
            std::lock_guard lock(mutex_);
            manifest_ = std::move(next);
            co_return Result<>{};
        }
        {
            std::lock_guard lock(mutex_);
            manifest_.generation = next.generation;  // some store may have it
        }
        if (tasks_.stopping() &&
            std::ranges::any_of(failed, [](const auto& f) { return passes(f.second) || f.second == Errc::timed_out; })) {
            co_return fail(failed.front().second);
        }
        // A full disk, or no descriptor left, is not a store's end, and never that of the last one.
        const bool some_have_it = failed.size() < next.members.size();
        const bool late = attempt >= publish_attempts;
        changed = false;
        for (const auto& [store, why] : failed) {
            if (passes(why) && !(late && some_have_it)) continue;
            std::erase(next.members, store);
            give_up(store, why);
            changed = true;
        }
        if (next.members.empty()) co_return fail(failed.front().second);
        if (changed) continue;
        if (late && !open_) co_return fail(failed.front().second);  // whoever opens is told
        log_.warning("a manifest of the metadata waits", {{"error", to_string(failed.front().second)}});
        co_await runtime_.clock->sleep_for(publish_pause);
    }
}

void SqliteMetaStore::give_up(const Uuid& store, const Error& why) {
    std::vector<MemberPtr> members;
    {
        std::lock_guard lock(mutex_);
        members = members_;
    }
    for (const auto& member : members) {
        if (member->place.store == store) mark_lost(member, why);
    }
    if (records_ != nullptr) records_->remove_copy(store);
}

Task<> SqliteMetaStore::rebuild_lost() {
    std::uint64_t seen = 0;
    for (;;) {
        const auto woken = co_await repair_wanted_.wait(seen + 1, *runtime_.clock, next_rebuild());
        if (tasks_.stopping() || (!woken && woken.error() != Errc::timed_out)) co_return;
        seen = repair_wanted_.value();
        while (!tasks_.stopping() && live_copies() < config_.copies) {
            auto place = place_for_rebuild();
            if (!place) {
                log_.warning("the metadata have fewer copies than wanted, and no store is left for another",
                             {{"copies", live_copies()}, {"wanted", config_.copies}});
                break;
            }
            const auto store = place->store;
            const auto built = co_await build_on(std::move(*place));
            if (built || tasks_.stopping()) continue;
            std::lock_guard lock(mutex_);
            for (auto& site : sites_) {
                if (site.place.store == store) postpone(site);
            }
        }
    }
}

void SqliteMetaStore::postpone(Site& site) const {
    if (runtime_.clock->now() < site.not_before) return;  // told twice of one failure
    site.pause = std::clamp(2 * site.pause, rebuild_pause_min, rebuild_pause_max);
    site.not_before = runtime_.clock->now() + site.pause;
}

// When a store that failed is tried again, if copies are missing.
Instant SqliteMetaStore::next_rebuild() const {
    if (live_copies() >= config_.copies) return Instant::max();
    std::lock_guard lock(mutex_);
    Instant next = Instant::max();
    for (const auto& site : sites_) {
        const bool member = std::ranges::any_of(members_, [&](const auto& m) { return !m->lost && m->place.store == site.place.store; });
        if (site.usable && !member && site.pause > Duration::zero()) next = std::min(next, site.not_before);
    }
    return next;
}

// Rather a store that never failed us; one with a damaged replica is better than none.
std::optional<StoreDisk> SqliteMetaStore::place_for_rebuild() {
    std::lock_guard lock(mutex_);
    std::optional<StoreDisk> second_choice;
    for (const auto& site : sites_) {
        if (!site.usable || runtime_.clock->now() < site.not_before) continue;
        bool is_member = false, was_member = false;
        for (const auto& member : members_) {
            if (member->place.store != site.place.store) continue;
            (member->lost ? was_member : is_member) = true;
        }
        if (is_member) continue;
        if (!was_member) return site.place;
        if (!second_choice) second_choice = site.place;
    }
    return second_choice;
}

Task<Result<>> SqliteMetaStore::build_on(StoreDisk place) {
    MemberPtr member;
    {
        std::lock_guard lock(mutex_);
        for (const auto& each : members_) {
            if (each->place.store == place.store && !each->lost) co_return fail(Errc::exists, "the store has a replica of the metadata");
        }
        if (stopped_ || reader_ == nullptr) co_return fail(Errc::closed);
    }
    CO_CHECK_OK(co_await forget_lost(place.store));
    {
        std::lock_guard lock(mutex_);
        (void)site_of(place);
        member = attach(place, nullptr, base_);  // holds what comes from now on in memory
    }
    log_.info("a replica of the metadata is built", {{"store", place.disk->description()}});
    const auto built = co_await build(member);
    if (built) {
        log_.info("a new replica of the metadata counts", {{"store", place.disk->description()}, {"applied", member->applied.value()}});
        co_return Result<>{};
    }
    log_.error("a replica of the metadata cannot be built", {{"store", place.disk->description()}, {"error", to_string(built.error())}});
    records_->remove_copy(place.store);
    mark_lost(member, built.error());
    co_return built;
}

// A database that is being closed takes its files with it: nothing may be built beside it.
Task<Result<>> SqliteMetaStore::forget_lost(Uuid store) {
    const auto of_store = [&store](const auto& each) { return each.store == store; };
    {
        std::vector<MemberPtr> gone;  // outlives the lock
        std::lock_guard lock(mutex_);
        std::erase_if(members_, [&](const MemberPtr& member) {
            if (member->place.store != store) return false;
            closing_.push_back({store, member->replica, member->pool, member->read_pool});
            gone.push_back(member);
            return true;
        });
    }
    const auto deadline = runtime_.clock->now() + config_.store_timeout;
    for (;;) {
        {
            std::vector<Closing> ended;
            std::lock_guard lock(mutex_);
            if (std::ranges::all_of(closing_, [&](const auto& each) { return !of_store(each) || each.replica.expired(); })) {
                std::ranges::copy_if(closing_, std::back_inserter(ended), of_store);
                std::erase_if(closing_, of_store);
                co_return Result<>{};
            }
        }
        co_await runtime_.clock->sleep_for(5ms);
        if (tasks_.stopping()) co_return fail(Errc::cancelled);
        if (runtime_.clock->now() > deadline) co_return fail(Errc::busy, "the lost database is still in use");
    }
}

Task<Result<std::shared_ptr<Replica>>> SqliteMetaStore::copy_database(MemberPtr source, MemberPtr target) {
    std::unique_ptr<ReplicaCopy> copy;
    CO_TRY(begun, co_await target->pool->run([&] { return ReplicaCopy::begin(*source->replica, target->place, *runtime_.random); }));
    copy = std::move(begun);
    target->applied.raise(copy->applied());
    for (;;) {
        auto step = co_await target->pool->run([&copy, this] { return copy->step(config_.copy_pages); });
        if (!step && step.error() == Errc::corrupt) (void)co_await lose(source->place.store, step.error());
        if (!step) co_return fail(step.error());
        if (*step) break;
        if (tasks_.stopping()) co_return fail(Errc::cancelled);
        // What is being copied holds the source's WAL as it is: it grows until the copy ends.
        if (source->room->bytes <= 0 && source->replica->wal_pages() >= wal_too_long()) {
            co_return fail(Errc::no_space, "copying the database would fill the disk of " + source->place.disk->description());
        }
    }
    co_return co_await target->pool->run([&copy, this]() -> Result<std::shared_ptr<Replica>> {
        TRY(replica, copy->finish(volume_.uuid, config_.cache));
        CHECK_OK(replica->limit_wal(config_.wal_pages_max));
        return replica;
    });
}

Task<Result<>> SqliteMetaStore::build(MemberPtr member) {
    MemberPtr source;
    {
        std::lock_guard lock(mutex_);
        source = reader_;
        for (const auto& each : members_) {
            if (each != reader_ && each->counts && !each->lost) source = each;
        }
    }
    if (source == nullptr) co_return fail(Errc::io, "no replica of the metadata is left to copy");
    CO_TRY(replica, co_await copy_database(source, member));
    // Its log begins after `last`; before it counts, its database must durably have all up to there.
    CO_TRY(last, co_await records_->add_copy(member->place));
    {
        std::lock_guard lock(mutex_);
        member->replica = replica;
        member->checkpointed.store(member->applied.value(), std::memory_order_relaxed);
        member->wanted.raise(member->applied.value());
    }
    if (!tasks_.spawn(runtime_.executor(), [this, member] { return apply_to(member); })) {
        co_return fail(Errc::cancelled);
    }
    CO_CHECK_OK(co_await committed_.wait(last, *runtime_.clock, Instant::max()));
    member->wanted.raise(last);
    CO_CHECK_OK(co_await member->applied.wait(last, *runtime_.clock, Instant::max()));
    for (;;) {
        CO_TRY(whole, co_await checkpoint(member));
        if (whole) break;
        co_await runtime_.clock->sleep_for(10ms);
        if (tasks_.stopping()) co_return fail(Errc::cancelled);
    }
    CO_CHECK_OK(co_await enter_membership());
    ReplicaManifest next;
    bool lost = false;
    {
        std::lock_guard lock(mutex_);
        next = manifest_;
        lost = member->lost;
    }
    next.members.push_back(member->place.store);
    Result<> published = lost ? Result<>(fail(Errc::io, "the store failed")) : co_await publish(std::move(next));
    {
        std::lock_guard lock(mutex_);
        if (published && !manifest_.lists(member->place.store)) published = fail(Errc::io, "the store failed");
        if (published) member->counts = true;
        if (published && reader_ == nullptr) choose_reader();
    }
    leave_membership();
    co_return published;
}

std::vector<ReplicaStatus> SqliteMetaStore::replicas() const {
    std::lock_guard lock(mutex_);
    std::vector<ReplicaStatus> all;
    for (const auto& member : members_) {
        auto state = ReplicaState::follower;
        if (!member->counts) state = ReplicaState::building;
        if (member == reader_) state = ReplicaState::reader;
        if (member->lost) state = ReplicaState::lost;
        all.push_back({member->place.store, member->place.disk->description(), state, member->applied.value(),
                       member->checkpointed.load(std::memory_order_relaxed), member->error});
    }
    return all;
}

int SqliteMetaStore::live_copies() const {
    std::lock_guard lock(mutex_);
    return static_cast<int>(std::ranges::count_if(members_, [](const auto& member) { return member->counts && !member->lost; }));
}

void SqliteMetaStore::add_store(StoreDisk place) {
    {
        std::lock_guard lock(mutex_);
        auto& site = site_of(place);
        site.place = std::move(place);
        site.usable = true;
        site.not_before = {};
    }
    repair_wanted_.raise(repair_wanted_.value() + 1);
}

Task<Result<>> SqliteMetaStore::add_replica(const Context&, StoreDisk place) {
    {
        std::lock_guard lock(mutex_);
        auto& site = site_of(place);
        site.place = place;
        site.usable = true;
        site.not_before = {};
    }
    co_return co_await build_on(std::move(place));
}

Task<Result<>> SqliteMetaStore::drop_replica(const Context&, Uuid store) {
    {
        std::lock_guard lock(mutex_);
        for (auto& site : sites_) {
            if (site.place.store == store) site.usable = false;
        }
        bool found = false;
        int others = 0;
        for (const auto& member : members_) {
            if (member->lost || !member->counts) continue;
            if (member->place.store == store)
                found = true;
            else
                ++others;
        }
        if (!found) co_return fail(Errc::not_found, "the store has no replica of the metadata");
        if (others == 0) co_return fail(Errc::busy, "this is the last replica of the metadata");
    }
    co_return co_await lose(store, Error(Errc::cancelled, "taken out"));
}

}  // namespace strata::cluster

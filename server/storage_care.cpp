// SPDX-License-Identifier: Apache-2.0
// Storage for its administrator: what there is and how it is, replacing a lost store, scrubbing.
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "cluster/chunk/store_identity.h"
#include "server/storage.h"

namespace strata {

namespace {

using cluster::StoreState;

std::string_view name_of(StoreState state) {
    switch (state) {
        case StoreState::online: return "online";
        case StoreState::read_only: return "read-only";
        case StoreState::failed: return "failed";
        case StoreState::missing: return "missing";
    }
    return "unknown";
}

std::string_view name_of(cluster::ReplicaState state) {
    switch (state) {
        case cluster::ReplicaState::reader: return "reader";
        case cluster::ReplicaState::follower: return "follower";
        case cluster::ReplicaState::building: return "building";
        case cluster::ReplicaState::lost: return "lost";
    }
    return "unknown";
}

boost::json::array stores_of(const cluster::LocalStoreSet& stores) {
    boost::json::array list;
    for (const auto& member : stores.members()) {
        boost::json::object store{{"number", member.index}, {"folder", member.folder}, {"state", name_of(member.state)}};
        if (member.store) {
            const auto space = member.store->space();
            store["total_bytes"] = space.total_bytes;
            store["free_bytes"] = space.free_bytes;
            store["live_bytes"] = space.live_bytes;
        }
        list.push_back(std::move(store));
    }
    return list;
}

// Writes through to the disk, under the name that a store being made leaves behind at worst. Blocks.
Result<> try_disk(Disk& disk) {
    const std::string path = std::string(cluster::identity_path) + ".new";
    {
        TRY(file, disk.open(path, OpenMode::create));
        CHECK_OK(file->write_at(0, std::as_bytes(std::span(path))));
        CHECK_OK(file->sync());
    }
    return disk.remove(path);
}

}  // namespace

Task<boost::json::object> Storage::status(const Context&) {
    stores_->refresh();
    boost::json::array replicas;
    for (const auto& replica : meta_->replicas()) {
        replicas.push_back({{"folder", replica.description}, {"state", name_of(replica.state)}, {"applied", replica.applied}});
    }
    const auto repair = repairer_->progress();
    const auto scrub = scrubber_->progress();
    const auto room = space(0);
    int lost = 0;
    for (const auto& member : stores_->members()) {
        lost += member.state == StoreState::failed || member.state == StoreState::missing ? 1 : 0;
    }
    const bool whole = repair.waiting == 0 && !repair.sweeping && repair.unmendable == 0 && lost == 0 &&
                       meta_->live_copies() >= std::min<int>(meta_->wanted_copies(), static_cast<int>(stores_->members().size()));
    co_return boost::json::object{
        {"policy", policy_.to_string()},
        {"tolerates_lost_stores", policy_.full.m},
        {"redundancy", whole ? "whole" : "reduced"},
        {"stores", stores_of(*stores_)},
        {"space", {{"total_bytes", room.total_bytes}, {"free_bytes", room.free_bytes}}},
        {"metadata", {{"copies", meta_->live_copies()}, {"wanted", meta_->wanted_copies()}, {"replicas", std::move(replicas)}}},
        {"repair",
         {{"waiting", repair.waiting},
          {"mended", repair.mended},
          {"mended_bytes", repair.mended_bytes},
          {"unmendable", repair.unmendable},
          {"sweeping", repair.sweeping}}},
        {"scrub",
         {{"passes", scrub.passes}, {"checked", scrub.checked}, {"bad_shards", scrub.bad_shards}, {"inconsistent", scrub.inconsistent}}}};
}

// A disk that died while nobody used it still counts as online: only writing to it tells.
Task<> Storage::probe_store(const std::string& folder) {
    stores_->refresh();
    for (const auto& member : stores_->members()) {
        if (member.folder != folder || (member.state != StoreState::online && member.state != StoreState::read_only)) continue;
        const auto opened = std::ranges::find(opened_, member.identity, &OpenedStore::identity);
        if (opened == opened_.end() || opened->disk == nullptr) continue;
        auto answers = co_await blocking_->run([disk = opened->disk] { return try_disk(*disk); });
        if (!answers && answers.error() == Errc::io) stores_->report_failure(member.index, answers.error());
    }
}

Task<Result<>> Storage::replace_store(const Context& ctx, const std::string& old_folder, const std::string& new_folder) {
    if (old_folder.empty() || new_folder.empty()) co_return fail(Errc::config, "disk replace needs the lost store's folder and a new one");
    // Two at once would give both new stores the same number.
    if (replacing_.exchange(true)) co_return fail(Errc::busy, "another disk replace is under way; try again when it has ended");
    auto done = co_await replace_lost(ctx, old_folder, new_folder);
    replacing_.store(false);
    co_return done;
}

// The new store's number in place of the lost one's, in the settings database.
Task<Result<cluster::StoreIndex>> Storage::record_replacement(const Context& ctx, const cluster::StoreSet::Member& lost,
                                                              const cluster::Uuid& fresh) {
    CO_TRY(rows, co_await records_->scan(ctx, store_records));
    int next = 0;
    for (const auto& [uuid, value] : rows) {
        const auto digits = value.starts_with(retired_prefix) ? value.substr(retired_prefix.size()) : value;
        next = std::max(next, std::stoi(digits) + 1);
    }
    CO_CHECK_OK(co_await records_->put(ctx, store_records, cluster::to_string(fresh), std::to_string(next)));
    CO_CHECK_OK(
        co_await records_->put(ctx, store_records, cluster::to_string(lost.identity), fmt::format("{}{}", retired_prefix, lost.index)));
    co_return static_cast<cluster::StoreIndex>(next);
}

Task<Result<>> Storage::replace_lost(const Context& ctx, const std::string& old_folder, const std::string& new_folder) {
    co_await probe_store(old_folder);
    const auto members = stores_->members();
    const auto lost = std::ranges::find_if(members, [&](const auto& m) {
        return m.folder == old_folder && (m.state == StoreState::missing || m.state == StoreState::failed);
    });
    if (lost == members.end()) {
        const bool known = std::ranges::any_of(members, [&](const auto& m) { return m.folder == old_folder; });
        if (known) co_return fail(Errc::busy, fmt::format("{}: that store is in use; only a lost one can be replaced", old_folder));
        co_return fail(Errc::not_found, fmt::format("{}: no store of this node was there", old_folder));
    }
    CO_CHECK_OK(check_apart(new_folder));
    CO_TRY(made, co_await make_store(ctx, runtime_, open_disk_, *blocking_, node_.cluster, new_folder, config_.segments));
    auto number = co_await record_replacement(ctx, *lost, made.identity);
    if (!number) {
        co_await made.store->close();
        co_return fail(std::move(number.error()));
    }
    if (auto closed = stores_->remove(lost->index)) co_await closed->close();
    (void)stores_->set({*number, made.identity, made.folder, made.store, made.state});
    std::erase_if(node_.stores, [&](const NodeFile::Store& s) { return s.identity == lost->identity || s.folder == new_folder; });
    node_.stores.push_back({made.identity, made.folder});
    // Were it to fail, the store is in use all the same.
    auto saved = co_await blocking_->run([&] { return node_.save(*data_); });
    meta_->add_store({made.identity, made.disk, made.upkeep_reserve});
    // A replica there may not have been written to since the disk failed, so nothing may know yet that it is lost.
    if (auto dropped = co_await meta_->drop_replica(ctx, lost->identity); !dropped && dropped.error() != Errc::not_found) {
        log_.warning("the metadata still count on a store that was replaced", {{"old", old_folder}, {"error", to_string(dropped.error())}});
    }
    std::erase_if(opened_, [&](const OpenedStore& store) { return store.identity == lost->identity; });
    opened_.push_back(std::move(made));
    repairer_->sweep_soon();
    log_.info("a store was replaced", {{"old", old_folder}, {"new", new_folder}, {"number", *number}});
    if (saved) co_return Result<>{};
    co_return fail(saved.error().code, fmt::format("the store is replaced, but the data folder does not remember it ({}): name {} with "
                                                   "--store at the next start",
                                                   to_string(saved.error()), new_folder));
}

void Storage::refuse_waits() {
    if (scrubber_) scrubber_->refuse_waits();
}

Task<Result<boost::json::object>> Storage::scrub(const Context& ctx) {
    scrubber_->run_now();
    CO_CHECK_OK(co_await scrubber_->wait_full_speed(ctx.deadline));
    CO_CHECK_OK(co_await repairer_->wait_idle(ctx.deadline));
    const auto scrub = scrubber_->progress();
    co_return boost::json::object{{"checked", scrub.checked},
                                  {"checked_bytes", scrub.checked_bytes},
                                  {"bad_shards", scrub.bad_shards},
                                  {"inconsistent", scrub.inconsistent},
                                  {"repaired", scrub.repaired}};
}

}  // namespace strata

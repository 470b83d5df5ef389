// SPDX-License-Identifier: Apache-2.0
// Opening a volume: which replicas are the newest, what the log has beyond them, and the new owner's epoch.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "cluster/meta/sqlite_meta_store.h"
#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr std::size_t replay_bytes = 8u << 20;

struct Found {
    StoreDisk place;
    Result<ReplicaManifest> manifest = fail(Errc::not_found);
};

std::string names_of(const std::vector<Uuid>& stores) {
    std::string text;
    for (const auto& store : stores) text += (text.empty() ? "" : ", ") + uuid_text(store);
    return text;
}

}  // namespace

// One opening; the store that it makes is a friend.
class MetaOpening {
public:
    MetaOpening(const Runtime& runtime, std::vector<StoreDisk> places, MetaStoreConfig config)
        : runtime_(runtime),
          places_(std::move(places)),
          config_(config),
          log_(runtime.log("cluster.meta")),
          pool_(runtime.make_pool("meta-open", 1)) {}

    Task<Result<std::unique_ptr<SqliteMetaStore>>> run();

private:
    Task<> fit_sizes();
    Task<> read_manifests();
    Result<> choose_newest();
    Task<Result<>> make_volume();
    Task<> open_databases();
    Task<Result<>> open_log();
    Result<> drop_hopeless();
    Task<Result<>> replay();
    Task<Result<>> replay_batch(const LogBatch& batch);
    Result<> apply_with_room(Replica& replica, LogIndex first, std::span<const Command* const> commands);
    Task<> make_durable();
    Task<Result<>> take_over();
    void fill_volume();

    const Runtime runtime_;
    std::vector<StoreDisk> places_;
    MetaStoreConfig config_;
    const Log log_;
    std::unique_ptr<Pool> pool_;
    std::vector<Found> found_;
    ReplicaManifest newest_;
    std::vector<StoreDisk> usable_;                   // members that hold every durable command
    std::vector<std::shared_ptr<Replica>> replicas_;  // their sound databases
    std::unique_ptr<LocalLog> records_;
    std::optional<Error> no_room_;  // why a database was left aside that is not damaged
    std::set<Uuid> durable_;        // stores whose databases durably have all
    LogIndex last_ = 0;
    std::unique_ptr<SqliteMetaStore> store_;
};

Task<> MetaOpening::fit_sizes() {
    std::uint64_t smallest = UINT64_MAX;
    for (const auto& place : places_) {
        const auto space = co_await pool_->run([&place] { return place.disk->space(); });
        if (space) smallest = std::min(smallest, space->total_bytes);
    }
    config_ = fitted(config_, smallest);
}

Task<> MetaOpening::read_manifests() {
    for (const auto& place : places_) {
        auto manifest = co_await pool_->run([&place] { return read_manifest(*place.disk); });
        if (!manifest && manifest.error() != Errc::not_found) {
            log_.warning("a store's metadata manifest cannot be read",
                         {{"store", place.disk->description()}, {"error", to_string(manifest.error())}});
        }
        found_.push_back({place, std::move(manifest)});
    }
}

Result<> MetaOpening::choose_newest() {
    const ReplicaManifest* newest = nullptr;
    for (const auto& found : found_) {
        if (!found.manifest) {
            if (found.manifest.error() == Errc::bad_version) return fail(found.manifest.error());
            continue;
        }
        if (newest == nullptr || found.manifest->newer_than(*newest)) newest = &*found.manifest;
    }
    STRATA_ASSERT(newest != nullptr);
    newest_ = *newest;
    for (const auto& found : found_) {
        if (!found.manifest) continue;
        if (found.manifest->volume != newest_.volume) {
            return fail(Errc::config,
                        fmt::format("the stores hold metadata of different volumes: {} on {}, {} elsewhere",
                                    uuid_text(found.manifest->volume), found.place.disk->description(), uuid_text(newest_.volume)));
        }
        const bool same_age = !newest_.newer_than(*found.manifest);
        if (same_age && found.manifest->nonce != newest_.nonce) {
            return fail(Errc::config,
                        fmt::format("the stores hold two histories of the metadata (epoch {}, generation {}); {} is on one side: "
                                    "remove the store whose copy shall be given up",
                                    newest_.epoch, newest_.generation, found.place.disk->description()));
        }
        // Only one generation is written at a time, so that a member is at most one behind.
        if (newest_.lists(found.place.store) && found.manifest->generation + 1 >= newest_.generation)
            usable_.push_back(found.place);
        else
            log_.info("a store's metadata are not of the newest generation", {{"store", found.place.disk->description()}});
    }
    if (!usable_.empty()) return {};
    return fail(Errc::store_missing,
                fmt::format("the newest metadata (generation {}) are on the stores {}, none of which is here; opening with "
                            "what is here would lose acknowledged changes",
                            newest_.generation, names_of(newest_.members)));
}

Task<Result<>> MetaOpening::make_volume() {
    for (const auto& found : found_) {
        if (found.manifest.error() != Errc::not_found) co_return fail(found.manifest.error());
    }
    if (!config_.create) co_return fail(Errc::not_found, "none of the stores holds a volume's metadata");
    newest_.number = config_.number;
    runtime_.random->fill(std::as_writable_bytes(std::span(newest_.volume)));
    newest_.nonce = runtime_.random->next();
    newest_.copies = static_cast<std::uint32_t>(config_.copies);
    newest_.generation = 1;
    const auto copies = std::min<std::size_t>(static_cast<std::size_t>(std::max(config_.copies, 1)), places_.size());
    usable_.assign(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(copies));
    for (const auto& place : usable_) {
        newest_.members.push_back(place.store);
        CO_TRY(made, co_await pool_->run([&] { return Replica::create(place, *runtime_.random, newest_.volume, config_.cache); }));
        CO_CHECK_OK(co_await pool_->run([&] { return LogCopy::erase(*place.disk); }));
    }
    for (const auto& place : usable_) CO_CHECK_OK(co_await pool_->run([&] { return write_manifest(*place.disk, newest_); }));
    co_return Result<>{};
}

Task<Result<>> MetaOpening::open_log() {
    CO_TRY(records, co_await LocalLog::open(runtime_, newest_.volume, usable_, config_.log));
    records_ = std::move(records);
    for (const auto& loss : records_->losses()) {
        std::erase_if(usable_, [&loss](const StoreDisk& place) { return place.store == loss.store; });
    }
    last_ = records_->last();
    co_return Result<>{};
}

Task<> MetaOpening::open_databases() {
    for (const auto& place : usable_) {
        auto replica = co_await pool_->run([&] { return Replica::open(place, *runtime_.random, newest_.volume, config_.cache); });
        if (const auto limited = replica ? (*replica)->limit_wal(config_.wal_pages_max) : Result<>(); !limited)
            replica = fail(limited.error());
        if (replica) {
            replicas_.push_back(std::move(*replica));
        } else {
            log_.error("a metadata database cannot be used and will be built anew",
                       {{"store", place.disk->description()}, {"error", to_string(replica.error())}});
            if (passes(replica.error())) no_room_ = replica.error();
        }
    }
}

// A database that the log cannot bring up to date is of no use.
Result<> MetaOpening::drop_hopeless() {
    for (const auto& replica : replicas_) last_ = std::max(last_, replica->state().applied);
    const auto log_last = records_->last(), log_first = records_->first();
    std::erase_if(replicas_, [&](const auto& replica) {
        const auto applied = replica->state().applied;
        if (applied == last_ || (log_last == last_ && applied + 1 >= log_first)) return false;
        log_.error("a metadata database is too old for the log and will be built anew",
                   {{"store", replica->description()}, {"applied", applied}, {"log_first", log_first}, {"log_last", log_last}});
        return true;
    });
    // An orderly close applied all there was. Otherwise commands may have come after those that a database has out of that segment.
    if (const auto lost = records_->lost_from(); lost && !newest_.clean) {
        return fail(Errc::corrupt,
                    fmt::format("a segment of the metadata log, from {} on, is damaged in every copy: going on without it may lose "
                                "acknowledged changes; to do so all the same remove its files (meta/log-{:016x}-*)",
                                *lost, *lost));
    }
    if (!replicas_.empty()) return {};
    if (no_room_) return fail(*no_room_);
    return fail(Errc::corrupt,
                fmt::format("no metadata database is sound enough to be brought up to date: the log has {} to {}", log_first, log_last));
}

Task<Result<>> MetaOpening::replay() {
    for (;;) {
        LogIndex from = last_ + 1;
        for (const auto& replica : replicas_) from = std::min(from, replica->state().applied + 1);
        if (replicas_.empty() && no_room_) co_return fail(*no_room_);
        if (replicas_.empty()) co_return fail(Errc::corrupt, "no metadata database took the commands of the log");
        if (from > last_) break;
        CO_TRY(batches, co_await records_->read(Context{.clock = runtime_.clock}, from, replay_bytes));
        if (batches.empty()) co_return fail(Errc::corrupt, fmt::format("the metadata log ends before {}", from));
        for (const auto& batch : batches) CO_CHECK_OK(co_await replay_batch(batch));
    }
    co_return Result<>{};
}

// Each crash would leave another segment of the log behind if openings did not trim it.
Task<> MetaOpening::make_durable() {
    for (auto& replica : replicas_) {
        const auto whole = co_await pool_->run([&replica] { return replica->checkpoint(); });
        if (whole && *whole) durable_.insert(replica->store());
    }
}

// SQLite's log may have to be moved into the database first: it must not grow by all of ours. Without space in ever smaller pieces: what
// one transaction adds to SQLite's log must fit.
Result<> MetaOpening::apply_with_room(Replica& replica, LogIndex first, std::span<const Command* const> commands) {
    const auto checkpoint = [&replica]() -> Result<> {
        const auto moved = replica.checkpoint();
        if (!moved && !passes(moved.error())) return fail(moved.error());
        return {};
    };
    bool smallest = false;
    for (auto count = commands.size(); !commands.empty();) {
        if (replica.unmoved_pages() >= config_.wal_pages_max) CHECK_OK(checkpoint());
        const auto done = replica.apply(first, commands.first(count));
        if (done) {
            first += count;
            commands = commands.subspan(count);
            count = std::min(2 * count, commands.size());
            smallest = false;
            continue;
        }
        if (!passes(done.error()) || smallest) return done;
        CHECK_OK(checkpoint());
        smallest = count == 1;
        count = std::max<std::size_t>(count / 2, 1);
    }
    return {};
}

Task<Result<>> MetaOpening::replay_batch(const LogBatch& batch) {
    std::vector<Command> commands;
    for (const auto& bytes : batch.commands) {
        auto command = decode_command(std::as_bytes(std::span(bytes)));
        if (!command) {
            log_.error("a command of the metadata log cannot be read",
                       {{"index", batch.first + commands.size()}, {"error", to_string(command.error())}});
            replicas_.clear();
            co_return Result<>{};
        }
        commands.push_back(std::move(*command));
    }
    std::vector<std::shared_ptr<Replica>> sound;
    for (auto& replica : replicas_) {
        const auto applied = replica->state().applied;
        const auto skip = applied + 1 > batch.first ? applied + 1 - batch.first : 0;
        std::vector<const Command*> pointers;
        for (auto i = skip; i < commands.size(); ++i) pointers.push_back(&commands[i]);
        if (!pointers.empty()) {
            const auto done = co_await pool_->run([&] { return apply_with_room(*replica, applied + 1, pointers); });
            if (!done && passes(done.error())) {
                no_room_ = Error(done.error().code,
                                 fmt::format("{}: the disk is full; free some space on it, so that the metadata can be brought up to date",
                                             replica->description()));
            }
            if (!done) {
                log_.error("a metadata database does not take the log and will be built anew",
                           {{"store", replica->description()}, {"error", to_string(done.error())}});
                continue;
            }
        }
        sound.push_back(std::move(replica));
    }
    replicas_ = std::move(sound);
    co_return Result<>{};
}

// The new epoch, in the manifests of all who go on.
Task<Result<>> MetaOpening::take_over() {
    auto& store = *store_;
    for (const auto& place : places_) (void)store.site_of(place);
    for (const auto& replica : replicas_) {
        const auto at = std::ranges::find(usable_, replica->store(), &StoreDisk::store);
        auto member = store.attach(*at, replica, replica->state().applied);
        member->checkpointed.store(durable_.contains(replica->store()) ? replica->state().applied : 0);
        member->counts = true;
        co_await pool_->run([&] { SqliteMetaStore::measure_room(*replica, *member->room); });
    }
    for (const auto& place : usable_) {
        const bool sound = std::ranges::any_of(replicas_, [&place](const auto& replica) { return replica->store() == place.store; });
        if (!sound) records_->remove_copy(place.store);
    }
    auto next = newest_;
    next.epoch = newest_.epoch + 1;
    next.copies = static_cast<std::uint32_t>(config_.copies);
    next.clean = false;
    if (!newest_.clean) next.change_floor = std::max(next.change_floor, std::uint64_t{next.epoch} << 40);
    next.members.clear();
    for (const auto& replica : replicas_) next.members.push_back(replica->store());
    store.manifest_ = newest_;
    store.records_ = std::move(records_);
    CO_CHECK_OK(co_await store.publish(std::move(next)));
    co_return Result<>{};
}

void MetaOpening::fill_volume() {
    auto& volume = store_->volume_;
    const auto& manifest = store_->manifest_;
    const auto& state = replicas_.front()->state();
    volume.uuid = manifest.volume;
    volume.number = manifest.number;
    volume.epoch = manifest.epoch;
    volume.clean = newest_.clean;
    volume.next_inode = state.inode_max + 1;
    volume.next_map = state.map_max + 1;
    volume.change_floor = manifest.change_floor;
    volume.inode_count = state.inode_count;
}

Task<Result<std::unique_ptr<SqliteMetaStore>>> MetaOpening::run() {
    if (places_.empty()) co_return fail(Errc::config, "no store is given for the metadata");
    co_await fit_sizes();
    co_await read_manifests();
    const bool known = std::ranges::any_of(found_, [](const Found& found) { return found.manifest.has_value(); });
    const auto chosen = known ? choose_newest() : co_await make_volume();
    if (!chosen) co_return fail(chosen.error());
    CO_CHECK_OK(co_await open_log());
    co_await open_databases();
    CO_CHECK_OK(drop_hopeless());
    CO_CHECK_OK(co_await replay());
    co_await make_durable();

    store_.reset(new SqliteMetaStore(runtime_, config_));
    CO_CHECK_OK(co_await take_over());
    fill_volume();
    auto* store = store_.get();
    store->records_->start(store->manifest_.epoch, last_, [store](Uuid lost, Error why) { return store->lose(lost, std::move(why)); });
    store->base_ = store->last_ = store->durable_index_ = last_;
    for (auto* signal : {&store->submitted_, &store->durable_, &store->applied_, &store->committed_, &store->room_}) signal->raise(last_);
    co_await store->trim_log();
    log_.info("the metadata are open", {{"volume", uuid_text(store->volume_.uuid)},
                                        {"epoch", store->volume_.epoch},
                                        {"last", last_},
                                        {"copies", store->live_copies()},
                                        {"clean", newest_.clean ? "yes" : "no"}});
    store->start();
    co_return std::move(store_);
}

Task<Result<std::unique_ptr<SqliteMetaStore>>> open_meta_store(const Runtime& runtime, std::vector<StoreDisk> places,
                                                               MetaStoreConfig config) {
    MetaOpening opening(runtime, std::move(places), config);
    co_return co_await opening.run();
}

}  // namespace strata::cluster

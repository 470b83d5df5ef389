// SPDX-License-Identifier: Apache-2.0
// The way of a command: queue, log, databases; back-pressure; checkpoints; the end.
#include "cluster/meta/sqlite_meta_store.h"

#include <algorithm>
#include <utility>

#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr std::size_t encode_inline_max = 64;       // commands; more are encoded off the io threads
constexpr std::size_t gather_below = 256;           // a reader with less to do waits for more
constexpr Duration checkpoint_again_after = 200ms;  // when readers kept one from finishing
constexpr Duration no_space_pause = 1s;

// A read on a pool: who waits for it may go before it ends.
template <class Answer>
struct PendingRead {
    void give(Answer value) {
        {
            std::lock_guard lock(mutex);
            answer.emplace(std::move(value));
        }
        ended.raise(1);
    }
    Answer take() {
        std::lock_guard lock(mutex);
        return std::move(*answer);
    }
    Signal ended;
    std::mutex mutex;
    std::optional<Answer> answer;
};

}  // namespace

SqliteMetaStore::SqliteMetaStore(const Runtime& runtime, MetaStoreConfig config)
    : runtime_(runtime),
      config_(config),
      reserve_(metadata_reserve(config)),
      log_(runtime.log("cluster.meta")),
      context_{.clock = runtime_.clock},
      encode_pool_(runtime_.make_pool("meta-encode", 1)) {}

SqliteMetaStore::~SqliteMetaStore() { STRATA_ASSERT(tasks_.size() == 0); }

void SqliteMetaStore::start() {
    std::vector<MemberPtr> members;
    {
        std::lock_guard lock(mutex_);
        choose_reader();
        members = members_;
        open_ = true;
    }
    tasks_.spawn(runtime_.executor(), [this] { return write_log(); });
    tasks_.spawn(runtime_.executor(), [this] { return hurry_followers(); });
    for (auto& member : members) tasks_.spawn(runtime_.executor(), [this, member] { return apply_to(member); });
    if (config_.rebuild) tasks_.spawn(runtime_.executor(), [this] { return rebuild_lost(); });
    repair_wanted_.raise(1);
}

LogIndex SqliteMetaStore::submit(Command command) {
    auto shared = std::make_shared<const Command>(std::move(command));
    std::lock_guard lock(mutex_);
    commands_.push_back({std::move(shared), 0});
    submitted_.raise(++last_);
    return last_;
}

Task<Result<>> SqliteMetaStore::admit(const Context& ctx) {
    for (;;) {
        LogIndex next = 0;
        {
            std::lock_guard lock(mutex_);
            if (commands_.size() <= config_.unapplied_max && pending_bytes_ <= config_.unapplied_bytes_max) co_return Result<>{};
            next = base_ + 1;
        }
        CO_CHECK_OK(co_await room_.wait(next, *runtime_.clock, ctx.deadline));
    }
}

std::vector<std::shared_ptr<const Command>> SqliteMetaStore::commands_for(const Member& member, LogIndex index, std::size_t limit) {
    std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<const Command>> commands;
    if (member.lost) return commands;  // what it lacks may be gone
    STRATA_ASSERT(index >= base_);
    const auto count = std::min<std::size_t>(durable_index_ - index, limit);
    commands.reserve(count);
    for (std::size_t i = 0; i < count; ++i) commands.push_back(commands_[index - base_ + i].command);
    return commands;
}

Task<Result<LogBatch>> SqliteMetaStore::encode_next(LogIndex first) {
    std::vector<std::shared_ptr<const Command>> commands;
    {
        std::lock_guard lock(mutex_);
        const auto count = std::min<std::size_t>(last_ - first + 1, config_.batch_commands_max);
        for (std::size_t i = 0; i < count; ++i) commands.push_back(commands_[first - base_ - 1 + i].command);
    }
    LogBatch batch{.first = first, .commands = {}};
    auto body = [&batch, &commands, bytes_max = config_.batch_bytes_max] {
        std::size_t bytes = 0;
        for (const auto& command : commands) {
            if (bytes >= bytes_max) break;
            batch.commands.push_back(encode(*command));
            bytes += batch.commands.back().size();
        }
    };
    if (commands.size() <= encode_inline_max)
        body();
    else
        co_await encode_pool_->run(std::ref(body));
    co_return std::move(batch);
}

Task<> SqliteMetaStore::write_log() {
    LogIndex durable = durable_.value();
    while (co_await submitted_.wait(durable + 1, *runtime_.clock, Instant::max())) {
        auto batch = co_await encode_next(durable + 1);
        if (!batch) co_return fail_volume(batch.error());
        std::vector<std::size_t> sizes;
        for (const auto& command : batch->commands) sizes.push_back(command.size());
        const auto last = durable + sizes.size();
        const auto record_size = log_record_size(*batch);
        const auto proposed = co_await records_->propose(context_, std::move(*batch));
        if (!proposed) co_return fail_volume(proposed.error());
        durable = last;
        committed(last, sizes, record_size);
    }
}

void SqliteMetaStore::committed(LogIndex last, const std::vector<std::size_t>& sizes, std::size_t record_size) {
    {
        std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            commands_[durable_index_ - base_ + i].bytes = sizes[i];
            pending_bytes_ += sizes[i];
        }
        log_bytes_ += record_size;
        durable_index_ = last;
        if (log_bytes_ >= config_.log_bytes_max) {
            log_bytes_ = 0;
            checkpoint_target_ = last;
        }
    }
    durable_.raise(last);
    committed_.raise(last);
    wake_appliers();
}

void SqliteMetaStore::wake_appliers() {
    std::lock_guard lock(mutex_);
    for (const auto& member : members_) {
        const auto applied = member->applied.value();
        const bool due = checkpoint_target_ > member->checkpointed.load(std::memory_order_relaxed);
        if (member == reader_ || due || durable_index_ - applied >= config_.follower_commands) member->wanted.raise(durable_index_);
    }
}

// Followers apply at leisure, but not much later: their commands are kept in memory.
Task<> SqliteMetaStore::hurry_followers() {
    LogIndex done = committed_.value();
    while (co_await committed_.wait(done + 1, *runtime_.clock, Instant::max())) {
        co_await runtime_.clock->sleep_for(config_.follower_delay);
        if (tasks_.stopping()) co_return;
        done = committed_.value();
        std::lock_guard lock(mutex_);
        for (const auto& member : members_) member->wanted.raise(done);
    }
}

Task<> SqliteMetaStore::apply_to(MemberPtr member) {
    auto limit = config_.transaction_commands_max;
    while (co_await member->wanted.wait(member->applied.value() + 1, *runtime_.clock, Instant::max())) {
        const auto from = member->applied.value();
        if (config_.reader_delay > Duration::zero() && committed_.value() - from < gather_below) {
            co_await runtime_.clock->sleep_for(config_.reader_delay);
            if (tasks_.stopping()) break;
        }
        const auto commands = commands_for(*member, from, limit);
        if (commands.empty()) break;
        const auto done = co_await member->pool->run([&member, &commands, from] {
            std::vector<const Command*> pointers;
            for (const auto& command : commands) pointers.push_back(command.get());
            auto applied = member->replica->apply(from + 1, pointers);
            measure_room(*member->replica, *member->room);
            return applied;
        });
        if (!done && passes(done.error()) && !tasks_.stopping()) {
            limit = std::max<std::size_t>(commands.size() / 2, 1);  // a transaction must fit into what is left
            if (!co_await make_room(member, done.error())) break;
            continue;
        }
        if (!done) {
            (void)co_await lose(member->place.store, done.error());
            break;
        }
        limit = std::min(2 * limit, config_.transaction_commands_max);
        member->applied.raise(from + commands.size());
        after_apply();
        if (wants_checkpoint(*member)) {
            const auto whole = co_await checkpoint(member, member->replica->wal_pages() >= wal_too_long());
            if (!whole && !passes(whole.error())) {
                (void)co_await lose(member->place.store, whole.error());
                break;
            }
        }
    }
}

// What SQLite's log and ours took may be enough. False: there is nothing to apply to any more.
Task<bool> SqliteMetaStore::make_room(const MemberPtr& member, const Error& why) {
    log_.warning("metadata wait to be applied", {{"store", member->place.disk->description()}, {"error", to_string(why)}});
    const auto moved = co_await checkpoint(member, true);
    if (!moved && !passes(moved.error())) {
        (void)co_await lose(member->place.store, moved.error());
        co_return false;
    }
    co_await runtime_.clock->sleep_for(no_space_pause);
    co_return !tasks_.stopping();
}

// Tells how far the reader is, and forgets what every replica has.
void SqliteMetaStore::after_apply() {
    std::lock_guard lock(mutex_);
    if (reader_ != nullptr) applied_.raise(reader_->applied.value());
    LogIndex all = durable_index_;
    bool any = false;
    for (const auto& member : members_) {
        if (member->lost) continue;
        all = std::min(all, member->applied.value());
        any = true;
    }
    if (!any) return;
    all = std::min(all, applied_.value());
    while (base_ < all) {
        pending_bytes_ -= commands_.front().bytes;
        commands_.pop_front();
        ++base_;
    }
    room_.raise(base_);
}

bool SqliteMetaStore::wants_checkpoint(Member& member) {
    if (runtime_.clock->now() < member.checkpoint_not_before) return false;
    if (member.replica->unmoved_pages() >= config_.wal_pages_max) return true;
    std::lock_guard lock(mutex_);
    return checkpoint_target_ > member.checkpointed.load(std::memory_order_relaxed) && member.applied.value() >= checkpoint_target_;
}

// Without space nothing is lost: all is in SQLite's log and in ours, and it is tried again.
Task<Result<bool>> SqliteMetaStore::checkpoint(MemberPtr member, bool quiet) {
    LogIndex reached = 0;
    auto done = co_await member->pool->run([&member, &reached, quiet] {
        reached = member->replica->state().applied;
        return member->replica->checkpoint(quiet);
    });
    if (!done) {
        if (passes(done.error())) {
            log_.warning("a checkpoint of the metadata waits",
                         {{"store", member->place.disk->description()}, {"error", to_string(done.error())}});
            member->checkpoint_not_before = runtime_.clock->now() + no_space_pause;
        }
        co_return fail(std::move(done.error()));
    }
    const bool whole = *done;
    if (whole) {
        member->checkpointed.store(reached, std::memory_order_relaxed);
        co_await trim_log();
    } else {
        member->checkpoint_not_before = runtime_.clock->now() + checkpoint_again_after;
    }
    co_return whole;
}

Task<> SqliteMetaStore::trim_log() {
    LogIndex all = UINT64_MAX;
    {
        std::lock_guard lock(mutex_);
        for (const auto& member : members_) {
            if (!member->lost && member->replica != nullptr) all = std::min(all, member->checkpointed.load(std::memory_order_relaxed));
        }
    }
    if (all != UINT64_MAX) (void)co_await records_->trim(context_, all);
}

void SqliteMetaStore::fail_volume(const Error& error) {
    if (tasks_.stopping()) return;
    log_.error("the metadata log failed: the volume must be reopened", {{"error", to_string(error)}});
    durable_.fail_all(error);
    room_.fail_all(error);
}

SqliteMetaStore::MemberPtr SqliteMetaStore::reader() const {
    std::lock_guard lock(mutex_);
    return reader_;
}

// False: the store hangs, as nobody got an answer for that long, and another has the metadata. Errors: cancelled.
Task<Result<bool>> SqliteMetaStore::wait_for_answer(Signal& ended, const Replica& replica) {
    for (auto answers = replica.answers();;) {
        const auto done = co_await ended.wait(1, *runtime_.clock, runtime_.clock->now() + config_.store_timeout);
        if (done) co_return true;
        if (done.error() != Errc::timed_out) co_return fail(done.error());
        const auto before = std::exchange(answers, replica.answers());
        if (answers == before && live_copies() > 1) co_return false;
    }
}

template <class Body>
auto SqliteMetaStore::read(const Context& ctx, Body body) -> Task<std::invoke_result_t<Body&, RowReader&>> {
    for (;;) {
        const auto member = reader();
        if (member == nullptr) {
            std::lock_guard lock(mutex_);
            co_return stopped_ ? fail(Errc::closed, "the volume is closed") : fail(Errc::io, "no replica of the metadata can be read");
        }
        // A reader that just took over first catches up with what the last one was seen to have.
        const auto caught_up = co_await member->applied.wait(applied_.value(), *runtime_.clock, ctx.deadline);
        if (!caught_up) {
            if (reader() != member) continue;
            co_return fail(caught_up.error());
        }
        using Answer = std::invoke_result_t<Body&, RowReader&>;
        auto pending = std::make_shared<PendingRead<Answer>>();  // outlives the wait for it if the store hangs
        member->read_pool->post(Job([pending, replica = member->replica, body]() mutable {
            auto answer = replica->read(body);
            replica.reset();
            pending->give(std::move(answer));
        }));
        CO_TRY(answered, co_await wait_for_answer(pending->ended, *member->replica));
        auto result = answered ? pending->take() : Answer(fail(Errc::io, "the store does not answer"));
        if (result || (result.error() != Errc::corrupt && result.error() != Errc::io && result.error() != Errc::closed)) {
            co_return std::move(result);
        }
        if (reader() == member && !co_await lose(member->place.store, result.error())) co_return std::move(result);
    }
}

Task<Result<std::optional<InodeRow>>> SqliteMetaStore::inode(const Context& ctx, InodeNumber number) {
    return read(ctx, [number](RowReader& rows) { return rows.inode(number); });
}

Task<Result<std::vector<InodeRow>>> SqliteMetaStore::inodes(const Context& ctx, std::vector<InodeNumber> numbers) {
    return read(ctx, [numbers = std::move(numbers)](RowReader& rows) { return rows.inodes(numbers); });
}

Task<Result<std::optional<EntryRow>>> SqliteMetaStore::entry(const Context& ctx, InodeNumber parent, std::string name) {
    return read(ctx, [parent, name = std::move(name)](RowReader& rows) { return rows.entry(parent, name); });
}

Task<Result<std::vector<EntryRow>>> SqliteMetaStore::entries(const Context& ctx, InodeNumber parent, std::uint64_t after,
                                                             std::size_t limit) {
    return read(ctx, [=](RowReader& rows) { return rows.entries(parent, after, limit); });
}

Task<Result<MetaStore::Extents>> SqliteMetaStore::extents(const Context& ctx, MapId map, std::uint64_t from, std::uint64_t to,
                                                          std::size_t limit) {
    return read(ctx, [=](RowReader& rows) { return rows.extents(map, from, to, limit); });
}

Task<Result<std::optional<ChunkRow>>> SqliteMetaStore::chunk(const Context& ctx, ChunkId id) {
    return read(ctx, [id](RowReader& rows) { return rows.chunk(id); });
}

Task<Result<std::vector<ChunkRow>>> SqliteMetaStore::chunks(const Context& ctx, ChunkId after, std::size_t limit) {
    return read(ctx, [=](RowReader& rows) { return rows.chunks(after, limit); });
}

Task<Result<std::vector<ExtentRow>>> SqliteMetaStore::extents_of_chunk(const Context& ctx, ChunkId id, std::size_t limit) {
    return read(ctx, [=](RowReader& rows) { return rows.extents_of_chunk(id, limit); });
}

Task<Result<std::vector<XattrRow>>> SqliteMetaStore::xattrs(const Context& ctx, InodeNumber inode) {
    return read(ctx, [inode](RowReader& rows) { return rows.xattrs(inode); });
}

Task<Result<std::vector<RecordRow>>> SqliteMetaStore::records(const Context& ctx, std::string table) {
    return read(ctx, [table = std::move(table)](RowReader& rows) { return rows.records(table); });
}

Task<Result<std::vector<ReapRow>>> SqliteMetaStore::reaps(const Context& ctx, std::size_t limit) {
    return read(ctx, [=](RowReader& rows) { return rows.reaps(limit); });
}

Task<> SqliteMetaStore::stop_tasks() {
    tasks_.stop();
    (void)co_await tasks_.wait(*runtime_.clock, Instant::max());
}

void SqliteMetaStore::release_all() {
    std::vector<MemberPtr> members;
    {
        std::lock_guard lock(mutex_);
        stopped_ = true;
        reader_ = nullptr;
        members.swap(members_);
    }
    for (const auto& member : members) {
        if (member->replica != nullptr) member->replica->close_readers();
        std::lock_guard lock(mutex_);
        closing_.push_back({member->place.store, member->replica, member->pool, member->read_pool});
    }
    const Error closed(Errc::closed, "the volume is closed");
    for (auto* signal : {&submitted_, &durable_, &room_, &repair_wanted_}) signal->fail_all(closed);
}

Task<> SqliteMetaStore::abandon() {
    co_await stop_tasks();
    release_all();
    if (records_ != nullptr) co_await records_->close();
}

// Every replica that lives applies all that is durable.
Task<Result<>> SqliteMetaStore::finish_applying(Instant deadline) {
    std::vector<MemberPtr> members;
    LogIndex last = 0;
    {
        std::lock_guard lock(mutex_);
        members = members_;
        last = durable_index_;
        for (const auto& member : members) member->wanted.raise(last);
    }
    for (const auto& member : members) {
        if (member->replica == nullptr) continue;
        const auto applied = co_await member->applied.wait(last, *runtime_.clock, deadline);
        if (!applied && applied.error() == Errc::timed_out) co_return fail(Errc::timed_out, "metadata are not applied in time");
    }
    co_return Result<>{};
}

// What does not end by the deadline is left to the next opening's replay.
Task<Result<>> SqliteMetaStore::close(const Context& ctx) {
    LogIndex last = 0;
    {
        std::lock_guard lock(mutex_);
        last = last_;
    }
    auto durable = co_await durable_.wait(last, *runtime_.clock, ctx.deadline);
    if (durable) durable = co_await finish_applying(ctx.deadline);
    co_await stop_tasks();
    if (durable) durable = co_await close_in_order();
    release_all();
    co_await records_->close();
    co_return durable;
}

Task<Result<>> SqliteMetaStore::close_in_order() {
    std::vector<MemberPtr> members;
    {
        std::lock_guard lock(mutex_);
        for (const auto& member : members_) {
            if (!member->lost && member->counts) members.push_back(member);
        }
    }
    if (members.empty()) co_return fail(Errc::io, "no replica of the metadata is left");
    for (const auto& member : members) {
        const auto whole = co_await checkpoint(member);
        if (whole && !*whole) co_return fail(Errc::busy, "a metadata database is in use");
        // A disk that died unnoticed keeps nobody from closing in order: the others have it all.
        if (!whole && passes(whole.error())) co_return fail(whole.error());  // the next opening does it
        if (!whole) CO_CHECK_OK(co_await lose(member->place.store, whole.error()));
    }
    CO_CHECK_OK(co_await enter_membership());
    ReplicaManifest next;
    {
        std::lock_guard lock(mutex_);
        next = manifest_;
    }
    next.clean = true;
    auto published = co_await publish(std::move(next));
    leave_membership();
    co_return published;
}

}  // namespace strata::cluster

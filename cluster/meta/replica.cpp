// SPDX-License-Identifier: Apache-2.0
// Opening, checkpointing and copying of one database.
#include "cluster/meta/replica.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "cluster/meta/checkpoint_mark.h"

namespace strata::cluster {

namespace {

Result<> prepare_folder(Disk& disk) {
    CHECK_OK(disk.make_folder("meta"));
    CHECK_OK(disk.sync_folder(""));
    CHECK_OK(remove_database(disk, database_path));
    return prepare_checkpoint_mark(disk, database_path);  // syncs the folder
}

}  // namespace

Replica::Replica(StoreDisk place, Random& random, DatabaseCache cache)
    : place_(std::move(place)), cache_(cache), vfs_(place_.disk, random) {}

Replica::~Replica() = default;

Result<std::shared_ptr<Replica>> Replica::create(StoreDisk place, Random& random, const Uuid& volume, DatabaseCache cache) {
    std::shared_ptr<Replica> replica(new Replica(std::move(place), random, cache));
    CHECK_OK(prepare_folder(*replica->place_.disk));
    TRY(connection, create_database(replica->vfs_, database_path, volume, cache.writer_bytes));
    CHECK_OK(replica->start(std::move(connection)));
    return replica;
}

Result<std::shared_ptr<Replica>> Replica::open(StoreDisk place, Random& random, const Uuid& volume, DatabaseCache cache) {
    std::shared_ptr<Replica> replica(new Replica(std::move(place), random, cache));
    TRY(exists, replica->place_.disk->exists(database_path));
    if (!exists) return fail(Errc::not_found, "no metadata database on " + replica->description());
    CHECK_OK(verify_checkpoint_mark(*replica->place_.disk, database_path));
    TRY(frames, sound_wal_frames(*replica->place_.disk, database_path));
    replica->wal_pages_ = frames;
    TRY(connection, open_database(replica->vfs_, database_path, SqliteConnection::Mode::read_write, cache.writer_bytes));
    CHECK_OK(replica->start(std::move(connection)));
    if (replica->state().uuid != volume) return fail(Errc::corrupt, "the database on " + replica->description() + " is of another volume");
    return replica;
}

Result<> Replica::start(SqliteConnection connection) {
    connection_ = std::make_unique<SqliteConnection>(std::move(connection));
    const auto hook = [](void* replica, sqlite3*, const char*, int pages) {
        static_cast<Replica*>(replica)->note_wal_pages(static_cast<std::uint64_t>(pages));
        return SQLITE_OK;
    };
    sqlite3_wal_hook(connection_->handle(), hook, this);
    CHECK_OK(make_durable());
    TRY(machine, StateMachine::open(*connection_));
    machine_ = std::move(machine);
    TRY(free_pages, connection_->prepare("PRAGMA freelist_count"));
    free_pages_ = std::move(free_pages);
    return {};
}

// On a full disk the WAL stays as it is, and is made durable itself.
Result<> Replica::make_durable() {
    const auto whole = checkpoint();
    if (whole && *whole) return {};
    if (whole) return fail(Errc::busy, "the database on " + description() + " is in use");
    if (whole.error() != Errc::no_space) return fail(whole.error());
    TRY(wal, place_.disk->open(std::string(database_path) + "-wal", OpenMode::read_write));
    return wal->sync();
}

Result<std::uint64_t> Replica::free_bytes() {
    TRY(space, place_.disk->space());
    StatementUse pages(free_pages_);
    TRY(found, pages->step());
    return space.free_bytes + (found ? pages->number(0) * database_page_size : 0);
}

Result<> Replica::apply(std::uint64_t first, std::span<const Command* const> commands) {
    auto applied = machine_->apply(first, commands);
    if (!applied && applied.error() == Errc::no_space) (void)cut_wal_to_commits();
    return applied;
}

// What did not fit took the last blocks, which a checkpoint may need to make room. Nobody reads what lies behind the last commit.
Result<> Replica::cut_wal_to_commits() {
    TRY(wal, place_.disk->open(std::string(database_path) + "-wal", OpenMode::read_write));
    TRY(size, wal->size());
    const auto commits = wal_bytes_of(wal_pages());
    return size > commits ? wal->truncate(commits) : Result<>();
}

// After each commit.
void Replica::note_wal_pages(std::uint64_t pages) {
    if (pages <= moved_pages_.load(std::memory_order_relaxed)) moved_pages_.store(0, std::memory_order_relaxed);  // begun anew
    wal_pages_.store(pages, std::memory_order_relaxed);
}

Result<> Replica::limit_wal(std::uint64_t pages) {
    return connection_->run(fmt::format("PRAGMA journal_size_limit={}", pages * database_page_size).c_str());
}

std::shared_lock<std::shared_mutex> Replica::enter_reading() {
    std::lock_guard entrance(entrance_);
    return std::shared_lock(reading_);
}

std::unique_lock<std::shared_mutex> Replica::end_reading() {
    std::lock_guard entrance(entrance_);
    return std::unique_lock(reading_);
}

// The pages that are in the WAL, and those of them that are in the database.
Result<std::pair<std::uint64_t, std::uint64_t>> Replica::move_wal() {
    int in_wal = 0, moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(connection_->handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &in_wal, &moved);
    if (code != SQLITE_OK) return fail(connection_->error(code));
    return std::pair(static_cast<std::uint64_t>(std::max(in_wal, 0)), static_cast<std::uint64_t>(std::max(moved, 0)));
}

// Never TRUNCATE: what a power cut leaves of a WAL that is being emptied may be its beginning alone, and SQLite would put these old pages
// before the database's. A WAL that was moved begins anew with the next commit if all who read then began to after that; once they began
// before it, it grows. A moment without reads, when all is moved, makes sure; what they kept from being moved is little.
Result<bool> Replica::checkpoint(bool quiet) {
    CHECK_OK(mark_checkpoint(*place_.disk, database_path, unmoved_pages() == 0 ? 0 : wal_pages()));
    auto pages = move_wal();
    if (pages && quiet) {
        const auto nobody_reads = end_reading();
        pages = move_wal();
    }
    if (!pages && pages.error() == Errc::busy) return false;
    if (!pages) return fail(std::move(pages.error()));
    wal_pages_.store(pages->first, std::memory_order_relaxed);  // a transaction that was rolled back may have begun it anew
    moved_pages_.store(pages->second, std::memory_order_relaxed);
    return pages->first == pages->second;
}

Result<std::unique_ptr<RowReader>> Replica::take_reader() {
    {
        std::lock_guard lock(mutex_);
        if (closing_) return fail(Errc::closed, "the database on " + description() + " is closed");
        if (!readers_.empty()) {
            auto reader = std::move(readers_.back());
            readers_.pop_back();
            return reader;
        }
    }
    return RowReader::open(vfs_, database_path, cache_.reader_bytes);
}

void Replica::give_back(std::unique_ptr<RowReader> reader) {
    std::lock_guard lock(mutex_);
    if (!closing_) readers_.push_back(std::move(reader));
}

void Replica::close_readers() {
    std::vector<std::unique_ptr<RowReader>> idle;
    std::lock_guard lock(mutex_);
    closing_ = true;
    idle.swap(readers_);
}

struct ReplicaCopy::Backup {
    explicit Backup(sqlite3_backup* b) : handle(b) {}
    ~Backup() { sqlite3_backup_finish(handle); }
    sqlite3_backup* handle;
};

ReplicaCopy::ReplicaCopy(StoreDisk target, Random& random) : target_(std::move(target)), random_(&random) {}
ReplicaCopy::~ReplicaCopy() = default;

Result<std::unique_ptr<ReplicaCopy>> ReplicaCopy::begin(Replica& source, StoreDisk target, Random& random) {
    std::unique_ptr<ReplicaCopy> copy(new ReplicaCopy(std::move(target), random));
    CHECK_OK(prepare_folder(*copy->target_.disk));
    TRY(reader, RowReader::open(source.vfs_, database_path, source.cache_.reader_bytes));
    copy->reader_ = std::move(reader);
    CHECK_OK(copy->reader_->connection().run("BEGIN"));
    TRY(state, copy->reader_->volume_state());  // from here on the snapshot stands
    copy->applied_ = state.applied;
    copy->vfs_ = std::make_unique<SqliteVfs>(copy->target_.disk, random);
    TRY(writer, SqliteConnection::open(*copy->vfs_, database_path, SqliteConnection::Mode::create, source.cache_.reader_bytes));
    copy->writer_ = std::make_unique<SqliteConnection>(std::move(writer));
    CHECK_OK(copy->writer_->run("PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL;"));
    auto* backup = sqlite3_backup_init(copy->writer_->handle(), "main", copy->reader_->connection().handle(), "main");
    if (backup == nullptr) return fail(copy->writer_->error(sqlite3_extended_errcode(copy->writer_->handle())));
    copy->backup_ = std::make_unique<Backup>(backup);
    return copy;
}

Result<bool> ReplicaCopy::step(int pages) {
    const int code = sqlite3_backup_step(backup_->handle, pages);
    if (code == SQLITE_DONE) return true;
    if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return false;
    return fail(writer_->error(code));
}

Result<std::shared_ptr<Replica>> ReplicaCopy::finish(const Uuid& volume, DatabaseCache cache) {
    backup_.reset();
    writer_.reset();
    vfs_.reset();
    (void)reader_->connection().run("COMMIT");
    reader_.reset();
    {
        TRY(file, target_.disk->open(database_path, OpenMode::read_write));
        CHECK_OK(file->sync());
        CHECK_OK(target_.disk->sync_folder("meta"));
    }
    return Replica::open(target_, *random_, volume, cache);
}

}  // namespace strata::cluster

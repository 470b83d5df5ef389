// SPDX-License-Identifier: Apache-2.0
// Replica: one copy of the materialised metadata: a database on one store, its writer and its readers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster/engine/log_copy.h"
#include "cluster/meta/row_reader.h"
#include "cluster/meta/sqlite_vfs.h"
#include "cluster/meta/state_machine.h"
#include "server/base/disk.h"

namespace strata::cluster {

constexpr const char* database_path = "meta/volume.db";

struct DatabaseCache {
    std::uint64_t writer_bytes = 64u << 20;
    std::uint64_t reader_bytes = 16u << 20;  // of each reading connection
};

// All calls block. The writer's calls come one at a time; read() from any number of threads at once.
class Replica {
public:
    // An empty database on `place`; what was there is gone. Errors: io, no_space.
    static Result<std::shared_ptr<Replica>> create(StoreDisk place, Random& random, const Uuid& volume, DatabaseCache cache);
    // Opens what is there and makes all of it durable. Errors: corrupt, io, not_found, bad_version.
    static Result<std::shared_ptr<Replica>> open(StoreDisk place, Random& random, const Uuid& volume, DatabaseCache cache);
    ~Replica();

    const Uuid& store() const { return place_.store; }
    std::string description() const { return place_.disk->description(); }
    const VolumeState& state() const { return machine_->state(); }  // writer's thread

    // Writer: see StateMachine::apply.
    Result<> apply(std::uint64_t first, std::span<const Command* const> commands);
    // Writer: moves the WAL into the database and syncs it: true if nothing was left over because of readers; then all that is applied is
    // durable. The next commit then begins the WAL anew, if no reader uses it any more; `quiet`: readers wait so that none does.
    // Errors: io, corrupt, no_space.
    Result<bool> checkpoint(bool quiet = false);
    // Writer: a WAL that grew beyond `pages` is cut to that when it begins anew. Errors: io, no_space.
    Result<> limit_wal(std::uint64_t pages);
    // Writer: what the database could still grow by: free space of the disk and free pages within the database.
    Result<std::uint64_t> free_bytes();
    // Pages in the WAL after the last commit, and those that no checkpoint has moved yet.
    std::uint64_t wal_pages() const { return wal_pages_.load(std::memory_order_relaxed); }
    std::uint64_t unmoved_pages() const {
        const auto all = wal_pages(), moved = moved_pages_.load(std::memory_order_relaxed);
        return all > moved ? all - moved : 0;
    }

    // Runs `body` with a reader of this database (made if all are in use), again while SQLite asks for it.
    template <class Body>
    auto read(Body&& body) -> std::invoke_result_t<Body&, RowReader&>;
    // How many reads have ended.
    std::uint64_t answers() const { return answers_.load(std::memory_order_relaxed); }
    // Closes the readers that are not in use, and those in use when they are given back.
    void close_readers();

    std::uint64_t damaged_pages() const { return vfs_.damaged_pages(); }

private:
    friend class ReplicaCopy;
    Replica(StoreDisk place, Random& random, DatabaseCache cache);
    Result<> start(SqliteConnection connection);
    Result<> make_durable();
    void note_wal_pages(std::uint64_t pages);
    Result<> cut_wal_to_commits();
    Result<std::pair<std::uint64_t, std::uint64_t>> move_wal();
    std::shared_lock<std::shared_mutex> enter_reading();
    std::unique_lock<std::shared_mutex> end_reading();
    Result<std::unique_ptr<RowReader>> take_reader();
    void give_back(std::unique_ptr<RowReader> reader);

    const StoreDisk place_;
    const DatabaseCache cache_;
    SqliteVfs vfs_;
    std::atomic<std::uint64_t> wal_pages_{0}, moved_pages_{0};  // written by the writer; none unmoved: no commit since all was moved
    std::atomic<std::uint64_t> answers_{0};
    std::unique_ptr<SqliteConnection> connection_;
    SqliteStatement free_pages_;
    std::unique_ptr<StateMachine> machine_;
    std::shared_mutex reading_;  // shared by reads under way; they come through `entrance_`, so that none overtakes who waits for their end
    std::mutex entrance_;
    std::mutex mutex_;  // what follows
    bool closing_ = false;
    std::vector<std::unique_ptr<RowReader>> readers_;  // not in use
};

template <class Body>
auto Replica::read(Body&& body) -> std::invoke_result_t<Body&, RowReader&> {
    constexpr int attempts = 100;
    const auto reading = enter_reading();
    auto reader = take_reader();
    if (!reader) return fail(std::move(reader.error()));
    auto result = body(**reader);
    for (int i = 1; i < attempts && !result && result.error() == Errc::busy; ++i) result = body(**reader);
    give_back(std::move(*reader));
    answers_.fetch_add(1, std::memory_order_relaxed);
    return result;
}

// Copies a replica's database, as it is at the start, to another store, page by page.
class ReplicaCopy {
public:
    // What is on `target` is gone. Errors: io, no_space, corrupt.
    static Result<std::unique_ptr<ReplicaCopy>> begin(Replica& source, StoreDisk target, Random& random);
    ~ReplicaCopy();
    // The applied index of what is copied.
    std::uint64_t applied() const { return applied_; }
    // Copies about `pages` pages; true at the end. Errors: as begin().
    Result<bool> step(int pages);
    // After the last step: the new replica, durable.
    Result<std::shared_ptr<Replica>> finish(const Uuid& volume, DatabaseCache cache);

private:
    ReplicaCopy(StoreDisk target, Random& random);
    StoreDisk target_;
    Random* random_;
    std::unique_ptr<RowReader> reader_;  // holds the snapshot
    std::unique_ptr<SqliteVfs> vfs_;
    std::unique_ptr<SqliteConnection> writer_;
    struct Backup;
    std::unique_ptr<Backup> backup_;
    std::uint64_t applied_ = 0;
};

}  // namespace strata::cluster

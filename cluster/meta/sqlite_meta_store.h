// SPDX-License-Identifier: Apache-2.0
// SqliteMetaStore: a volume's metadata in m+1 replicas, each a copy of the log and a database on a store of its own
// (docs/decisions/0002-metadata-replicas.md).
//
//   submit -> log writer: one batch at a time, all that is queued -> every copy of the log -> durable()
//          -> one applier a replica: large transactions -> the reader's: applied(); its database answers the reads
//
// A replica that fails is dropped: the loss is written to the manifests of the others before anything counts without it; readers turn to
// another; a new one is built on another store, or on the same one if only its bytes were bad.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/engine/local_log.h"
#include "cluster/meta/meta_store.h"
#include "cluster/meta/replica.h"
#include "cluster/meta/replica_manifest.h"
#include "server/base/runtime.h"
#include "server/base/task_group.h"

namespace strata::cluster {

struct MetaStoreConfig {
    int copies = 2;            // m+1; with fewer stores as many as there are
    bool create = false;       // a new volume if no store knows one
    std::uint32_t number = 1;  // of a new volume
    int readers = 3;           // threads, of each replica
    DatabaseCache cache;
    LocalLogConfig log;
    std::size_t batch_commands_max = 4096;  // in one log record
    std::size_t batch_bytes_max = 4u << 20;
    std::size_t transaction_commands_max = 8192;
    Duration reader_delay = 4ms;  // what the reader's database waits for more commands, and the others
    Duration follower_delay = 500ms;
    std::size_t follower_commands = 8192;   // ... or for so many
    std::uint64_t unapplied_max = 100'000;  // commands in memory before admit() waits
    std::uint64_t unapplied_bytes_max = 128u << 20;
    // On small disks these are less, see fitted().
    std::uint64_t wal_pages_max = 16'384;     // before a checkpoint
    std::uint64_t log_bytes_max = 64u << 20;  // on the disk, between checkpoints of all replicas
    bool rebuild = true;                      // build lost replicas anew on stores that are left
    int copy_pages = 256;                     // in one step of a copy
    Duration store_timeout = 30s;             // a store that does not answer for so long is lost
};

enum class ReplicaState : std::uint8_t { reader, follower, building, lost };

struct ReplicaStatus {
    Uuid store{};
    std::string description;  // the folder
    ReplicaState state = ReplicaState::follower;
    LogIndex applied = 0, checkpointed = 0;
    std::string error;  // of a lost one
};

// Any thread. close() or abandon() before it is destroyed.
class SqliteMetaStore final : public MetaStore {
public:
    ~SqliteMetaStore() override;

    LogIndex submit(Command command) override;
    LogIndex submitted() const override { return submitted_.value(); }
    Signal& durable() override { return durable_; }
    LogIndex applied() const override { return applied_.value(); }
    Task<Result<>> admit(const Context& ctx) override;
    Task<Result<>> admit_growth(const Context& ctx) override;
    bool has_room() override;
    Task<Result<std::optional<InodeRow>>> inode(const Context& ctx, InodeNumber number) override;
    Task<Result<std::vector<InodeRow>>> inodes(const Context& ctx, std::vector<InodeNumber> numbers) override;
    Task<Result<std::optional<EntryRow>>> entry(const Context& ctx, InodeNumber parent, std::string name) override;
    Task<Result<std::vector<EntryRow>>> entries(const Context& ctx, InodeNumber parent, std::uint64_t after, std::size_t limit) override;
    Task<Result<Extents>> extents(const Context& ctx, MapId map, std::uint64_t from, std::uint64_t to, std::size_t limit) override;
    Task<Result<std::optional<ChunkRow>>> chunk(const Context& ctx, ChunkId id) override;
    Task<Result<std::vector<ChunkRow>>> chunks(const Context& ctx, ChunkId after, std::size_t limit) override;
    Task<Result<std::vector<ExtentRow>>> extents_of_chunk(const Context& ctx, ChunkId id, std::size_t limit) override;
    Task<Result<std::vector<XattrRow>>> xattrs(const Context& ctx, InodeNumber inode) override;
    Task<Result<std::vector<RecordRow>>> records(const Context& ctx, std::string table) override;
    Task<Result<std::vector<ReapRow>>> reaps(const Context& ctx, std::size_t limit) override;
    const Volume& volume() const override { return volume_; }
    Task<Result<>> close(const Context& ctx) override;

    // Stops without applying or marking anything: as a crash would leave it.
    Task<> abandon();

    std::vector<ReplicaStatus> replicas() const;
    // Live replicas, the one being built not counted; fewer than wanted_copies(): metadata are less protected than asked.
    int live_copies() const;
    int wanted_copies() const { return config_.copies; }
    // A store that may hold a replica from now on (and is told of changes of the membership). What is lost is built there if need be.
    void add_store(StoreDisk place);
    // Builds a replica on `place`, beyond the number wanted. Returns when it counts. Errors: exists, io, no_space, closed.
    Task<Result<>> add_replica(const Context& ctx, StoreDisk place);
    // Takes a replica out; its store gets no new one. Errors: not_found, busy (it is the last one).
    Task<Result<>> drop_replica(const Context& ctx, Uuid store);

private:
    friend class MetaOpening;

    // A store that we know, member or not, and a thread for its manifest.
    struct Site {
        StoreDisk place;
        std::shared_ptr<Pool> pool;
        bool usable = true;  // for a new replica
        Instant not_before;  // ... after it failed
        Duration pause = Duration::zero();
    };
    // Of a member's disk.
    struct Room {
        explicit Room(std::uint64_t kept_bytes) : kept(static_cast<std::int64_t>(kept_bytes)) {}
        const std::int64_t kept;                     // bytes that growth leaves alone
        std::atomic<std::int64_t> bytes{INT64_MAX};  // above that, when it was last looked at
        std::atomic<bool> looking{false};            // that is under way, and nobody waits for it
    };
    // Jobs on its pools never own it, which owns them.
    struct Member {
        StoreDisk place;
        std::shared_ptr<Replica> replica;  // null at the beginning of building
        std::shared_ptr<Room> room;
        std::shared_ptr<Pool> pool;       // the writer's thread
        std::shared_ptr<Pool> read_pool;  // its own: a disk that hangs keeps nobody from the others
        Signal wanted;                    // to be applied up to here
        Signal applied;
        std::atomic<LogIndex> checkpointed{0};
        Instant checkpoint_not_before;  // applier only
        // The store's mutex guards these.
        bool counts = false;  // in the manifest
        bool lost = false;    // until then commands after `applied` stay in memory for it
        std::string error;
    };
    using MemberPtr = std::shared_ptr<Member>;
    // Of a member that is gone: its threads are joined when nothing uses the database any more. They may hang for ever.
    struct Closing {
        Uuid store{};
        std::weak_ptr<Replica> replica;
        std::shared_ptr<Pool> pool, read_pool;
    };
    struct Pending {
        std::shared_ptr<const Command> command;  // a store that hangs may still hold it
        std::size_t bytes = 0;                   // encoded; known once it was written
    };

    SqliteMetaStore(const Runtime& runtime, MetaStoreConfig config);
    void start();

    // sqlite_meta_store.cpp: the way of a command
    Task<> write_log();
    Task<> apply_to(MemberPtr member);
    Task<> hurry_followers();
    Task<Result<LogBatch>> encode_next(LogIndex first);
    std::vector<std::shared_ptr<const Command>> commands_for(const Member& member, LogIndex index, std::size_t limit);
    void committed(LogIndex last, const std::vector<std::size_t>& sizes, std::size_t record_size);
    void wake_appliers();
    void after_apply();
    bool wants_checkpoint(Member& member);
    // quiet: see Replica::checkpoint().
    Task<Result<bool>> checkpoint(MemberPtr member, bool quiet = false);
    std::uint64_t wal_too_long() const { return 2 * config_.wal_pages_max; }  // pages; then the next checkpoint is quiet
    Task<bool> make_room(const MemberPtr& member, const Error& why);
    Task<> trim_log();
    void fail_volume(const Error& error);
    Task<> stop_tasks();
    void release_all();
    Task<Result<>> finish_applying(Instant deadline);
    Task<Result<>> close_in_order();
    // Runs `body` on the read pool of the reader's database, and again with another if that one is damaged or does not answer.
    template <class Body>
    auto read(const Context& ctx, Body body) -> Task<std::invoke_result_t<Body&, RowReader&>>;
    MemberPtr reader() const;
    Task<Result<bool>> wait_for_answer(Signal& ended, const Replica& replica);

    // meta_space.cpp: refusing what the disks may not be able to hold
    static void measure_room(Replica& replica, Room& room);  // blocks; on the member's pool
    std::int64_t room() const;                               // mutex held; of the fullest disk
    Task<Result<>> settle_before_growth(const Context& ctx);

    // meta_membership.cpp: who holds the metadata
    Site& site_of(const StoreDisk& place);
    MemberPtr attach(StoreDisk place, std::shared_ptr<Replica> replica, LogIndex applied);
    void choose_reader();  // mutex held
    void mark_lost(const MemberPtr& member, const Error& why);
    Task<Result<>> lose(Uuid store, Error why);
    Task<Result<>> record_loss(Uuid store);  // membership held
    Task<Result<>> enter_membership();
    void leave_membership();
    Task<Result<>> publish(ReplicaManifest next);  // membership held
    // To the members that it lists, or to all others.
    Task<std::vector<std::pair<Uuid, Error>>> write_manifests(const ReplicaManifest& manifest, bool listed);
    void give_up(const Uuid& store, const Error& why);
    Task<> rebuild_lost();
    void postpone(Site& site) const;  // mutex held
    Instant next_rebuild() const;
    std::optional<StoreDisk> place_for_rebuild();
    Task<Result<>> build_on(StoreDisk place);
    Task<Result<>> forget_lost(Uuid store);
    Task<Result<>> build(MemberPtr member);
    Task<Result<std::shared_ptr<Replica>>> copy_database(MemberPtr source, MemberPtr target);

    const Runtime runtime_;
    const MetaStoreConfig config_;
    const std::uint64_t reserve_;  // of each member's disk: growth leaves it alone
    const Log log_;
    const Context context_;  // of the background work
    Volume volume_;
    std::unique_ptr<LocalLog> records_;
    std::unique_ptr<Pool> encode_pool_;
    TaskGroup tasks_;
    Signal submitted_, durable_, applied_;
    Signal committed_;  // as durable_, but no failure of the log ends its waits
    Signal room_;       // index of the newest command that left memory
    Signal repair_wanted_;

    mutable std::mutex mutex_;      // what follows
    std::deque<Pending> commands_;  // base_ + 1 .. last_
    LogIndex base_ = 0, last_ = 0, durable_index_ = 0;
    std::uint64_t pending_bytes_ = 0;
    std::uint64_t log_bytes_ = 0;  // since checkpoint_target_ was set
    LogIndex checkpoint_target_ = 0;
    std::vector<MemberPtr> members_;  // lost ones, too, until they are replaced
    std::vector<Closing> closing_;
    MemberPtr reader_;
    std::deque<Site> sites_;
    ReplicaManifest manifest_;
    bool membership_busy_ = false;
    std::uint64_t membership_turns_ = 0;
    Signal membership_free_;
    bool stopped_ = false;
    bool open_ = false;       // set once, by start()
    Instant room_looked_at_;  // by has_room()
};

// The sizes that fit the smallest of the disks, and what is then kept free on each for both logs, checkpoints and removals.
MetaStoreConfig fitted(MetaStoreConfig config, std::uint64_t smallest_disk);
std::uint64_t metadata_reserve(const MetaStoreConfig& config);

// Opens the volume whose metadata lie on `places` (all stores of this node that are there), or makes a new one (config.create).
// Succeeds while at least one replica of the newest generation is there; the epoch is raised durably.
// Errors: store_missing (names the stores that hold the newest metadata), not_found (no metadata anywhere), corrupt, io, config (stores
// of different volumes or histories), bad_version.
Task<Result<std::unique_ptr<SqliteMetaStore>>> open_meta_store(const Runtime& runtime, std::vector<StoreDisk> places,
                                                               MetaStoreConfig config);

}  // namespace strata::cluster

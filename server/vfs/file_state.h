// SPDX-License-Identifier: Apache-2.0
// FileState: who has a file open, which bytes are locked, who caches it: one object a file, one table for all protocols.
//
// Pure state behind short mutexes; nothing here suspends or knows a protocol's wire. A conflict names its holder, so that the protocol
// can end a courtesy client or recall a grant and try again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/base/result.h"
#include "server/vfs/types.h"

namespace strata::vfs {

enum class Protocol : std::uint8_t { nfs, smb };

// Who holds an open, lock or grant. `client` is the protocol's own id of the client (NFS: the clientid).
struct Holder {
    Protocol protocol = Protocol::nfs;
    std::uint64_t client = 0;
    std::string owner;  // NFS: open- or lock-owner bytes; SMB: the open's id
    friend bool operator==(const Holder&, const Holder&) = default;
};

// Share reservations (RFC 8881, 9.7; MS-FSA): bits of access and deny.
namespace share {
constexpr std::uint8_t none = 0, read = 1, write = 2, both = 3, remove = 4;  // `remove`: SMB's delete access and deny
}

// One open. Owned by the protocol's state; unregisters on destruction.
class FileStateTable;
class Open {
public:
    Open(FileStateTable& table, FileId file, Holder holder, std::uint8_t access, std::uint8_t deny)
        : table_(&table), file_(file), holder_(std::move(holder)), access_(access), deny_(deny) {}
    ~Open();
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

    FileId file() const { return file_; }
    const Holder& holder() const { return holder_; }
    std::uint8_t access() const { return access_; }
    std::uint8_t deny() const { return deny_; }

private:
    friend class FileStateTable;
    FileStateTable* table_;
    FileId file_;
    Holder holder_;
    std::uint8_t access_, deny_;  // guarded by the table's shard
    static constexpr std::size_t nowhere = SIZE_MAX;
    std::size_t position_ = nowhere;  // among the file's opens; guarded by the table's shard
};

struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // UINT64_MAX: to the end of the file, whatever that becomes
};

enum class LockKind : std::uint8_t { shared, exclusive };

struct Lock {
    Holder holder;
    ByteRange range;
    LockKind kind = LockKind::shared;
};

// What a caching grant allows its holder; read and write delegations, oplocks and leases are renderings of these bits.
namespace grant {
constexpr std::uint8_t read_caching = 1, write_caching = 2, handle_caching = 4;
}

struct Grant {
    Holder holder;
    std::uint8_t caching = 0;
    bool recalling = false;
};

// Told to give back or reduce a grant. Called under no lock; must not block; the holder later calls release_grant or reduce_grant.
class GrantHolder {
public:
    virtual ~GrantHolder() = default;
    virtual void recall(FileId file, const Grant& grant, std::uint8_t keep) = 0;
};

// Bounds on byte-range locks: on memory, and on the time that one look through a file's locks takes.
struct LockLimits {
    std::size_t file = 8192, client = 65536, all = 524288;
};

class FileStateTable {
public:
    explicit FileStateTable(LockLimits limits = {});
    ~FileStateTable();
    FileStateTable(const FileStateTable&) = delete;
    FileStateTable& operator=(const FileStateTable&) = delete;

    // Registers an open. `conflict` names the open in the way. Errors: share_conflict; delay (a grant is being recalled).
    Result<std::unique_ptr<Open>> open(FileId file, const Holder& holder, std::uint8_t access, std::uint8_t deny, Holder* conflict);
    // Changes access and deny of an open (upgrade or downgrade). Errors: share_conflict.
    Result<> change(Open& open, std::uint8_t access, std::uint8_t deny, Holder* conflict);
    // Would I/O with `access` by somebody without an open conflict with a deny? (NFS anonymous stateids.) `conflict` names the open that
    // denies it. Errors: locked.
    Result<> check_io(FileId file, std::uint8_t access, Holder* conflict = nullptr) const;
    bool is_open(FileId file) const;

    // NFS locks: advisory between NFS owners; a new lock of the same owner replaces, splits and merges its old ones (POSIX).
    // Errors: locked (`conflict` tells which), too_many (the file, or the client, has all it may), no_memory (all
    // together have), invalid_argument (no bytes).
    Result<> lock(FileId file, const Lock& wanted, Lock* conflict);
    Result<> test(FileId file, const Lock& wanted, Lock* conflict) const;
    // Errors: too_many, no_memory (the lock would split, and there are too many already); then nothing is unlocked.
    Result<> unlock(FileId file, const Holder& holder, ByteRange range);
    bool holds_locks(FileId file, const Holder& holder) const;
    void release_locks(FileId file, const Holder& holder);
    std::size_t lock_count() const;

    // Caching grants: the interface that delegations, oplocks and leases share.
    // Errors: share_conflict (somebody else's open or grant excludes it).
    Result<> grant(FileId file, const Grant& wanted, GrantHolder& to);
    void reduce_grant(FileId file, const Holder& holder, std::uint8_t caching);
    void release_grant(FileId file, const Holder& holder);
    // Asks all conflicting grants to shrink to `keep`. Errors: delay while one is still held: try again later.
    Result<> recall_conflicting(FileId file, const Holder& by, std::uint8_t keep);

private:
    friend class Open;
    struct Shard;
    struct LockCounts;
    void close(const Open& open);
    Shard& shard(FileId file) const;
    std::unique_ptr<Shard[]> shards_;
    std::unique_ptr<LockCounts> counts_;
};

}  // namespace strata::vfs

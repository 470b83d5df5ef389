// SPDX-License-Identifier: Apache-2.0
// FileSystem: the waist. Protocols speak to it and know nothing below; cluster/fs implements it; tests/sim has a model of it.
//
// One FileSystem is one volume. Every call may come from any io thread and resumes on the caller's executor; what is in memory is
// answered without suspending. Permissions are checked here against ctx.caller (mode, ACL, superuser), atomically with the change,
// except where a comment says that the caller has done it (through an open). Share-level rules (read-only, squash) are the caller's.
//
// Durability: a change is visible at once and durable when settle(ctx) returns; every call raises ctx.commit_point to the newest
// change that its answer depends on. UNSTABLE data and the size, mtime and change that go with them are exempt until commit().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/buffer.h"
#include "server/base/context.h"
#include "server/base/result.h"
#include "server/base/task.h"
#include "server/vfs/types.h"

namespace strata::vfs {

struct Entry {
    FileId id;
    Attributes attributes;
};

// How CREATE meets an existing name (RFC 8881, 18.16.3).
enum class CreateMode : std::uint8_t {
    unchecked,  // fine if a regular file is there; a size of 0 in `attributes` truncates it
    guarded,    // Errc::exists
    exclusive,  // the same verifier, which is not zero, is there: success again (no right to the file is checked); else Errc::exists
};

struct CreateRequest {
    FileType type = FileType::regular;
    CreateMode mode = CreateMode::guarded;
    SetAttributes attributes;  // mode defaults to 0; uid, gid default to the caller's (gid: the directory's if setgid)
    std::string symlink_target;
    Device device;
    std::uint64_t verifier = 0;  // exclusive
    DomainId new_domain = 0;     // not 0: a share's root (superuser only)
};

struct Created {
    Entry entry;
    ChangeInfo directory;
    bool existed = false;  // unchecked or exclusive met a file that was there
};

struct Removed {
    FileId id;
    Attributes attributes;  // after: link_count 0 means that the last name went
    ChangeInfo directory;
};

struct Renamed {
    ChangeInfo source, target;
    FileId moved;
    std::optional<FileId> replaced;  // its last name went
};

// What REMOVE may take (NFS takes both; SMB and POSIX callers say which).
enum class RemoveKind : std::uint8_t { any, not_directory, directory };

struct DirectoryEntry {
    std::uint64_t cookie = 0;  // position after this entry; stable over restarts; never 0, 1 or 2
    std::string_view name;     // valid during the call of the visitor
    FileId id;
    const Attributes* attributes = nullptr;
};
// Returns false when the page is full: that entry is not consumed.
using DirectoryVisitor = std::function<bool(const DirectoryEntry&)>;

struct DirectoryPage {
    bool end = false;  // the visitor saw the last entry
    std::uint64_t change = 0;
};

struct ReadResult {
    BufferChain data;  // holes as zeros; exactly the bytes up to count or the end of the file
    bool end_of_file = false;
};

enum class Stability : std::uint8_t { unstable = 0, data_sync = 1, file_sync = 2 };

struct WriteResult {
    std::uint64_t count = 0;
    Stability stability = Stability::unstable;
    std::uint64_t verifier = 0;
};

// A run of a file that is either data or a hole.
struct Extent {
    std::uint64_t offset = 0, length = 0;
    bool hole = false;
};

struct CopyResult {
    std::uint64_t count = 0;
    std::uint64_t verifier = 0;
    Stability stability = Stability::unstable;
};

// Keeps an object's content reachable after its last name went, until destroyed (an open file). Survives nothing else.
class Pin {
public:
    virtual ~Pin() = default;
};

class FileSystem {
public:
    virtual ~FileSystem() = default;

    // --- names (access::traverse on `dir`) ---
    // Errors: not_found, access, not_directory, stale, name_too_long, bad_name. "." and ".." are bad_name.
    virtual Task<Result<Entry>> lookup(const Context& ctx, FileId dir, std::string_view name) = 0;
    // The parent of a directory; the root's is not_found.
    virtual Task<Result<Entry>> lookup_parent(const Context& ctx, FileId dir) = 0;
    virtual Task<Result<Created>> create(const Context& ctx, FileId dir, std::string_view name, const CreateRequest& request) = 0;
    // The file's link count goes down at once; its content lives on while pinned. Errors: not_empty, is_directory, not_directory.
    virtual Task<Result<Removed>> remove(const Context& ctx, FileId dir, std::string_view name, RemoveKind kind) = 0;
    // Replaces an existing target as POSIX rename() does. Errors: cross_domain, not_empty, invalid_argument (into itself).
    virtual Task<Result<Renamed>> rename(const Context& ctx, FileId from, std::string_view name, FileId to, std::string_view new_name) = 0;
    virtual Task<Result<ChangeInfo>> link(const Context& ctx, FileId file, FileId dir, std::string_view name) = 0;
    virtual Task<Result<std::string>> read_link(const Context& ctx, FileId file) = 0;
    // Entries after `cookie` (0: from the start), in cookie order, to the visitor, with attributes. "." and ".." are not among them.
    // An entry present from first to last page is seen exactly once, whatever else changes. Checks list_directory.
    virtual Task<Result<DirectoryPage>> read_directory(const Context& ctx, FileId dir, std::uint64_t cookie,
                                                       const DirectoryVisitor& visit) = 0;

    // --- attributes ---
    virtual Task<Result<Attributes>> get_attributes(const Context& ctx, FileId file) = 0;
    // `opened_for_write`: an open has proved the right to change the size. Errors: permission, access, is_directory, no_space.
    virtual Task<Result<Attributes>> set_attributes(const Context& ctx, FileId file, const SetAttributes& set, bool opened_for_write) = 0;
    // The subset of `wanted` that the caller has.
    virtual Task<Result<AccessMask>> check_access(const Context& ctx, FileId file, AccessMask wanted) = 0;
    virtual Task<Result<std::string>> get_xattr(const Context& ctx, FileId file, std::string_view name) = 0;  // Errors: no_xattr
    enum class XattrMode : std::uint8_t { either, create, replace };
    virtual Task<Result<ChangeInfo>> set_xattr(const Context& ctx, FileId file, std::string_view name, std::string_view value,
                                               XattrMode mode) = 0;
    virtual Task<Result<ChangeInfo>> remove_xattr(const Context& ctx, FileId file, std::string_view name) = 0;
    virtual Task<Result<std::vector<std::string>>> list_xattrs(const Context& ctx, FileId file) = 0;  // sorted

    // --- data: the caller has checked the right to read or write, by an open or check_access ---
    virtual Task<Result<ReadResult>> read(const Context& ctx, FileId file, std::uint64_t offset, std::uint32_t count) = 0;
    // With data_sync or file_sync the bytes and all that is needed to read them are durable on return. Errors: no_space, too_big, io.
    virtual Task<Result<WriteResult>> write(const Context& ctx, FileId file, std::uint64_t offset, BufferChain data, Stability wanted) = 0;
    // All bytes of [offset, offset+count) (count 0: to the end) written before are durable on return. Returns the write verifier.
    virtual Task<Result<std::uint64_t>> commit(const Context& ctx, FileId file, std::uint64_t offset, std::uint64_t count) = 0;
    virtual Task<Result<>> allocate(const Context& ctx, FileId file, std::uint64_t offset, std::uint64_t length) = 0;
    virtual Task<Result<>> deallocate(const Context& ctx, FileId file, std::uint64_t offset, std::uint64_t length) = 0;
    // The run that holds `offset`, clipped to start there; the virtual hole at the end has length 0. Errors: invalid_argument (at or
    // past the end).
    virtual Task<Result<Extent>> map(const Context& ctx, FileId file, std::uint64_t offset) = 0;
    // Shares the stored bytes; both ranges block-aligned (4 KiB) or ending at the end of the source. length 0: to the source's end.
    virtual Task<Result<>> clone(const Context& ctx, FileId source, std::uint64_t source_offset, FileId target, std::uint64_t target_offset,
                                 std::uint64_t length) = 0;
    // Copies inside the server, by reference where it can; may do less than asked. length 0: to the source's end.
    virtual Task<Result<CopyResult>> copy(const Context& ctx, FileId source, std::uint64_t source_offset, FileId target,
                                          std::uint64_t target_offset, std::uint64_t length) = 0;

    // --- the volume ---
    virtual Task<Result<>> settle(const Context& ctx) = 0;  // waits until all that ctx.commit_point names is durable
    virtual bool settled(const Context& ctx) const = 0;     // true: settle() would not suspend
    virtual Task<Result<std::unique_ptr<Pin>>> pin(const Context& ctx, FileId file) = 0;
    virtual Task<Result<Space>> space(const Context& ctx, FileId any_file_of_the_domain) = 0;
    virtual FileId root() const = 0;
    virtual Uuid volume() const = 0;
    virtual std::uint64_t write_verifier() const = 0;
};

}  // namespace strata::vfs

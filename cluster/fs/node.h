// SPDX-License-Identifier: Apache-2.0
// Node: an inode in memory: its newest row, ahead of the log and of SQLite, and what hangs on it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cluster/meta/meta_store.h"
#include "server/vfs/acl.h"
#include "server/vfs/types.h"

namespace strata::cluster {

class Directory;  // directory.h
class FileData;   // file_data.h

// Everything below is guarded by `mutex` unless it says otherwise. Mutexes of several nodes are taken in order of inode number.
// A change is made in this order: take the mutex, change `row`, submit the command that carries it, note its index in `pending`, release;
// then other requests see it, and their replies wait for it (CommitPoint).
struct Node {
    explicit Node(InodeRow r);
    ~Node();

    const InodeNumber number;  // immutable, like the generation
    const std::uint32_t generation;
    const vfs::FileType type;

    std::mutex mutex;
    InodeRow row;                         // newest, with what UNSTABLE writes changed (size, mtime, change)
    std::uint64_t durable_size = 0;       // regular files: the size that commands carry: UNSTABLE writes raise it only when flushed
    LogIndex pending = 0;                 // newest command that changed what others see of this node; UNSTABLE writes do not count
    LogIndex pending_any = 0;             // newest command that carries any row of this node: it stays in memory until that is applied
    bool unflushed = false;               // `row` has changes that no command carries yet (UNSTABLE writes)
    bool removed = false;                 // no names left, as it was made or loaded, too; content goes when `pins` is zero
    bool dead = false;                    // content gone too: every further use is stale
    std::shared_ptr<const vfs::Acl> acl;  // decoded row.acl
    std::optional<std::map<std::string, std::string>> xattrs;  // loaded
    std::unique_ptr<Directory> directory;
    std::unique_ptr<FileData> data;  // made by the data engine at first use

    std::atomic<std::uint32_t> pins{0};  // open files
    bool evicted = false;                // out of the node table: who meets it through a weak pointer leaves it
    std::size_t weighed = 0;             // bytes that the node table counts for it

    vfs::Attributes attributes() const;  // mutex held
    InodeRow durable_row() const;        // mutex held: `row` as commands carry it (size = durable_size)
    std::size_t weight() const;          // mutex held: bytes of memory, about, with entries, extents and xattrs
};

using NodePtr = std::shared_ptr<Node>;

constexpr std::size_t node_bytes = 1024;  // of memory, of an inode without anything that can be large

}  // namespace strata::cluster

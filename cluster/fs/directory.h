// SPDX-License-Identifier: Apache-2.0
// Directory: what memory knows of a directory's entries: some of them, or all.
//
// Every change since the last load leaves a trace here (an entry or an absence), and nothing is dropped while a load from SQLite is
// under way; so a row that a load brings counts only where memory knows nothing, whatever its snapshot was.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/meta/meta_store.h"

namespace strata::cluster {

// Immutable once in the directory, so that a READDIR page can hold entries without the node's mutex.
struct DirectoryEntry {
    std::string name;
    std::uint64_t cookie = 0;
    InodeNumber child = 0;
    std::uint32_t child_generation = 0;
    vfs::FileType child_type = vfs::FileType::regular;
    LogIndex pending = 0;  // the command that put it here
};
using DirectoryEntryPtr = std::shared_ptr<const DirectoryEntry>;

// Guarded by its node's mutex.
class Directory {
public:
    enum class Answer : std::uint8_t { present, absent, unknown };
    struct Found {
        Answer answer = Answer::unknown;
        DirectoryEntryPtr entry;
        LogIndex pending = 0;  // of an absence
    };

    Found find(std::string_view name) const;
    bool complete() const { return complete_; }
    // No entry is known: of a complete directory, that none is left.
    bool empty() const { return by_cookie_.empty(); }
    // Too many entries to bring them all into memory: READDIR takes them page by page.
    bool large() const { return large_; }
    void set_large() { large_ = true; }
    std::size_t bytes() const;  // of memory, about
    std::size_t size() const { return by_name_.size(); }

    // A new directory knows all of its (no) entries.
    void begin_complete() { complete_ = true; }
    void insert(DirectoryEntryPtr entry);
    void erase(std::string_view name, LogIndex pending);

    // Loads bracket their reads, and give what they read.
    void begin_load() { ++loads_; }
    void end_load() { --loads_; }
    bool loading() const { return loads_ > 0; }
    void loaded(const EntryRow& row);
    void loaded_absence(std::string_view name);
    void set_complete();  // a load has brought every row
    // Drops absences that SQLite knows by now.
    void trim(LogIndex applied);

    // Up to `limit` entries after `cookie`, in cookie order. Only of a complete directory.
    void page(std::uint64_t cookie, std::size_t limit, std::vector<DirectoryEntryPtr>& out) const;
    // Appends, in cookie order, what memory knows in (after, up_to] and those of `rows` (all that lie there) that memory knows nothing of.
    // The read of the rows is bracketed as a load.
    void merge(const std::vector<EntryRow>& rows, std::uint64_t after, std::uint64_t up_to, std::vector<DirectoryEntryPtr>& out) const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
    };
    static constexpr std::size_t absences_max = 4096;

    std::unordered_map<std::string, DirectoryEntryPtr, Hash, std::equal_to<>> by_name_;
    std::map<std::uint64_t, DirectoryEntryPtr> by_cookie_;
    std::unordered_map<std::string, LogIndex, Hash, std::equal_to<>> absent_;  // known absences, with the command that made them
    bool complete_ = false;
    bool large_ = false;
    int loads_ = 0;
};

}  // namespace strata::cluster

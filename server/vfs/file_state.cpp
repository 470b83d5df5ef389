// SPDX-License-Identifier: Apache-2.0
// FileStateTable: opens with share modes, and byte-range locks with POSIX splitting and merging; the grants are in grants.cpp.
#include "server/vfs/file_state.h"

#include <algorithm>

#include "server/vfs/file_state_shard.h"

namespace strata::vfs {

namespace {

// The first byte after the range; UINT64_MAX stands for "to the end".
std::uint64_t end_of(ByteRange range) { return range.length > UINT64_MAX - range.offset ? UINT64_MAX : range.offset + range.length; }

ByteRange between(std::uint64_t begin, std::uint64_t end) { return {begin, end == UINT64_MAX ? UINT64_MAX : end - begin}; }

bool overlap(ByteRange a, ByteRange b) { return a.offset < end_of(b) && b.offset < end_of(a); }

const Lock* conflicting(const FileState& state, const Lock& wanted) {
    for (const Lock& held : state.locks) {
        if (held.holder == wanted.holder || !overlap(held.range, wanted.range)) continue;
        if (held.kind == LockKind::exclusive || wanted.kind == LockKind::exclusive) return &held;
    }
    return nullptr;
}

// Takes `range` out of the owner's locks, splitting those that stick out.
void carve(std::vector<Lock>& locks, const Holder& holder, ByteRange range) {
    std::vector<Lock> kept;
    kept.reserve(locks.size() + 1);
    for (Lock& lock : locks) {
        if (!(lock.holder == holder) || !overlap(lock.range, range)) {
            kept.push_back(std::move(lock));
            continue;
        }
        if (lock.range.offset < range.offset) kept.push_back({lock.holder, between(lock.range.offset, range.offset), lock.kind});
        if (end_of(range) < end_of(lock.range)) kept.push_back({lock.holder, between(end_of(range), end_of(lock.range)), lock.kind});
    }
    locks = std::move(kept);
}

// Joins `added` with the owner's locks of the same kind that touch it.
void merge(std::vector<Lock>& locks, Lock added) {
    for (auto it = locks.begin(); it != locks.end();) {
        const bool touches = it->range.offset <= end_of(added.range) && added.range.offset <= end_of(it->range);
        if (!(it->holder == added.holder) || it->kind != added.kind || !touches) {
            ++it;
            continue;
        }
        added.range = between(std::min(it->range.offset, added.range.offset), std::max(end_of(it->range), end_of(added.range)));
        it = locks.erase(it);
    }
    locks.push_back(std::move(added));
}

}  // namespace

FileStateTable::FileStateTable() : shards_(std::make_unique<Shard[]>(shard_count)) {}
FileStateTable::~FileStateTable() = default;

FileStateTable::Shard& FileStateTable::shard(FileId file) const { return shards_[std::hash<FileId>{}(file) >> 58]; }

Open::~Open() { table_->close(*this); }

Result<std::unique_ptr<Open>> FileStateTable::open(FileId file, const Holder& holder, std::uint8_t access, std::uint8_t deny,
                                                   Holder* conflict) {
    auto made = std::make_unique<Open>(*this, file, holder, access, deny);
    {
        Shard& s = shard(file);
        std::lock_guard lock(s.mutex);
        FileState& state = s.files[file];
        bool clash = false;
        for (const Open* other : state.opens) {
            if ((other->access_ & deny) == 0 && (other->deny_ & access) == 0) continue;
            if (conflict != nullptr) *conflict = other->holder_;
            clash = true;
            break;
        }
        state.opens.push_back(made.get());
        if (!clash) return made;
    }
    return fail(Errc::share_conflict);  // `made` unregisters itself
}

Result<> FileStateTable::change(Open& open, std::uint8_t access, std::uint8_t deny, Holder* conflict) {
    Shard& s = shard(open.file_);
    std::lock_guard lock(s.mutex);
    for (const Open* other : s.files[open.file_].opens) {
        if (other == &open || ((other->access_ & deny) == 0 && (other->deny_ & access) == 0)) continue;
        if (conflict != nullptr) *conflict = other->holder_;
        return fail(Errc::share_conflict);
    }
    open.access_ = access;
    open.deny_ = deny;
    return {};
}

void FileStateTable::close(const Open& open) {
    Shard& s = shard(open.file_);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(open.file_);
    std::erase(it->second.opens, &open);
    s.drop_if_empty(it);
}

Result<> FileStateTable::check_io(FileId file, std::uint8_t access) const {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    if (it == s.files.end()) return {};
    for (const Open* open : it->second.opens) {
        if (open->deny_ & access) return fail(Errc::locked);
    }
    return {};
}

bool FileStateTable::is_open(FileId file) const {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    return it != s.files.end() && !it->second.opens.empty();
}

Result<> FileStateTable::lock(FileId file, const Lock& wanted, Lock* conflict) {
    if (wanted.range.length == 0) return fail(Errc::invalid_argument);
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto [it, made] = s.files.try_emplace(file);
    if (const Lock* held = conflicting(it->second, wanted)) {
        if (conflict != nullptr) *conflict = *held;
        return fail(Errc::locked);
    }
    carve(it->second.locks, wanted.holder, wanted.range);
    merge(it->second.locks, wanted);
    return {};
}

Result<> FileStateTable::test(FileId file, const Lock& wanted, Lock* conflict) const {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    if (it == s.files.end()) return {};
    const Lock* held = conflicting(it->second, wanted);
    if (held == nullptr) return {};
    if (conflict != nullptr) *conflict = *held;
    return fail(Errc::locked);
}

void FileStateTable::unlock(FileId file, const Holder& holder, ByteRange range) {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    if (it == s.files.end()) return;
    carve(it->second.locks, holder, range);
    s.drop_if_empty(it);
}

bool FileStateTable::holds_locks(FileId file, const Holder& holder) const {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    if (it == s.files.end()) return false;
    return std::ranges::any_of(it->second.locks, [&](const Lock& l) { return l.holder == holder; });
}

void FileStateTable::release_locks(FileId file, const Holder& holder) {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    if (it == s.files.end()) return;
    std::erase_if(it->second.locks, [&](const Lock& l) { return l.holder == holder; });
    s.drop_if_empty(it);
}

std::size_t FileStateTable::lock_count() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < shard_count; ++i) {
        std::lock_guard lock(shards_[i].mutex);
        for (const auto& [file, state] : shards_[i].files) count += state.locks.size();
    }
    return count;
}

}  // namespace strata::vfs

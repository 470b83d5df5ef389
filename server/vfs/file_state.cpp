// SPDX-License-Identifier: Apache-2.0
// FileStateTable: opens with share modes, and byte-range locks with POSIX splitting and merging; the grants are in grants.cpp.
#include "server/vfs/file_state.h"

#include <algorithm>
#include <compare>
#include <map>
#include <utility>

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

bool inside(ByteRange inner, ByteRange outer) { return outer.offset < inner.offset && end_of(inner) < end_of(outer); }

// Takes `range` out of the owner's locks, splitting the one that sticks out on both sides.
void carve(std::vector<Lock>& locks, const Holder& holder, ByteRange range) {
    for (std::size_t i = 0; i < locks.size();) {
        Lock& lock = locks[i];
        if (!overlap(lock.range, range) || !(lock.holder == holder)) {
            ++i;
            continue;
        }
        const std::uint64_t begin = lock.range.offset, end = end_of(lock.range);
        if (begin < range.offset && end_of(range) < end) {
            Lock rest{lock.holder, between(end_of(range), end), lock.kind};
            lock.range = between(begin, range.offset);
            locks.push_back(std::move(rest));
            return;  // no other of the owner's is here
        }
        if (begin < range.offset) {
            lock.range = between(begin, range.offset);
            ++i;
        } else if (end_of(range) < end) {
            lock.range = between(end_of(range), end);
            ++i;
        } else {
            std::swap(lock, locks.back());
            locks.pop_back();
        }
    }
}

// Joins `added` with the owner's locks of the same kind that touch it.
void merge(std::vector<Lock>& locks, Lock added) {
    for (std::size_t i = 0; i < locks.size();) {
        Lock& lock = locks[i];
        const bool touches = lock.range.offset <= end_of(added.range) && added.range.offset <= end_of(lock.range);
        if (!touches || lock.kind != added.kind || !(lock.holder == added.holder)) {
            ++i;
            continue;
        }
        added.range = between(std::min(lock.range.offset, added.range.offset), std::max(end_of(lock.range), end_of(added.range)));
        std::swap(lock, locks.back());
        locks.pop_back();
    }
    locks.push_back(std::move(added));
}

// The open that excludes another of `access` and `deny`. The counts say whether a look at all opens is worth it.
const Open* excluding(const FileState& state, const Open* except, std::uint8_t access, std::uint8_t deny) {
    if (!state.accesses.any(deny) && !state.denies.any(access)) return nullptr;
    for (const Open* other : state.opens) {
        if (other != except && ((other->access() & deny) != 0 || (other->deny() & access) != 0)) return other;
    }
    return nullptr;
}

}  // namespace

// How many locks each client has, and all of them.
struct FileStateTable::LockCounts {
    struct Client {
        Protocol protocol = Protocol::nfs;
        std::uint64_t id = 0;
        friend auto operator<=>(const Client&, const Client&) = default;
    };
    LockLimits limits;
    std::mutex mutex;  // after a shard's; guards what follows
    std::map<Client, std::size_t> by_client;
    std::size_t total = 0;

    // Is there room for one more of `holder` in a file that has `in_file`?
    Result<> room(const Holder& holder, std::size_t in_file) {
        if (in_file >= limits.file) return fail(Errc::too_many);
        std::lock_guard lock(mutex);
        const auto found = by_client.find({holder.protocol, holder.client});
        if (found != by_client.end() && found->second >= limits.client) return fail(Errc::too_many);
        if (total >= limits.all) return fail(Errc::no_memory);
        return {};
    }
    void change(const Holder& holder, std::size_t before, std::size_t after) {
        if (before == after) return;
        std::lock_guard lock(mutex);
        total += after - before;
        const auto entry = by_client.try_emplace({holder.protocol, holder.client}).first;
        entry->second += after - before;
        if (entry->second == 0) by_client.erase(entry);
    }
};

FileStateTable::FileStateTable(LockLimits limits)
    : shards_(std::make_unique<Shard[]>(shard_count)), counts_(std::make_unique<LockCounts>()) {
    counts_->limits = limits;
}
FileStateTable::~FileStateTable() = default;

FileStateTable::Shard& FileStateTable::shard(FileId file) const { return shards_[std::hash<FileId>{}(file) >> 58]; }

Open::~Open() { table_->close(*this); }

Result<std::unique_ptr<Open>> FileStateTable::open(FileId file, const Holder& holder, std::uint8_t access, std::uint8_t deny,
                                                   Holder* conflict) {
    auto made = std::make_unique<Open>(*this, file, holder, access, deny);
    Shard& s = shard(file);
    std::unique_lock lock(s.mutex);
    const auto it = s.files.try_emplace(file).first;
    FileState& state = it->second;
    if (const Open* other = excluding(state, nullptr, access, deny)) {
        if (conflict != nullptr) *conflict = other->holder_;
        lock.unlock();
        return fail(Errc::share_conflict);
    }
    made->position_ = state.opens.size();
    state.opens.push_back(made.get());
    state.accesses.add(access);
    state.denies.add(deny);
    lock.unlock();
    return made;
}

Result<> FileStateTable::change(Open& open, std::uint8_t access, std::uint8_t deny, Holder* conflict) {
    Shard& s = shard(open.file_);
    std::lock_guard lock(s.mutex);
    FileState& state = s.files[open.file_];
    if (const Open* other = excluding(state, &open, access, deny)) {
        if (conflict != nullptr) *conflict = other->holder_;
        return fail(Errc::share_conflict);
    }
    state.accesses.take(open.access_);
    state.denies.take(open.deny_);
    open.access_ = access;
    open.deny_ = deny;
    state.accesses.add(access);
    state.denies.add(deny);
    return {};
}

void FileStateTable::close(const Open& open) {
    Shard& s = shard(open.file_);
    std::lock_guard lock(s.mutex);
    if (open.position_ == Open::nowhere) return;  // it never came in; others' closes move the positions of those that did
    const auto it = s.files.find(open.file_);
    FileState& state = it->second;
    state.accesses.take(open.access_);
    state.denies.take(open.deny_);
    state.opens[open.position_] = state.opens.back();
    state.opens[open.position_]->position_ = open.position_;
    state.opens.pop_back();
    s.drop_if_empty(it);
}

Result<> FileStateTable::check_io(FileId file, std::uint8_t access, Holder* conflict) const {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    const auto it = s.files.find(file);
    if (it == s.files.end()) return {};
    const Open* other = excluding(it->second, nullptr, access, share::none);
    if (other == nullptr) return {};
    if (conflict != nullptr) *conflict = other->holder();
    return fail(Errc::locked);
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
    auto& locks = it->second.locks;
    const auto before = locks.size();
    if (auto room = counts_->room(wanted.holder, before); !room) {
        s.drop_if_empty(it);
        return room;
    }
    carve(locks, wanted.holder, wanted.range);
    merge(locks, wanted);
    counts_->change(wanted.holder, before, locks.size());
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

Result<> FileStateTable::unlock(FileId file, const Holder& holder, ByteRange range) {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    const auto it = s.files.find(file);
    if (it == s.files.end()) return {};
    auto& locks = it->second.locks;
    const auto before = locks.size();
    if (auto room = counts_->room(holder, before); !room) {
        const bool splits = std::ranges::any_of(locks, [&](const Lock& l) { return inside(range, l.range) && l.holder == holder; });
        if (splits) return room;
    }
    carve(locks, holder, range);
    counts_->change(holder, before, locks.size());
    s.drop_if_empty(it);
    return {};
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
    const auto before = it->second.locks.size();
    std::erase_if(it->second.locks, [&](const Lock& l) { return l.holder == holder; });
    counts_->change(holder, before, it->second.locks.size());
    s.drop_if_empty(it);
}

std::size_t FileStateTable::lock_count() const {
    std::lock_guard lock(counts_->mutex);
    return counts_->total;
}

}  // namespace strata::vfs

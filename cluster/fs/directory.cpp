// SPDX-License-Identifier: Apache-2.0
// Directory: entries and absences in memory, and how loads merge into them.
#include "cluster/fs/directory.h"

#include <algorithm>

namespace strata::cluster {

Directory::Found Directory::find(std::string_view name) const {
    if (auto it = by_name_.find(name); it != by_name_.end()) return {Answer::present, it->second, it->second->pending};
    if (auto it = absent_.find(name); it != absent_.end()) return {Answer::absent, nullptr, it->second};
    return {complete_ ? Answer::absent : Answer::unknown, nullptr, 0};
}

void Directory::insert(DirectoryEntryPtr entry) {
    if (auto it = absent_.find(entry->name); it != absent_.end()) absent_.erase(it);
    by_cookie_[entry->cookie] = entry;
    auto name = entry->name;
    by_name_.insert_or_assign(std::move(name), std::move(entry));
}

void Directory::erase(std::string_view name, LogIndex pending) {
    auto it = by_name_.find(name);
    if (it == by_name_.end()) return;
    by_cookie_.erase(it->second->cookie);
    by_name_.erase(it);
    absent_[std::string(name)] = pending;
}

namespace {

DirectoryEntryPtr entry_of(const EntryRow& row) {
    auto entry = std::make_shared<DirectoryEntry>();
    entry->name = row.name;
    entry->cookie = row.cookie;
    entry->child = row.child;
    entry->child_generation = row.child_generation;
    entry->child_type = row.child_type;
    return entry;
}

}  // namespace

void Directory::loaded(const EntryRow& row) {
    if (by_name_.contains(row.name) || absent_.contains(row.name)) return;
    insert(entry_of(row));
}

void Directory::merge(const std::vector<EntryRow>& rows, std::uint64_t after, std::uint64_t up_to,
                      std::vector<DirectoryEntryPtr>& out) const {
    const auto begin = static_cast<std::ptrdiff_t>(out.size());
    for (auto it = by_cookie_.upper_bound(after); it != by_cookie_.end() && it->first <= up_to; ++it) out.push_back(it->second);
    for (const auto& row : rows) {
        if (!by_name_.contains(row.name) && !absent_.contains(row.name)) out.push_back(entry_of(row));
    }
    std::sort(out.begin() + begin, out.end(), [](const auto& a, const auto& b) { return a->cookie < b->cookie; });
}

std::size_t Directory::bytes() const {
    constexpr std::size_t entry_bytes = 320, absence_bytes = 96;
    return by_name_.size() * entry_bytes + absent_.size() * absence_bytes;
}

void Directory::loaded_absence(std::string_view name) {
    if (complete_ || by_name_.contains(name) || absent_.contains(name)) return;
    absent_.emplace(std::string(name), 0);
}

void Directory::set_complete() { complete_ = true; }

void Directory::trim(LogIndex applied) {
    if (loads_ > 0 || (absent_.size() <= absences_max && !complete_)) return;
    std::erase_if(absent_, [&](const auto& item) { return item.second <= applied; });
}

void Directory::page(std::uint64_t cookie, std::size_t limit, std::vector<DirectoryEntryPtr>& out) const {
    for (auto it = by_cookie_.upper_bound(cookie); it != by_cookie_.end() && limit > 0; ++it, --limit) out.push_back(it->second);
}

}  // namespace strata::cluster

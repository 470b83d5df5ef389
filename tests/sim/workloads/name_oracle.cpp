// SPDX-License-Identifier: Apache-2.0
// Comparing trees.
#include "tests/sim/workloads/name_oracle.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace strata::sim {

namespace {

// One state against what was found, from the root down.
class Comparison {
public:
    Comparison(const Names& names, const FoundNames& found, const NameOracle::Ids& known) : names_(names), found_(found), known_(known) {
        for (const auto& [key, id] : known) keys_of_ids_.emplace(id, key);
    }

    // Empty: equal.
    std::string run() {
        bind(0, found_.root, "/");
        compare_folder(0, found_.root, "");
        for (const auto& [key, facts] : names_.objects) {
            if (key == 0 || !bound_.contains(key)) continue;
            const auto& object = found_.objects.at(bound_.at(key));
            const auto links = static_cast<std::uint32_t>(names_.links(key));
            const bool wrong = facts.type != vfs::FileType::directory && object.link_count != links;
            if (wrong) differ(fmt::format("inode {}: link count {}, but {} names", bound_.at(key).inode, object.link_count, links));
        }
        return text_;
    }
    const NameOracle::Ids& bound() const { return bound_; }

private:
    void differ(std::string what) {
        if (text_.size() < 600) text_ += (text_.empty() ? "" : "; ") + what;
    }

    // `key` is `id`, unless one of them is known as something else.
    bool bind(ObjectKey key, vfs::FileId id, const std::string& path) {
        const auto known = known_.find(key);
        const auto known_key = keys_of_ids_.find(id);
        const bool other = (known != known_.end() && known->second != id) || (known_key != keys_of_ids_.end() && known_key->second != key);
        const auto [it, fresh] = bound_.emplace(key, id);
        if (!other && it->second == id) return true;
        differ(fmt::format("{}: leads to inode {}, which is another object than expected", path, id.inode));
        return false;
    }

    void compare_folder(ObjectKey folder, vfs::FileId id, const std::string& path) {
        std::set<std::string> seen;
        for (auto it = names_.entries.lower_bound({folder, ""}); it != names_.entries.end() && it->first.first == folder; ++it) {
            const std::string& name = it->first.second;
            seen.insert(name);
            const std::string where = path + "/" + name;
            const auto entry = found_.entries.find({id, name});
            if (entry == found_.entries.end()) {
                differ(where + " is missing");
                continue;
            }
            if (!bind(it->second, entry->second, where)) continue;
            const auto& facts = names_.objects.at(it->second);
            const auto& object = found_.objects.at(entry->second);
            if (object.facts != facts) differ(where + ": " + facts_that_differ(object.facts, facts));
            if (facts.type == vfs::FileType::directory) compare_folder(it->second, entry->second, where);
        }
        for (auto it = found_.entries.lower_bound({id, ""}); it != found_.entries.end() && it->first.first == id; ++it) {
            if (!seen.contains(it->first.second)) differ(path + "/" + it->first.second + " should not be there");
        }
    }

    static std::string facts_that_differ(const ObjectFacts& found, const ObjectFacts& expected) {
        if (found.type != expected.type) return "another type";
        if (found.mode != expected.mode) return fmt::format("mode {:o} instead of {:o}", found.mode, expected.mode);
        if (found.target != expected.target) return "another target";
        std::string text = "xattrs";
        for (const auto& [name, value] : found.xattrs) text += fmt::format(" {}={}", name, value.size());
        text += " instead of";
        for (const auto& [name, value] : expected.xattrs) text += fmt::format(" {}={}", name, value.size());
        return text;
    }

    const Names& names_;
    const FoundNames& found_;
    const NameOracle::Ids& known_;
    std::map<vfs::FileId, ObjectKey> keys_of_ids_;
    NameOracle::Ids bound_;
    std::string text_;
};

}  // namespace

int Names::links(ObjectKey object) const {
    return static_cast<int>(std::ranges::count_if(entries, [object](const auto& entry) { return entry.second == object; }));
}

bool Names::has_entries(ObjectKey folder) const {
    const auto it = entries.lower_bound({folder, ""});
    return it != entries.end() && it->first.first == folder;
}

void Names::remove(ObjectKey folder, const std::string& name) {
    const auto it = entries.find({folder, name});
    const ObjectKey object = it->second;
    entries.erase(it);
    if (links(object) == 0) objects.erase(object);
}

bool Names::is_inside(ObjectKey folder, ObjectKey ancestor) const {
    while (folder != ancestor) {
        if (folder == 0) return false;
        const auto up = std::ranges::find_if(entries, [folder](const auto& entry) { return entry.second == folder; });
        folder = up->first.first;
    }
    return true;
}

void NameOracle::acknowledge(std::uint64_t position) {
    while (first_ < position) {
        states_.pop_front();
        ++first_;
    }
}

std::optional<std::string> NameOracle::find(const FoundNames& found, Ids& ids, std::size_t& at) const {
    std::string from_newest, from_oldest;
    for (at = states_.size(); at-- > 0;) {
        Comparison comparison(states_[at], found, ids);
        auto difference = comparison.run();
        if (difference.empty()) {
            for (const auto& [key, id] : comparison.bound()) ids[key] = id;
            return std::nullopt;
        }
        if (at + 1 == states_.size()) from_newest = difference;
        if (at == 0) from_oldest = std::move(difference);
    }
    return fmt::format("none of the {} possible trees; against the newest: {}; against what was acknowledged: {}", states_.size(),
                       from_newest, from_oldest);
}

std::optional<std::string> NameOracle::adopt(const FoundNames& found, Ids& ids) {
    std::size_t at = 0;
    if (auto difference = find(found, ids, at)) return difference;
    first_ += at;
    states_ = {Names(states_[at])};
    return std::nullopt;
}

std::optional<std::string> NameOracle::see(const FoundNames& found, Ids& ids) {
    std::size_t at = 0;
    if (auto difference = find(found, ids, at)) return difference;
    states_.push_back(Names(states_[at]));
    return std::nullopt;
}

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// The in-memory index of a store.
#include "cluster/chunk/shard_index.h"

#include <algorithm>

namespace strata::cluster {

ShardIndex::Leaves::const_iterator ShardIndex::leaf_of(const ShardKey& key) const {
    auto it = leaves_.upper_bound(key);
    if (it != leaves_.begin()) --it;
    return it;
}

std::optional<ShardLocation> ShardIndex::find(const ShardKey& key) const {
    const auto leaf = leaf_of(key);
    if (leaf == leaves_.end()) return std::nullopt;
    const auto it = std::ranges::lower_bound(leaf->second, key, {}, &Entry::key);
    if (it == leaf->second.end() || it->key != key) return std::nullopt;
    return it->location;
}

// A full leaf: a key behind its end starts a new one (ascending keys leave full leaves behind), else it is halved.
void ShardIndex::split_for(Leaves::iterator& leaf, const ShardKey& key) {
    if (key > leaf->second.back().key) {
        Leaf fresh;
        fresh.reserve(leaf_max);
        leaf = leaves_.emplace(key, std::move(fresh)).first;
        return;
    }
    const auto middle = leaf->second.begin() + static_cast<std::ptrdiff_t>(leaf->second.size() / 2);
    Leaf upper(middle, leaf->second.end());
    leaf->second.erase(middle, leaf->second.end());
    const ShardKey first = upper.front().key;
    const auto upper_leaf = leaves_.emplace(first, std::move(upper)).first;
    if (key >= first) leaf = upper_leaf;
}

std::optional<ShardLocation> ShardIndex::insert(const ShardKey& key, const ShardLocation& location) {
    if (leaves_.empty()) leaves_.emplace(key, Leaf{});
    const auto place = leaf_of(key);
    auto leaf = leaves_.erase(place, place);  // the mutable iterator
    if (key < leaf->first) {                  // only the first leaf can get a key before its own
        auto node = leaves_.extract(leaf);
        node.key() = key;
        leaf = leaves_.insert(std::move(node)).position;
    }
    auto it = std::ranges::lower_bound(leaf->second, key, {}, &Entry::key);
    if (it != leaf->second.end() && it->key == key) return std::exchange(it->location, location);
    if (leaf->second.size() >= leaf_max) {
        split_for(leaf, key);
        it = std::ranges::lower_bound(leaf->second, key, {}, &Entry::key);
    }
    leaf->second.insert(it, {key, location});
    ++size_;
    return std::nullopt;
}

std::optional<ShardLocation> ShardIndex::erase(const ShardKey& key) {
    const auto place = leaf_of(key);
    if (place == leaves_.end()) return std::nullopt;
    const auto leaf = leaves_.erase(place, place);
    const auto it = std::ranges::lower_bound(leaf->second, key, {}, &Entry::key);
    if (it == leaf->second.end() || it->key != key) return std::nullopt;
    const ShardLocation old = it->location;
    leaf->second.erase(it);
    if (leaf->second.empty()) leaves_.erase(leaf);
    --size_;
    return old;
}

std::vector<ShardInfo> ShardIndex::list(const ShardKey& after, std::size_t limit) const {
    std::vector<ShardInfo> out;
    for (auto leaf = leaf_of(after); leaf != leaves_.end() && out.size() < limit; ++leaf) {
        for (auto it = std::ranges::upper_bound(leaf->second, after, {}, &Entry::key); it != leaf->second.end(); ++it) {
            if (out.size() == limit) break;
            out.push_back({it->key, it->location.length, it->location.digest});
        }
    }
    return out;
}

}  // namespace strata::cluster

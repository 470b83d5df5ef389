// SPDX-License-Identifier: Apache-2.0
// ShardIndex: where each live shard of a store lies, in key order, in about 40 bytes a shard.
//
// Sorted leaves of at most leaf_max entries under a map of their first keys. Keys mostly arrive in ascending order: then leaves fill
// up wholly. Not synchronised.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "cluster/chunk/chunk_store.h"

namespace strata::cluster {

struct ShardLocation {
    std::uint32_t segment = 0;
    std::uint32_t block = 0;
    std::uint32_t length = 0;
    std::uint32_t digest = 0;
    friend bool operator==(const ShardLocation&, const ShardLocation&) = default;
};

class ShardIndex {
public:
    std::optional<ShardLocation> find(const ShardKey& key) const;
    // Returns the location that it replaced.
    std::optional<ShardLocation> insert(const ShardKey& key, const ShardLocation& location);
    std::optional<ShardLocation> erase(const ShardKey& key);
    // In key order, keys > after.
    std::vector<ShardInfo> list(const ShardKey& after, std::size_t limit) const;
    std::size_t size() const { return size_; }

private:
    static constexpr std::size_t leaf_max = 256;

    struct Entry {
        ShardKey key;
        ShardLocation location;
    };
    using Leaf = std::vector<Entry>;
    using Leaves = std::map<ShardKey, Leaf>;

    // The leaf whose range holds `key`: the last that starts at or before it, else the first; end() if there is none.
    Leaves::const_iterator leaf_of(const ShardKey& key) const;
    void split_for(Leaves::iterator& leaf, const ShardKey& key);

    Leaves leaves_;
    std::size_t size_ = 0;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// NameOracle: which names, and objects behind them, one client's folder may hold after a power cut.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "server/vfs/types.h"

namespace strata::sim {

// An object as the oracle numbers it: 0 is the client's own folder.
using ObjectKey = std::uint64_t;

// What a name leads to, as far as metadata tell.
struct ObjectFacts {
    vfs::FileType type = vfs::FileType::regular;
    std::uint32_t mode = 0;
    std::string target;  // of a symbolic link
    std::map<std::string, std::string> xattrs;
    friend bool operator==(const ObjectFacts&, const ObjectFacts&) = default;
};

// The whole tree. A value.
struct Names {
    std::map<std::pair<ObjectKey, std::string>, ObjectKey> entries;  // (folder, name)
    std::map<ObjectKey, ObjectFacts> objects;                        // that have a name

    int links(ObjectKey object) const;
    bool has_entries(ObjectKey folder) const;
    // Takes one name away, and the object with its last.
    void remove(ObjectKey folder, const std::string& name);
    bool is_inside(ObjectKey folder, ObjectKey ancestor) const;
};

// The same as found by walking.
struct FoundNames {
    struct Object {
        ObjectFacts facts;
        std::uint32_t link_count = 0;
    };
    std::map<std::pair<vfs::FileId, std::string>, vfs::FileId> entries;
    std::map<vfs::FileId, Object> objects;
    vfs::FileId root;
};

// All changes go through one log, so a crash leaves the tree as it was after some change at or past the last one acknowledged.
class NameOracle {
public:
    using Ids = std::map<ObjectKey, vfs::FileId>;

    const Names& newest() const { return states_.back(); }
    std::uint64_t position() const { return first_ + states_.size() - 1; }
    // The next position, equal to the present one until changed.
    Names& change() {
        states_.push_back(states_.back());
        return states_.back();
    }
    // Everything up to `position` is durable.
    void acknowledge(std::uint64_t position);
    std::uint64_t acknowledged() const { return first_; }

    // Looks, from the newest on, for a state that is what was found; it becomes the only one, and `ids` learns the ids of objects whose
    // creation was never answered. Otherwise: what differs from the newest and from the oldest.
    std::optional<std::string> adopt(const FoundNames& found, Ids& ids);
    // After a call with an unknown outcome the tree is seen so: some possible state is this, and it is the newest from now on.
    std::optional<std::string> see(const FoundNames& found, Ids& ids);

private:
    std::optional<std::string> find(const FoundNames& found, Ids& ids, std::size_t& at) const;

    std::deque<Names> states_{Names{}};  // positions first_ (acknowledged) and following
    std::uint64_t first_ = 1;
};

}  // namespace strata::sim

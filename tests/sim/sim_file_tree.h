// SPDX-License-Identifier: Apache-2.0
// The content of a SimDisk: pages and entries, each cached and durable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/sim/sim_random.h"

namespace strata::sim {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t sector_bytes = 512;

using Page = std::array<std::byte, page_bytes>;
using PagePointer = std::shared_ptr<Page>;  // null: a hole; shared between the cached and the durable version until written

// The page of reserved, never written space.
const PagePointer& reserved_page();

// One file's bytes.
class SimContent {
public:
    std::uint64_t size() const { return cached_size_; }
    std::uint64_t pages() const { return page_count_; }  // that take space
    std::uint64_t pages_missing(std::uint64_t offset, std::uint64_t length) const;

    std::size_t read(std::uint64_t offset, std::span<std::byte> out) const;
    void write(std::uint64_t offset, std::span<const std::byte> bytes);
    void truncate(std::uint64_t size);
    void reserve(std::uint64_t offset, std::uint64_t length);
    void punch(std::uint64_t offset, std::uint64_t length);

    void sync();
    // The cache forgets what it did not write; some of it was written.
    void sync_failed(SimRandom& random);
    // The durable state and by seed some of the rest becomes all there is.
    void power_cut(SimRandom& random);

    // Indexes of durable pages that hold written bytes.
    std::vector<std::uint64_t> written_durable_pages() const;
    void flip_durable_bit(std::uint64_t page, SimRandom& random);

private:
    Page& writable(std::uint64_t index);
    void set_cached(std::uint64_t index, PagePointer page);
    void zero(std::uint64_t offset, std::uint64_t length);
    void mark_dirty(std::uint64_t index);
    static const PagePointer& page_of(const std::vector<PagePointer>& pages, std::uint64_t index);
    static PagePointer mixed(const PagePointer& before, const PagePointer& after, SimRandom& random);
    std::uint64_t size_after_cut(SimRandom& random) const;

    std::vector<PagePointer> cached_;
    std::vector<PagePointer> durable_;
    std::uint64_t cached_size_ = 0;
    std::uint64_t durable_size_ = 0;
    std::uint64_t page_count_ = 0;
    std::vector<std::uint64_t> dirty_;
    std::vector<bool> is_dirty_;
};

struct SimNode;
using NodePointer = std::shared_ptr<SimNode>;

struct SimNode {
    explicit SimNode(bool f) : folder(f) {}
    const bool folder;
    std::map<std::string, NodePointer, std::less<>> entries;  // as seen
    std::map<std::string, NodePointer, std::less<>> durable;
    SimContent content;
};

// A change of entries that is not durable yet. Null folders: no such side.
struct EntryChange {
    NodePointer from_folder;
    std::string from_name;
    NodePointer to_folder;
    std::string to_name;
    NodePointer node;

    bool touches(const NodePointer& folder) const { return from_folder == folder || to_folder == folder; }
    // Onto the durable entries. `strict`: a rename whose source did not survive does nothing.
    void apply(bool strict) const;
};

}  // namespace strata::sim

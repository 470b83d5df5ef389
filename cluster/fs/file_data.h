// SPDX-License-Identifier: Apache-2.0
// FileData: what the data engine keeps of a regular file in memory. Guarded by the node's mutex, all of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>

#include "cluster/fs/extent_map.h"
#include "cluster/fs/node.h"
#include "cluster/fs/write_back.h"
#include "server/base/signal.h"

namespace strata::cluster {

// A read sees `dirty` over `flushing` over the extents (or the inline data of the row); what none has is zeros.
class FileData {
public:
    std::weak_ptr<Node> self;

    DirtyRanges dirty;
    // The generation that a flush is writing: immutable but for truncate, deallocate and clone, which cut from it what must not come
    // back; the flush commits what is left. That is the order between them.
    DirtyRanges flushing;
    ExtentMap map;
    bool loaded = false;  // `map` is the file's
    bool loading = false;
    bool flush_active = false;        // claimed: from before the generation is taken until it is committed or put back
    bool rewriting = false;           // the sealer works on this file
    bool ragged = false;              // known to the sealer
    std::set<std::uint64_t> crowded;  // regions (their offsets) that the sealer shall merge
    bool must_chunk = false;          // the next flush moves inline data to a chunk, however small the file is

    std::uint64_t written = 0;  // counts changes; what it was when a generation was taken, is in that generation
    std::uint64_t flushing_up_to = 0;
    std::uint64_t flushed_up_to = 0;  // submitted
    std::uint64_t flush_size = 0;     // row.size as the generation under way knows it
    LogIndex flush_index = 0;         // newest command with this file's content
    std::uint64_t failed_up_to = 0;   // newest generation that could not be written, and why
    std::uint64_t failures = 0;
    std::optional<Error> failure;
    std::optional<Instant> failing_since;

    std::uint64_t ticket = 0;         // in the queue of dirty files; 0: not in it
    Instant changed_at;               // last change of content
    std::uint64_t read_next = 0;      // where a sequential reader would go on
    std::uint64_t read_ahead_to = 0;  // asked for up to here
    std::uint32_t read_ahead_window = 0;

    std::size_t counted_pinned = 0;  // as the engine's totals know it
    std::uint64_t counted_bytes = 0;

    std::shared_ptr<Signal> flush_ended;  // counts flush attempts and loads that ended
};

// A run of a file as a reader sees it.
struct FilePart {
    enum class Kind : std::uint8_t { memory, chunk, hole };
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    Kind kind = Kind::hole;
    Slice bytes;     // memory
    ChunkPtr chunk;  // chunk
    std::uint32_t chunk_offset = 0;
};

// Walks the parts of [from, to) in order until `each` returns false. The map must be loaded; node.mutex held.
template <class Each>
bool for_each_part(const Node& node, std::uint64_t from, std::uint64_t to, Each&& each) {
    using Kind = FilePart::Kind;
    const FileData& data = *node.data;
    auto hole = [&](std::uint64_t a, std::uint64_t b) { return each(FilePart{a, b - a, Kind::hole, {}, nullptr, 0}); };
    auto memory = [&](std::uint64_t a, Slice bytes) {
        const std::uint64_t size = bytes.size();
        return each(FilePart{a, size, Kind::memory, std::move(bytes), nullptr, 0});
    };
    auto extent = [&](std::uint64_t a, const MappedExtent& e, std::uint64_t skip, std::uint64_t length) {
        if (e.chunk == nullptr) return hole(a, a + length);
        return each(FilePart{a, length, Kind::chunk, {}, e.chunk, e.chunk_offset + static_cast<std::uint32_t>(skip)});
    };
    auto stored = [&](std::uint64_t a, std::uint64_t b) {
        const std::string& small = node.row.inline_data;
        if (small.empty()) return data.map.visit(a, b, extent, hole);
        const std::uint64_t end = std::min<std::uint64_t>(b, small.size());
        if (a < end && !memory(a, BufferChain::copy_of(std::string_view(small).substr(a, end - a)).flatten())) return false;
        const std::uint64_t rest = std::max(a, end);
        return rest >= b || hole(rest, b);
    };
    auto older = [&](std::uint64_t a, std::uint64_t b) { return data.flushing.visit(a, b, memory, stored); };
    return data.dirty.visit(from, to, memory, older);
}

}  // namespace strata::cluster

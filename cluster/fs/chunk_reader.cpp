// SPDX-License-Identifier: Apache-2.0
// ChunkReader: single flight of blocks.
#include "cluster/fs/chunk_reader.h"

#include <algorithm>

namespace strata::cluster {

namespace {

// Records of moved chunks in memory. Past it all are forgotten: then old places are tried, and what lies elsewhere is reconstructed.
constexpr std::size_t moved_max = 200'000;
constexpr std::uint32_t blocks_per_read = (1 << 20) / cache_block_size;

std::uint32_t block_bytes(const Chunk& chunk, std::uint32_t block) {
    return std::min(chunk.length - block * cache_block_size, cache_block_size);
}

}  // namespace

std::uint64_t ReadTickets::begin() {
    std::lock_guard lock(mutex_);
    active_.insert(active_.end(), next_);
    return next_++;
}

void ReadTickets::end(std::uint64_t number) {
    std::lock_guard lock(mutex_);
    active_.erase(number);
}

std::uint64_t ReadTickets::next() const {
    std::lock_guard lock(mutex_);
    return next_;
}

bool ReadTickets::all_ended_before(std::uint64_t number) const {
    std::lock_guard lock(mutex_);
    return active_.empty() || *active_.begin() >= number;
}

// Ends the fetch however its coroutine ends, so that nobody waits for one that is gone.
class ChunkReader::Claim {
public:
    Claim(ChunkReader& reader, const ChunkId& chunk, std::uint32_t first, std::uint32_t last, FetchPtr fetch)
        : reader_(reader), chunk_(chunk), first_(first), last_(last), fetch_(std::move(fetch)) {}
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() {
        {
            std::lock_guard lock(reader_.mutex_);
            for (auto block = first_; block < last_; ++block) reader_.fetches_.erase({chunk_, block});
        }
        fetch_->ended.raise(1);
    }

private:
    ChunkReader& reader_;
    ChunkId chunk_;
    std::uint32_t first_, last_;
    FetchPtr fetch_;
};

bool ChunkReader::read_cached(const ChunkId& chunk, std::uint32_t offset, std::uint32_t length, BufferChain& out) {
    boost::container::small_vector<Slice, 18> found;
    while (length > 0) {
        const std::uint32_t in_block = offset % cache_block_size;
        const std::uint32_t count = std::min(length, cache_block_size - in_block);
        Slice block = cache_.find(chunk, offset / cache_block_size);
        if (block.size() < in_block + count) return false;
        found.push_back(block.sub(in_block, count));
        offset += count;
        length -= count;
    }
    for (auto& slice : found) out.append(std::move(slice));
    return true;
}

void ChunkReader::moved(const Chunk& chunk) {
    std::lock_guard lock(mutex_);
    if (moved_.size() >= moved_max) moved_.clear();
    moved_[chunk.id] = std::make_shared<const Chunk>(chunk);
}

ChunkPtr ChunkReader::newest(ChunkPtr chunk) const {
    std::lock_guard lock(mutex_);
    const auto at = moved_.find(chunk->id);
    return at == moved_.end() ? chunk : at->second;
}

void ChunkReader::forget(const ChunkId& id) {
    std::lock_guard lock(mutex_);
    moved_.erase(id);
}

ChunkReader::Turn ChunkReader::take_turn(const ChunkId& chunk, std::uint32_t first, std::uint32_t end, const FetchPtr& mine) {
    std::lock_guard lock(mutex_);
    if (const auto at = fetches_.find({chunk, first}); at != fetches_.end()) return {first, at->second};
    std::uint32_t last = first;
    while (last < end && last - first < blocks_per_read && (last == first || cache_.find(chunk, last).empty())) {
        if (!fetches_.try_emplace(Key{chunk, last}, mine).second) break;
        ++last;
    }
    return {last, nullptr};
}

Task<Result<BufferChain>> ChunkReader::read_blocks(const Context& ctx, ChunkPtr chunk, std::uint32_t first, std::uint32_t last) {
    const std::uint32_t from = first * cache_block_size;
    const std::uint32_t to = (last - 1) * cache_block_size + block_bytes(*chunk, last - 1);
    chunk = newest(std::move(chunk));
    auto bytes = co_await chunks_.read(ctx, *chunk, from, to - from);
    if (bytes && bytes->size() != to - from) co_return fail(Errc::internal, "a chunk read came back with another length");
    if (bytes) cache_.insert_all(chunk->id, first, *bytes);
    co_return bytes;
}

Task<Result<BufferChain>> ChunkReader::read(const Context& ctx, ChunkPtr chunk, std::uint32_t offset, std::uint32_t length) {
    BufferChain out;
    if (std::uint64_t{offset} + length > chunk->length) co_return fail(Errc::corrupt, "an extent lies past the end of its chunk");
    const std::uint32_t end_block = (offset + length - 1) / cache_block_size + 1;
    std::uint32_t waits = 0;
    while (length > 0) {
        const std::uint32_t first = offset / cache_block_size;
        const std::uint32_t in_block = offset % cache_block_size;
        const std::uint32_t count = std::min(length, cache_block_size - in_block);
        if (read_cached(chunk->id, offset, count, out)) {
            offset += count;
            length -= count;
            continue;
        }
        auto mine = std::make_shared<Fetch>();
        const Turn turn = take_turn(chunk->id, first, end_block, mine);
        if (turn.other != nullptr && waits < 2) {
            ++waits;  // with a full cache what the other read may be gone before we look: then read for ourselves
            CO_CHECK_OK(co_await turn.other->ended.wait(1, clock_, ctx.deadline));
            continue;
        }
        BufferChain bytes;
        std::uint32_t last = turn.last;
        if (turn.other != nullptr) {
            last = first + 1;
            CO_TRY(read, co_await read_blocks(ctx, chunk, first, last));
            bytes = std::move(read);
        } else {
            Claim claim(*this, chunk->id, first, last, mine);
            CO_TRY(read, co_await read_blocks(ctx, chunk, first, last));
            bytes = std::move(read);
        }
        const auto take = std::min<std::uint32_t>(length, static_cast<std::uint32_t>(bytes.size()) - in_block);
        out.append(bytes.sub(in_block, take));
        offset += take;
        length -= take;
    }
    co_return out;
}

}  // namespace strata::cluster

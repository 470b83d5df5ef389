// SPDX-License-Identifier: Apache-2.0
// Encoding and reconstruction over chains: run by run, where a run is what lies in one slice of every shard.
#include "cluster/stripe/coding.h"

#include <algorithm>

#include "cluster/stripe/layout.h"

namespace strata::cluster {

namespace {

constexpr std::size_t run_worth_its_call = 2048;  // bytes on average; finer chains are copied together first

// Walks several equally long chains in runs that are contiguous in each of them.
class Runs {
public:
    explicit Runs(std::span<const BufferChain> chains, std::size_t length) {
        for (const BufferChain& chain : chains) {
            BufferChain padded = chain;
            if (padded.size() < length) padded.append(BufferChain::zeros(length - padded.size()));
            if (padded.slices().size() > 1 + length / run_worth_its_call) padded = BufferChain(padded.flatten());
            chains_.push_back({std::move(padded), 0, 0});
        }
    }

    // The next run: one pointer a chain. 0: the end.
    std::size_t next(std::vector<const std::byte*>& pointers) {
        pointers.clear();
        std::size_t run = SIZE_MAX;
        for (Place& p : chains_) {
            if (p.slice == p.chain.slices().size()) return 0;
            run = std::min(run, p.chain.slices()[p.slice].size() - p.offset);
        }
        for (Place& p : chains_) {
            const Slice& slice = p.chain.slices()[p.slice];
            pointers.push_back(slice.data() + p.offset);
            p.offset += run;
            if (p.offset == slice.size()) {
                ++p.slice;
                p.offset = 0;
            }
        }
        return run;
    }

private:
    struct Place {
        BufferChain chain;
        std::size_t slice, offset;
    };
    std::vector<Place> chains_;
};

std::vector<Slice> allocate_shards(std::size_t count, std::size_t length) {
    std::vector<Slice> shards;
    for (std::size_t i = 0; i < count; ++i) shards.push_back(allocate_heap(length));
    return shards;
}

std::vector<std::byte*> pointers_at(std::vector<Slice>& shards, std::size_t offset) {
    std::vector<std::byte*> out;
    for (Slice& s : shards) out.push_back(s.writable().data() + offset);
    return out;
}

}  // namespace

const ReedSolomon& CodeTables::of(Geometry geometry) {
    std::lock_guard lock(mutex_);
    auto& tables = tables_[{geometry.k, geometry.m}];
    if (tables == nullptr) tables = std::make_unique<ReedSolomon>(geometry.k, geometry.m);
    return *tables;
}

CodedStripe encode_stripe(CodeTables& tables, ChunkId id, Geometry geometry, const BufferChain& data) {
    CodedStripe out;
    out.chunk.id = id;
    out.chunk.geometry = geometry;
    out.chunk.length = static_cast<std::uint32_t>(data.size());
    out.chunk.shard_length = shard_length_for(geometry, data.size());
    out.chunk.places.resize(static_cast<std::size_t>(geometry.shards()));
    if (geometry.k == 1) {
        out.shards.assign(out.chunk.places.size(), data);
        out.checksums.assign(out.chunk.places.size(), ShardChecksums::of(data));
    } else {
        for (int i = 0; i < geometry.k; ++i) {
            const std::size_t start = std::min<std::size_t>(std::size_t{out.chunk.shard_length} * static_cast<std::size_t>(i), data.size());
            const std::size_t bytes = data_bytes(out.chunk, i);
            out.shards.push_back(bytes == 0 ? BufferChain::zeros(1) : data.sub(start, bytes));
        }
        auto parity = allocate_shards(geometry.m, out.chunk.shard_length);
        Runs runs(out.shards, out.chunk.shard_length);
        std::vector<const std::byte*> in;
        std::size_t offset = 0;
        while (const std::size_t run = runs.next(in)) {
            tables.of(geometry).encode(in, pointers_at(parity, offset), run);
            offset += run;
        }
        for (Slice& p : parity) out.shards.emplace_back(std::move(p));
        for (const BufferChain& shard : out.shards) out.checksums.push_back(ShardChecksums::of(shard));
    }
    for (std::size_t i = 0; i < out.checksums.size(); ++i) out.chunk.places[i].digest = out.checksums[i].digest;
    return out;
}

Result<std::vector<Slice>> reconstruct_shards(CodeTables& tables, Geometry geometry, std::span<const int> have,
                                              std::span<const BufferChain> sources, std::span<const int> wanted, std::size_t length) {
    auto out = allocate_shards(wanted.size(), length);
    Runs runs(sources, length);
    std::vector<const std::byte*> in;
    std::size_t offset = 0;
    while (const std::size_t run = runs.next(in)) {
        CHECK_OK(tables.of(geometry).reconstruct(have, in, wanted, pointers_at(out, offset), run));
        offset += run;
    }
    return out;
}

}  // namespace strata::cluster

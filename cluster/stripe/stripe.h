// SPDX-License-Identifier: Apache-2.0
// Stripes: a chunk of file bytes as k+m shards on different stores; degraded reads and writes.
//
// A chunk of `length` bytes is cut into k data shards of `shard_length` bytes each (a multiple of 4 KiB unless k = 1): shard i holds
// [i * shard_length, (i + 1) * shard_length), the last zero-padded for coding only; m parity shards follow (Reed-Solomon, ISA-L).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "cluster/chunk/chunk_store.h"
#include "server/base/runtime.h"

namespace strata::cluster {

constexpr std::size_t chunk_size_max = 4 << 20;    // bytes of file data in one chunk
constexpr std::size_t coded_size_min = 128 << 10;  // smaller chunks are replicated m+1 times
constexpr int shards_max = 32;

struct Geometry {
    std::uint8_t k = 1, m = 0;
    int shards() const { return k + m; }
    friend constexpr bool operator==(Geometry, Geometry) = default;
};

// "single", "mirror-N" (N copies, 2..8) or "ec-K+M" (K 2..16, M 1..6). What a domain's files are written with.
struct Policy {
    Geometry full{1, 0};
    Geometry replicated() const { return {1, full.m}; }
    std::string to_string() const;
    static Result<Policy> parse(std::string_view text);  // Errors: config
    static Policy default_for(int stores);               // 1: single; 2: mirror-2; 3..5: ec-2+1; 6 and more: ec-4+2
};

using StoreIndex = std::uint16_t;  // a store's number in the cluster map; never reused for another store
constexpr StoreIndex no_store = 0xffff;

struct ShardPlace {
    StoreIndex store = no_store;  // no_store: this shard was never written (a narrower, flagged stripe)
    std::uint32_t digest = 0;
    friend constexpr bool operator==(const ShardPlace&, const ShardPlace&) = default;
};

// What metadata keeps of a chunk.
struct Chunk {
    ChunkId id;
    Geometry geometry;
    std::uint32_t length = 0;  // bytes of file data
    std::uint32_t shard_length = 0;
    boost::container::small_vector<ShardPlace, 8> places;  // geometry.shards() of them
    bool degraded() const {
        for (const auto& p : places) {
            if (p.store == no_store) return true;
        }
        return false;
    }
    friend bool operator==(const Chunk&, const Chunk&) = default;
};

// The stores of this node, by index. Owns them. Any thread.
class StoreSet {
public:
    struct Member {
        StoreIndex index = no_store;
        Uuid identity{};
        std::string folder;
        std::shared_ptr<ChunkStore> store;  // null while missing
        StoreState state = StoreState::missing;
    };
    virtual ~StoreSet() = default;
    virtual std::vector<Member> members() const = 0;
    virtual std::shared_ptr<ChunkStore> online(StoreIndex index) const = 0;  // null if not usable
    // Stores for a new chunk, distinct, weighted by free space; fewer than asked if there are not enough with room.
    virtual std::vector<StoreIndex> choose(int count, std::span<const StoreIndex> avoid, std::uint64_t shard_bytes) = 0;
    // An I/O error makes the store `failed` for everybody; told once to `on_change`.
    virtual void report_failure(StoreIndex index, const Error& error) = 0;
    virtual void on_change(std::function<void()> listener) = 0;
};

// Told what a read found damaged (a shard missing, corrupt or on a lost store); the repairer's queue. Any thread, never blocks.
class DamageSink {
public:
    virtual ~DamageSink() = default;
    virtual void damaged(const ChunkId& id, int shard) = 0;
};

// What file data stand on: chunks by id. StripeIo is the one over stores; tests have one in memory that fails by seed.
class ChunkIo {
public:
    virtual ~ChunkIo() = default;
    virtual Task<Result<Chunk>> write(const Context& ctx, ChunkId id, Geometry wanted, BufferChain data) = 0;
    virtual Task<Result<BufferChain>> read(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) = 0;
    virtual Task<> remove(const Context& ctx, const Chunk& chunk) = 0;
    // The command with the chunk's record was submitted: what is not whole from the beginning, or lost a store meanwhile, is reported, for
    // no sweep may see it. Any thread, never blocks.
    virtual void committed(const Chunk&) {}
};

// How long a store may take. Without an answer a read goes on with other shards.
struct StripeTimes {
    Duration get_max = 5s;
    Duration verify_max = 30s;   // of a whole shard, past any cache
    Duration silence_max = 30s;  // then a store that owes an answer, and gave no other since, is as good as failed
};

// Writes and reads chunks. Stateless but for its parts; any thread; one request many stores in parallel.
class StripeIo final : public ChunkIo {
public:
    // `pool`: for coding of large stripes.
    StripeIo(const Runtime& runtime, StoreSet& stores, DamageSink& damage, StripeTimes times = {});
    ~StripeIo() override;

    // Writes `data` (1 .. chunk_size_max bytes) as `id`; durable on all its stores when it returns. A store that fails is replaced by
    // another within the request; with too few stores left the stripe gets narrower at the same m, then m+1 replicas, then a degraded
    // one that still tolerates at least one loss (if the policy tolerates any); else Errc::read_only / no_space.
    Task<Result<Chunk>> write(const Context& ctx, ChunkId id, Geometry wanted, BufferChain data) override;
    // The bytes [offset, offset+length) of the chunk, reconstructed if need be (and reported to the damage sink). A store
    // that does not answer, or has failed, is asked only if the others do not suffice.
    // Errors: corrupt, io: past the tolerance; not_found: no shard is known anywhere (re-read the map before it means loss).
    Task<Result<BufferChain>> read(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) override;
    // Rebuilds the shards that are lost, corrupt, absent or on unusable stores onto other stores, or in place if no other has room;
    // returns the chunk's new record (the caller commits it if the old one is still the present one). Equal to the old one: nothing to
    // commit. Errors: corrupt, io, not_found: past the tolerance.
    Task<Result<Chunk>> rebuild(const Context& ctx, const Chunk& chunk);
    // The same with the numbers of the bad shards, as scrub() found them.
    Task<Result<Chunk>> rebuild(const Context& ctx, const Chunk& chunk, std::vector<int> bad);
    // Verifies every shard on its disk. Returns the numbers of those that are bad: damaged, absent, never written or on unusable stores.
    Task<Result<std::vector<int>>> scrub(const Context& ctx, const Chunk& chunk);
    // Encodes the chunk's data anew and compares all digests with its record: false means that data and parity disagree, though each
    // shard is what was written. Errors: as read.
    Task<Result<bool>> cross_check(const Context& ctx, const Chunk& chunk);
    // Removes its shards from all usable stores; those on others become orphans, for the collector.
    Task<> remove(const Context& ctx, const Chunk& chunk) override;
    void committed(const Chunk& chunk) override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// VolumeFixture: a whole file system over memory models: metadata that can lose their power, chunks that cannot.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cluster/fs/cluster_file_system.h"
#include "tests/sim/memory_meta_store.h"
#include "tests/sim/world.h"

namespace strata::sim {

// Chunks in a map.
class MemoryChunks final : public cluster::ChunkIo {
public:
    Task<Result<cluster::Chunk>> write(const Context& ctx, cluster::ChunkId id, cluster::Geometry wanted, BufferChain data) override;
    Task<Result<BufferChain>> read(const Context& ctx, const cluster::Chunk& chunk, std::uint32_t offset, std::uint32_t length) override;
    Task<> remove(const Context& ctx, const cluster::Chunk& chunk) override;
    std::size_t count() const { return chunks_.size(); }

private:
    std::map<cluster::ChunkId, BufferChain> chunks_;
};

class VolumeFixture {
public:
    explicit VolumeFixture(std::uint64_t seed);
    ~VolumeFixture();

    // Power off, and on again from what was durable.
    void crash();
    // Orderly.
    void restart();

    template <class T>
    T run(Task<T> task) {
        return world.run(std::move(task));
    }
    // A context for uid/gid with a commit point of its own.
    Context as(std::uint32_t uid, std::uint32_t gid);
    Context root() { return as(0, 0); }
    vfs::CreateRequest file(std::uint32_t mode = 0644) const;
    vfs::CreateRequest folder(std::uint32_t mode = 0755) const;

    World world;
    cluster::VolumeConfig config;  // of the next opening
    MemoryChunks chunks;
    std::unique_ptr<MemoryMetaStore> meta;
    std::unique_ptr<cluster::Volume> volume;
    std::unique_ptr<cluster::ClusterFileSystem> fs;

private:
    void open(MetaImage image);
    void close();

    Log log_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Credentials> people_;
    CommitPoint commit_point_;
};

}  // namespace strata::sim

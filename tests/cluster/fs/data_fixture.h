// SPDX-License-Identifier: Apache-2.0
// DataFixture: a data engine over memory models: metadata that can lose their power, chunks that can be slow and fail by seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/fs/data_engine.h"
#include "cluster/fs/file_data.h"
#include "tests/sim/memory_meta_store.h"
#include "tests/sim/world.h"

namespace strata::sim {

// Chunks in a map. What is handed to write() must not change until it ends: that is checked, and a change ends the test.
class FaultyChunks final : public cluster::ChunkIo {
public:
    explicit FaultyChunks(World& world) : world_(world) {}

    Task<Result<cluster::Chunk>> write(const Context& ctx, cluster::ChunkId id, cluster::Geometry wanted, BufferChain data) override;
    Task<Result<BufferChain>> read(const Context& ctx, const cluster::Chunk& chunk, std::uint32_t offset, std::uint32_t length) override;
    Task<> remove(const Context& ctx, const cluster::Chunk& chunk) override;

    Duration latency_max = Duration::zero();
    double write_fails = 0, read_fails = 0;  // probabilities
    Errc write_error = Errc::io;
    bool hold_writes = false;  // writes wait until it is false again
    std::function<void(cluster::ChunkId)> on_remove;
    void committed(const cluster::Chunk& chunk) override {
        if (on_committed) on_committed(chunk.id);
    }
    std::function<void(cluster::ChunkId)> on_committed;
    std::map<cluster::ChunkId, std::string> chunks;
    std::map<cluster::ChunkId, cluster::Geometry> geometries;
    std::size_t writes = 0, reads = 0, writing = 0;
    cluster::Chunk read_last;  // the record that the last read was given

private:
    Task<> take_time();
    World& world_;
};

struct DataSettings {
    cluster::DataConfig config;
    std::string policy = "ec-2+1";
    std::uint64_t available = 1u << 30;
    bool background = false;  // start() the engine
};

class DataFixture {
public:
    explicit DataFixture(std::uint64_t seed = 1, DataSettings settings = {});
    ~DataFixture();

    void crash();    // power off, and on from what was durable; nodes have to be loaded again
    void restart();  // the same in order: all flushed, applied
    cluster::NodePtr make_file(std::uint32_t mode = 0644);
    cluster::NodePtr load(cluster::InodeNumber number);

    template <class T>
    T run(Task<T> task) {
        return world.run(std::move(task));
    }
    // For steps that go on beside others. Their results are looked at by what they do.
    void spawn(std::function<Task<>()> body) { tasks_.spawn(world.executor(), std::move(body)); }
    void wait_spawned();

    Result<vfs::WriteResult> write(const cluster::NodePtr& node, std::uint64_t offset, std::string_view bytes,
                                   vfs::Stability wanted = vfs::Stability::unstable);
    Result<std::string> read(const cluster::NodePtr& node, std::uint64_t offset, std::uint32_t count);
    std::string read_all(const cluster::NodePtr& node);  // fails the test on an error
    Result<> commit(const cluster::NodePtr& node);
    Result<> set_size(const cluster::NodePtr& node, std::uint64_t size);  // durable
    Task<Result<>> set_size_task(cluster::NodePtr node, std::uint64_t size);
    Result<> deallocate(const cluster::NodePtr& node, std::uint64_t offset, std::uint64_t length);
    Result<> allocate(const cluster::NodePtr& node, std::uint64_t offset, std::uint64_t length);
    Result<> clone(const cluster::NodePtr& source, std::uint64_t source_offset, const cluster::NodePtr& target, std::uint64_t target_offset,
                   std::uint64_t length);
    // The last name goes: content and inode.
    void remove(const cluster::NodePtr& node);
    // "data:0+4096 hole:4096+4096"
    std::string map_of(const cluster::NodePtr& node);
    Result<> settle();
    // Flushes, tidies and lets time pass until metadata and chunks agree and are compared: every chunk row counts its extents, and (with
    // `no_orphans`) every stored chunk has a row.
    void check_references(bool no_orphans = true);
    const MetaTables& applied();  // after everything submitted is applied

    std::size_t extents_of(const cluster::NodePtr& node);
    Context ctx(std::uint32_t uid = 0);

    World world;
    DataSettings settings;
    FaultyChunks chunks;
    std::unique_ptr<MemoryMetaStore> meta;
    std::unique_ptr<cluster::DataEngine> data;
    CommitPoint commit_point;

private:
    void open(MetaImage image);
    void close();
    // The one node of that number since the last opening.
    Task<Result<cluster::NodePtr>> node_of(cluster::InodeNumber number);

    Log log_;
    std::map<std::uint32_t, Credentials> people_;
    TaskGroup tasks_;
    MetaImage image_;
    std::map<cluster::InodeNumber, std::weak_ptr<cluster::Node>> nodes_;
    std::uint64_t next_chunk_ = 1;
    cluster::MapId next_map_ = 1;
    cluster::InodeNumber next_inode_ = 100;
};

// `count` bytes that tell their place and `tag`.
std::string pattern(std::size_t count, unsigned tag);

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// VolumeFixture: wiring, and what a power cut leaves.
#include "tests/cluster/fs/volume_fixture.h"

namespace strata::sim {

Task<Result<cluster::Chunk>> MemoryChunks::write(const Context&, cluster::ChunkId id, cluster::Geometry wanted, BufferChain data) {
    cluster::Chunk chunk;
    chunk.id = id;
    chunk.geometry = wanted;
    chunk.length = static_cast<std::uint32_t>(data.size());
    chunk.shard_length = chunk.length;
    chunk.places.resize(static_cast<std::size_t>(wanted.shards()));
    for (std::size_t i = 0; i < chunk.places.size(); ++i) chunk.places[i].store = static_cast<cluster::StoreIndex>(i);
    if (!chunks_.emplace(id, std::move(data)).second) co_return fail(Errc::exists);
    co_return chunk;
}

Task<Result<BufferChain>> MemoryChunks::read(const Context&, const cluster::Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
    const auto it = chunks_.find(chunk.id);
    if (it == chunks_.end()) co_return fail(Errc::not_found);
    co_return it->second.sub(offset, length);
}

Task<> MemoryChunks::remove(const Context&, const cluster::Chunk& chunk) {
    chunks_.erase(chunk.id);
    co_return;
}

VolumeFixture::VolumeFixture(std::uint64_t seed) : world(seed), log_(world.log(), "test") { open({}); }

VolumeFixture::~VolumeFixture() { close(); }

void VolumeFixture::open(MetaImage image) {
    meta = std::make_unique<MemoryMetaStore>(world.runtime(), std::move(image));
    cluster::VolumeParts parts;
    parts.runtime = &world.runtime();
    parts.meta = meta.get();
    parts.stripes = &chunks;
    parts.policy = [](vfs::DomainId) { return cluster::Policy{}; };
    parts.space = [](vfs::DomainId) { return vfs::Space{1 << 30, 1 << 29, 1 << 29, 0, 0}; };
    volume = std::make_unique<cluster::Volume>(std::move(parts), config);
    fs = std::make_unique<cluster::ClusterFileSystem>(*volume);
    volume->data().start();
    const Context ctx = root();
    auto made = run(fs->make_root(ctx));
    if (!made) throw std::runtime_error("make_root: " + to_string(made.error()));
}

void VolumeFixture::close() {
    if (volume == nullptr) return;
    run(volume->data().stop());
    fs.reset();
    volume.reset();
    (void)meta->power_off();
    run(meta->stopped());
    meta.reset();
}

void VolumeFixture::crash() {
    MetaImage image = meta->power_off();
    close();
    open(std::move(image));
}

void VolumeFixture::restart() {
    const Context ctx = root();
    (void)run(volume->data().flush_all(ctx));
    (void)run(meta->close(ctx));
    MetaImage image = meta->image();
    close();
    open(std::move(image));
}

Context VolumeFixture::as(std::uint32_t uid, std::uint32_t gid) {
    auto& who = people_[{uid, gid}];
    who = {.uid = uid, .gid = gid, .groups = {}};
    Context ctx;
    ctx.clock = &world.clock();
    ctx.log = &log_;
    ctx.caller = &who;
    commit_point_ = {};
    ctx.commit_point = &commit_point_;
    return ctx;
}

vfs::CreateRequest VolumeFixture::file(std::uint32_t mode) const {
    vfs::CreateRequest request;
    request.attributes.mode = mode;
    return request;
}

vfs::CreateRequest VolumeFixture::folder(std::uint32_t mode) const {
    vfs::CreateRequest request = file(mode);
    request.type = vfs::FileType::directory;
    return request;
}

}  // namespace strata::sim

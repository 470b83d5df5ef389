// SPDX-License-Identifier: Apache-2.0
// DataFixture: wiring, shorthands, and the comparison of metadata with chunks.
#include "tests/cluster/fs/data_fixture.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace strata::sim {

using namespace strata::cluster;

namespace {

std::string text_of(const BufferChain& chain) {
    std::string text(chain.size(), '\0');
    chain.copy_to(std::as_writable_bytes(std::span(text)));
    return text;
}

}  // namespace

Task<> FaultyChunks::take_time() {
    if (latency_max > Duration::zero()) {
        co_await world_.clock().sleep_for(Duration(world_.random().below(static_cast<std::uint64_t>(latency_max.count()) + 1)));
    }
}

Task<Result<Chunk>> FaultyChunks::write(const Context&, ChunkId id, Geometry wanted, BufferChain data) {
    std::string bytes = text_of(data);
    ++writing;
    co_await take_time();
    while (hold_writes) co_await world_.clock().sleep_for(1ms);
    --writing;
    if (write_fails > 0 && world_.random().chance(write_fails)) co_return fail(write_error);
    if (text_of(data) != bytes) throw std::logic_error("the bytes of a chunk changed while it was written");
    if (bytes.empty() || bytes.size() > chunk_size_max) throw std::logic_error("a chunk of a wrong size");
    Chunk chunk;
    chunk.id = id;
    chunk.geometry = wanted;
    chunk.length = chunk.shard_length = static_cast<std::uint32_t>(bytes.size());
    chunk.places.resize(static_cast<std::size_t>(wanted.shards()));
    for (std::size_t i = 0; i < chunk.places.size(); ++i) chunk.places[i].store = static_cast<StoreIndex>(i);
    geometries[id] = wanted;
    if (!chunks.emplace(id, std::move(bytes)).second) throw std::logic_error("a chunk id was used twice");
    ++writes;
    co_return chunk;
}

Task<Result<BufferChain>> FaultyChunks::read(const Context&, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
    co_await take_time();
    ++reads;
    read_last = chunk;
    if (read_fails > 0 && world_.random().chance(read_fails)) co_return fail(Errc::io);
    const auto at = chunks.find(chunk.id);
    if (at == chunks.end()) co_return fail(Errc::not_found);
    if (offset + length > at->second.size()) throw std::logic_error("a read past the end of a chunk");
    co_return BufferChain::copy_of(std::string_view(at->second).substr(offset, length));
}

Task<> FaultyChunks::remove(const Context&, const Chunk& chunk) {
    co_await take_time();
    if (on_remove) on_remove(chunk.id);
    chunks.erase(chunk.id);
}

DataFixture::DataFixture(std::uint64_t seed, DataSettings s)
    : world(seed), settings(std::move(s)), chunks(world), log_(world.log(), "test") {
    chunks.on_remove = [this](ChunkId id) {
        const MetaImage durable = meta->image();
        for (const auto& [key, extent] : durable.tables.extents) {
            if (extent.chunk == id) throw std::logic_error("a chunk that durable metadata name was removed");
        }
    };
    open({});
}

DataFixture::~DataFixture() { close(); }

void DataFixture::open(MetaImage image) {
    meta = std::make_unique<MemoryMetaStore>(world.runtime(), std::move(image));
    next_map_ = meta->volume().next_map;
    const Policy policy = *Policy::parse(settings.policy);
    DataEngine::Parts parts;
    parts.runtime = &world.runtime();
    parts.meta = meta.get();
    parts.stripes = &chunks;
    parts.policy = [policy](vfs::DomainId) { return policy; };
    parts.new_chunk = [this] { return ChunkId{1, meta->volume().epoch, next_chunk_++}; };
    parts.new_map = [this] { return next_map_++; };
    parts.node = [this](const Context&, InodeNumber number) { return node_of(number); };
    parts.inode_end = [this] { return next_inode_; };
    parts.available = [this](vfs::DomainId) { return settings.available; };
    data = std::make_unique<DataEngine>(std::move(parts), settings.config);
    if (settings.background) data->start();
}

void DataFixture::wait_spawned() { (void)run(tasks_.wait(world.clock(), Instant::max())); }

void DataFixture::close() {
    if (meta == nullptr) return;
    chunks.hold_writes = false;
    meta->power_off();
    nodes_.clear();
    wait_spawned();
    run(data->stop());
    data.reset();
    run(meta->stopped());
    meta.reset();
}

void DataFixture::crash() {
    MetaImage image = meta->power_off();
    close();
    open(std::move(image));
}

void DataFixture::restart() {
    wait_spawned();
    EXPECT_TRUE(run(data->flush_all(ctx())));
    run(data->stop());
    EXPECT_TRUE(run(meta->close(ctx())));
    MetaImage image = meta->image();
    close();
    open(std::move(image));
}

Context DataFixture::ctx(std::uint32_t uid) {
    auto& who = people_[uid];
    who = {.uid = uid, .gid = uid, .groups = {}};
    commit_point = {};
    Context c;
    c.clock = &world.clock();
    c.log = &log_;
    c.caller = &who;
    c.commit_point = &commit_point;
    return c;
}

NodePtr DataFixture::make_file(std::uint32_t mode) {
    InodeRow row;
    row.number = next_inode_++;
    row.mode = mode;
    row.link_count = 1;
    row.map = next_map_++;
    row.change = 1;
    auto node = std::make_shared<Node>(row);
    node->pending = node->pending_any = meta->submit({PutInode{row}});
    nodes_[row.number] = node;
    return node;
}

NodePtr DataFixture::load(InodeNumber number) {
    auto node = run(node_of(number));
    return node ? *node : nullptr;
}

Task<Result<NodePtr>> DataFixture::node_of(InodeNumber number) {
    if (auto known = nodes_[number].lock()) co_return known;
    CO_TRY(row, co_await meta->inode({.clock = &world.clock()}, number));
    if (!row) co_return fail(Errc::stale);
    if (auto known = nodes_[number].lock()) co_return known;
    auto node = std::make_shared<Node>(*row);
    nodes_[number] = node;
    co_return node;
}

Result<vfs::WriteResult> DataFixture::write(const NodePtr& node, std::uint64_t offset, std::string_view bytes, vfs::Stability wanted) {
    return run(data->write(ctx(), node, offset, BufferChain::copy_of(bytes), wanted));
}

Result<std::string> DataFixture::read(const NodePtr& node, std::uint64_t offset, std::uint32_t count) {
    auto result = run(data->read(ctx(), node, offset, count));
    if (!result) return fail(result.error());
    return text_of(result->data);
}

std::string DataFixture::read_all(const NodePtr& node) {
    const auto size = static_cast<std::uint32_t>(node->row.size);
    auto bytes = read(node, 0, size);
    EXPECT_TRUE(bytes) << to_string(bytes.error());
    return bytes ? *bytes : std::string();
}

Result<> DataFixture::commit(const NodePtr& node) {
    auto done = run(data->commit(ctx(), node, 0, 0));
    if (!done) return fail(done.error());
    return {};
}

Result<> DataFixture::settle() { return run(meta->durable().wait(commit_point.index, world.clock(), Instant::max())); }

Task<Result<>> DataFixture::set_size_task(NodePtr node, std::uint64_t size) {
    const Context c = ctx();
    LogIndex index = 0;
    for (bool done = false; !done;) {
        CO_CHECK_OK(co_await data->prepare(c, node, size));
        std::lock_guard lock(node->mutex);
        Command command;
        done = data->set_size(*node, size, command);
        if (!done) continue;
        ++node->row.change;
        command.push_back(PutInode{node->durable_row()});
        index = node->pending = node->pending_any = meta->submit(std::move(command));
    }
    co_return co_await meta->durable().wait(index, world.clock(), Instant::max());
}

Result<> DataFixture::set_size(const NodePtr& node, std::uint64_t size) { return run(set_size_task(node, size)); }

Result<> DataFixture::deallocate(const NodePtr& node, std::uint64_t offset, std::uint64_t length) {
    CHECK_OK(run(data->deallocate(ctx(), node, offset, length)));
    return settle();
}

Result<> DataFixture::allocate(const NodePtr& node, std::uint64_t offset, std::uint64_t length) {
    CHECK_OK(run(data->allocate(ctx(), node, offset, length)));
    return settle();
}

Result<> DataFixture::clone(const NodePtr& source, std::uint64_t source_offset, const NodePtr& target, std::uint64_t target_offset,
                            std::uint64_t length) {
    CHECK_OK(run(data->clone(ctx(), source, source_offset, target, target_offset, length)));
    return settle();
}

void DataFixture::remove(const NodePtr& node) {
    std::lock_guard lock(node->mutex);
    Command command;
    data->discard(*node, command);
    command.push_back(DeleteInode{node->number});
    node->dead = true;
    node->pending = node->pending_any = meta->submit(std::move(command));
}

std::string DataFixture::map_of(const NodePtr& node) {
    std::string text;
    for (std::uint64_t at = 0; at < node->row.size;) {
        auto run_at = run(data->map(ctx(), node, at));
        EXPECT_TRUE(run_at);
        if (!run_at || run_at->length == 0) break;
        text += (text.empty() ? "" : " ") + std::string(run_at->hole ? "hole:" : "data:") + std::to_string(at) + "+" +
                std::to_string(run_at->length);
        at += run_at->length;
    }
    return text;
}

const MetaTables& DataFixture::applied() {
    while (meta->applied() < meta->submitted()) world.run_for(1ms);
    image_ = meta->image();
    return image_.tables;
}

void DataFixture::check_references(bool no_orphans) {
    wait_spawned();
    EXPECT_TRUE(run(data->flush_all(ctx())));
    applied();
    EXPECT_TRUE(run(data->tidy(ctx(), false)));
    applied();
    EXPECT_TRUE(run(data->tidy(ctx(), false)));
    const MetaTables& tables = applied();
    std::map<ChunkId, std::uint32_t> named;
    for (const auto& [key, extent] : tables.extents) {
        if (extent.chunk != ChunkId{}) ++named[extent.chunk];
    }
    EXPECT_EQ(named.size(), tables.chunks.size());
    for (const auto& [id, row] : tables.chunks) {
        EXPECT_EQ(row.references, named[id]) << "chunk " << id.counter;
        EXPECT_TRUE(chunks.chunks.contains(id)) << "chunk " << id.counter << " is lost";
    }
    EXPECT_TRUE(tables.reaps.empty());
    if (no_orphans) {
        EXPECT_EQ(chunks.chunks.size(), tables.chunks.size());
    }
}

std::size_t DataFixture::extents_of(const NodePtr& node) {
    std::lock_guard lock(node->mutex);
    return node->data == nullptr ? 0 : node->data->map.size();
}

std::string pattern(std::size_t count, unsigned tag) {
    std::string bytes(count, '\0');
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>((i * 31 + i / 4096 * 7 + tag * 101 + 1) & 0xff);
    return bytes;
}

}  // namespace strata::sim

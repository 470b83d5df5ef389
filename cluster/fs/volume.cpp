// SPDX-License-Identifier: Apache-2.0
// Volume: loading nodes, stamping changes, and the end of inodes.
#include "cluster/fs/volume.h"

#include <fmt/format.h>

#include "cluster/fs/directory.h"

namespace strata::cluster {

namespace {

constexpr const char* orphan_table = "orphan";

std::string orphan_key(InodeNumber number) { return fmt::format("{:016x}", number); }

}  // namespace

Volume::Volume(VolumeParts parts, VolumeConfig config)
    : parts_(std::move(parts)),
      config_(config),
      pool_(parts_.runtime->make_pool("fs.evict", 1)),
      nodes_(
          config.nodes_max,
          [this](const Node& node) {
              return node.pending_any <= parts_.meta->applied() && !node.unflushed && node.pins == 0 &&
                     (node.directory == nullptr || !node.directory->loading()) && (node.data == nullptr || !data_->busy(node));
          },
          [this](NodePtr node) { pool_->post([last = std::move(node)]() mutable { last.reset(); }); }),
      next_inode_(std::max<InodeNumber>(parts_.meta->volume().next_inode, root_inode + 1)),
      next_map_(std::max<MapId>(parts_.meta->volume().next_map, 1)) {
    DataEngine::Parts p;
    p.runtime = parts_.runtime;
    p.meta = parts_.meta;
    p.stripes = parts_.stripes;
    p.policy = parts_.policy;
    p.new_chunk = [this] { return new_chunk(); };
    p.new_map = [this] { return new_map(); };
    p.node = [this](const Context& ctx, InodeNumber number) { return node_of(ctx, number); };
    p.inode_end = [this] { return next_inode_.load(std::memory_order_relaxed); };
    p.weigh = [this](Node& node) { nodes_.weigh(node); };
    p.available = [this](vfs::DomainId domain) { return parts_.space(domain).available_bytes; };
    data_ = std::make_unique<DataEngine>(std::move(p), config.data);
    inode_count = static_cast<std::int64_t>(parts_.meta->volume().inode_count);
}

Volume::~Volume() = default;

ChunkId Volume::new_chunk() {
    const auto& v = parts_.meta->volume();
    return {v.number, v.epoch, next_chunk_.fetch_add(1, std::memory_order_relaxed)};
}

NodePtr Volume::find(vfs::FileId id) {
    NodePtr node = nodes_.find(id.inode);
    if (node == nullptr || node->generation != id.generation) return nullptr;
    return node;
}

void Volume::adopt(InodeRow& row) const {
    if (row.type == vfs::FileType::regular) row.change = std::max(row.change, parts_.meta->volume().change_floor);
}

Task<Result<NodePtr>> Volume::node_of(const Context& ctx, InodeNumber number) {
    if (NodePtr node = nodes_.find(number)) co_return node;
    nodes_.begin_load(number);
    auto row = co_await parts_.meta->inode(ctx, number);
    if (row && *row) adopt(**row);
    NodePtr node = nodes_.end_load(number, row ? std::move(*row) : std::nullopt);
    if (!row) co_return fail(std::move(row.error()));
    if (node == nullptr) co_return fail(Errc::stale);
    co_return node;
}

Task<Result<NodePtr>> Volume::node(const Context& ctx, vfs::FileId id) {
    CO_TRY(node, co_await node_of(ctx, id.inode));
    if (node->generation != id.generation) co_return fail(Errc::stale);
    {
        std::lock_guard lock(node->mutex);
        if (node->dead) co_return fail(Errc::stale);
    }
    co_return std::move(node);
}

Task<Result<std::vector<NodePtr>>> Volume::preload(const Context& ctx, const std::vector<InodeNumber>& numbers) {
    std::vector<NodePtr> nodes;
    std::vector<InodeNumber> missing;
    for (auto number : numbers) {
        nodes.push_back(nodes_.find(number));
        if (nodes.back() == nullptr) missing.push_back(number);
    }
    if (missing.empty()) co_return nodes;
    for (auto number : missing) nodes_.begin_load(number);
    auto rows = co_await parts_.meta->inodes(ctx, missing);
    std::unordered_map<InodeNumber, InodeRow> by_number;
    if (rows) {
        for (auto& row : *rows) {
            adopt(row);
            by_number.emplace(row.number, std::move(row));
        }
    }
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (nodes[i] != nullptr) continue;
        auto it = by_number.find(numbers[i]);
        nodes[i] = nodes_.end_load(numbers[i], it == by_number.end() ? std::nullopt : std::optional(std::move(it->second)));
    }
    if (!rows) co_return fail(std::move(rows.error()));
    co_return nodes;
}

void Volume::touch_directory(Node& node) const {
    node.row.modify_time = node.row.change_time = now();
    ++node.row.change;
}

void Volume::touch(Node& node) const {
    node.row.change_time = now();
    ++node.row.change;
}

LogIndex Volume::submit(Command command, std::initializer_list<Node*> nodes) {
    for (Node* node : nodes) command.push_back(PutInode{node->durable_row()});
    const LogIndex index = parts_.meta->submit(std::move(command));
    for (Node* node : nodes) {
        node->pending = node->pending_any = index;
        nodes_.weigh(*node);
    }
    return index;
}

void Volume::free_content(Node& node, Command& command) {
    if (node.type == vfs::FileType::regular) data_->discard(node, command);
    command.push_back(DeleteInode{node.number});
    node.dead = true;
    node.unflushed = false;
    inode_count.fetch_sub(1, std::memory_order_relaxed);
}

void Volume::drop_if_unreferenced(Node& node, Command& command) {
    if (node.row.link_count > 0) {
        command.push_back(PutInode{node.durable_row()});
        return;
    }
    node.removed = true;
    if (node.pins > 0) {
        command.push_back(PutInode{node.durable_row()});
        command.push_back(PutRecord{{orphan_table, orphan_key(node.number), ""}});
        return;
    }
    free_content(node, command);
}

void Volume::unpin(const NodePtr& node) {
    std::lock_guard lock(node->mutex);
    if (node->pins.fetch_sub(1) != 1 || !node->removed || node->dead) return;
    Command command{DeleteRecord{{orphan_table, orphan_key(node->number)}}};
    free_content(*node, command);
    node->pending = node->pending_any = parts_.meta->submit(std::move(command));
}

Task<Result<>> Volume::reap_orphans(const Context& ctx) {
    CO_TRY(records, co_await parts_.meta->records(ctx, orphan_table));
    for (const auto& record : records) {
        const InodeNumber number = std::stoull(record.key, nullptr, 16);
        auto found = co_await node_of(ctx, number);
        if (!found) continue;
        const NodePtr& node = *found;
        std::lock_guard lock(node->mutex);
        if (node->dead || node->row.link_count > 0) continue;
        node->removed = true;  // opened again since the restart: its last unpin frees it
        if (node->pins > 0) continue;
        Command command{DeleteRecord{{orphan_table, record.key}}};
        free_content(*node, command);
        node->pending = node->pending_any = parts_.meta->submit(std::move(command));
    }
    co_return Result<>{};
}

}  // namespace strata::cluster

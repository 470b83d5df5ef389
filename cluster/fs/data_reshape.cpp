// SPDX-License-Identifier: Apache-2.0
// DataEngine: content that changes by metadata alone: size, holes, allocation, clones, the end of a file.
#include "cluster/fs/data_phases.h"

namespace strata::cluster {

namespace {

constexpr std::uint64_t whole_file = UINT64_MAX;
constexpr int attempts_max = 64;
constexpr std::size_t extents_per_step = 1000;      // that one command of a shortening or of a new hole touches
constexpr std::size_t clone_extents_max = 200'000;  // of both files, in one command

// Both mutexes, in order of inode number; one if it is the same file.
struct PairLock {
    PairLock(Node& a, Node& b) : first(a.number <= b.number ? a.mutex : b.mutex) {
        if (&a != &b) second = std::unique_lock(a.number <= b.number ? b.mutex : a.mutex);
    }
    std::unique_lock<std::mutex> first, second;
};

}  // namespace

void DataEngine::Impl::cut(Node& node, std::uint64_t from, std::uint64_t to, Command& command) {
    FileData& d = *node.data;
    d.dirty.erase(from, to);
    d.flushing.erase(from, to);
    std::string& small = node.row.inline_data;
    if (to >= small.size()) {
        small.resize(std::min<std::uint64_t>(small.size(), from));
    } else if (from < to) {
        std::fill(small.begin() + static_cast<std::ptrdiff_t>(from), small.begin() + static_cast<std::ptrdiff_t>(to), '\0');
    }
    MapEdit edit(d.map, node.row.map);
    edit.erase(from, to);
    References references;
    edit.finish(command, references);
    adjust(command, references, {});
    reaper.dropped(std::move(references.dropped), d.self.lock());
    core.set_allocated(node);
    core.count(d);
}

void DataEngine::Impl::submit(const Context& ctx, const NodePtr& node, Command command) {
    command.push_back(PutInode{node->durable_row()});
    const LogIndex index = core.meta().submit(std::move(command));
    node->pending = node->pending_any = index;
    if (ctx.commit_point != nullptr) ctx.commit_point->raise(index);
}

Task<Result<>> DataEngine::prepare(const Context& ctx, NodePtr node, std::uint64_t size) {
    DataCore& core = impl_->core;
    for (;;) {
        CO_CHECK_OK(co_await core.load(ctx, node));
        {
            std::lock_guard lock(node->mutex);
            if (node->dead) co_return fail(Errc::stale);
            if (!node->data->loaded) continue;
            if (size == 0 || size >= node->row.size) co_return Result<>{};
            const std::uint64_t step = node->data->map.tail(size, extents_per_step);
            if (step <= size) co_return Result<>{};
            Command command;
            if (!set_size(*node, step, command)) continue;
            node->row.modify_time = node->row.change_time = core.clock().wall_time();
            ++node->row.change;
            impl_->submit(ctx, node, std::move(command));
        }
        CO_CHECK_OK(co_await core.meta().admit(ctx));
    }
}

bool DataEngine::set_size(Node& node, std::uint64_t size, Command& command) {
    DataCore& core = impl_->core;
    if (node.data != nullptr) core.know_empty_map(node);
    const bool has_extents = !core.has_no_extents(node);
    if (size == 0) {
        discard(node, command);
        if (has_extents) node.row.map = core.parts.new_map();
    } else if (size < node.row.size) {
        if (has_extents && (node.data == nullptr || !node.data->loaded)) return false;
        if (node.data != nullptr) {
            impl_->cut(node, size, whole_file, command);
        } else if (node.row.inline_data.size() > size) {
            node.row.inline_data.resize(size);
        }
    }
    node.row.size = node.durable_size = size;
    if (node.data != nullptr) {
        FileData& d = *node.data;
        d.flush_size = std::min(d.flush_size, size);
        d.changed_at = core.clock().now();
        if (d.dirty.empty() && !d.flush_active) {
            d.flushed_up_to = d.written;
            core.clean(node);
        }
    }
    return true;
}

void DataEngine::discard(Node& node, Command& command) {
    DataCore& core = impl_->core;
    if (!core.has_no_extents(node)) {
        command.push_back(PutReap{{node.row.map, 0}});
        impl_->reaper.expect(node.row.map);
    }
    node.row.inline_data.clear();
    node.row.allocated = 0;
    if (node.data == nullptr) return;
    FileData& d = *node.data;
    d.dirty.clear();
    d.flushing.clear();
    d.map = ExtentMap();
    d.loaded = true;
    d.crowded.clear();
    core.count(d);
    core.clean(node);
}

Task<Result<>> DataEngine::deallocate(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint64_t length) {
    DataCore& core = impl_->core;
    for (;;) {
        CO_CHECK_OK(co_await core.meta().admit(ctx));
        CO_CHECK_OK(co_await core.load(ctx, node));
        std::lock_guard lock(node->mutex);
        if (node->dead) co_return fail(Errc::stale);
        if (!node->data->loaded) continue;
        const std::uint64_t end = length > node->row.size - std::min(offset, node->row.size) ? node->row.size : offset + length;
        if (offset >= end) co_return Result<>{};
        const std::uint64_t step = node->data->map.reach(offset, end, extents_per_step);
        Command command;
        impl_->cut(*node, offset, step, command);
        impl_->stamp(ctx, *node);
        node->data->changed_at = core.clock().now();
        impl_->submit(ctx, node, std::move(command));
        if (step == end) co_return Result<>{};
        length -= std::min(length, step - offset);
        offset = step;
    }
}

Task<Result<>> DataEngine::Impl::prepare_extents(const Context& ctx, NodePtr node) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        CO_CHECK_OK(co_await core.load(ctx, node));
        {
            std::lock_guard lock(node->mutex);
            if (node->dead) co_return fail(Errc::stale);
            FileData& d = *node->data;
            const std::string& small = node->row.inline_data;
            if (d.loaded && small.empty()) co_return Result<>{};
            d.must_chunk = true;
            if (!d.flush_active && !small.empty()) {
                DirtyRanges stored;
                stored.put(0,
                           {BufferChain::copy_of(std::string_view(small)).flatten(), 0, static_cast<std::uint32_t>(small.size()), false});
                d.dirty.put_under(stored);
                core.changed(node);
            }
        }
        CO_CHECK_OK(co_await flusher.flush(ctx, node));
    }
    co_return fail(Errc::delay);
}

Task<Result<>> DataEngine::allocate(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint64_t length) {
    DataCore& core = impl_->core;
    if (offset > vfs::file_size_max || length > vfs::file_size_max - offset) co_return fail(Errc::too_big);
    CO_CHECK_OK(core.check_space(node->row.domain, length));
    CO_CHECK_OK(co_await core.meta().admit(ctx));
    const std::uint64_t end = offset + length;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        CO_CHECK_OK(co_await core.load(ctx, node));
        {
            std::lock_guard lock(node->mutex);
            if (node->dead) co_return fail(Errc::stale);
            FileData& d = *node->data;
            const bool stays_inline = end <= inline_size_max && node->row.size <= inline_size_max && d.map.empty() && !d.must_chunk;
            if (d.loaded && (stays_inline || node->row.inline_data.empty())) {
                Command command;
                if (!stays_inline) {
                    std::vector<std::pair<std::uint64_t, std::uint64_t>> gaps;
                    d.map.visit(
                        offset, end, [](std::uint64_t, const MappedExtent&, std::uint64_t, std::uint64_t) { return true; },
                        [&](std::uint64_t from, std::uint64_t to) {
                            gaps.emplace_back(from, to);
                            return true;
                        });
                    MapEdit edit(d.map, node->row.map);
                    for (const auto& [from, to] : gaps) edit.assign(from, to - from, nullptr, 0);
                    References references;
                    edit.finish(command, references);
                }
                node->row.size = std::max(node->row.size, end);
                node->durable_size = std::max(node->durable_size, end);
                core.set_allocated(*node);
                impl_->stamp(ctx, *node);
                impl_->submit(ctx, node, std::move(command));
                co_return Result<>{};
            }
        }
        CO_CHECK_OK(co_await impl_->prepare_extents(ctx, node));
    }
    co_return fail(Errc::delay);
}

bool DataEngine::Impl::clone_inline(const Context& ctx, const NodePtr& source, const NodePtr& target, std::uint64_t length) {
    FileData& to = *target->data;
    const bool fits = !source->row.inline_data.empty() && length == source->row.size && length <= inline_size_max && source != target &&
                      source->data->dirty.empty() && source->data->flushing.empty() && to.loaded && to.map.empty() && !to.flush_active &&
                      target->row.size <= length;
    if (!fits) return false;
    to.dirty.clear();
    core.count(to);
    target->row.inline_data = source->row.inline_data;
    target->row.size = target->durable_size = length;
    core.set_allocated(*target);
    stamp(ctx, *target);
    submit(ctx, target, {});
    to.flushed_up_to = to.written;
    core.clean(*target);
    return true;
}

bool DataEngine::Impl::clone_extents(const Context& ctx, const NodePtr& source, std::uint64_t source_offset, const NodePtr& target,
                                     std::uint64_t target_offset, std::uint64_t length) {
    FileData& from = *source->data;
    FileData& to = *target->data;
    const std::uint64_t source_end = source_offset + length;
    if (!from.loaded || !to.loaded || !source->row.inline_data.empty() || !target->row.inline_data.empty()) return false;
    if (from.dirty.touches(source_offset, source_end) || from.flushing.touches(source_offset, source_end)) return false;
    struct Piece {
        std::uint64_t offset, length;
        ChunkPtr chunk;
        std::uint32_t chunk_offset;
    };
    std::vector<Piece> pieces;  // copied first: source and target may be one file
    from.map.visit(
        source_offset, source_end,
        [&](std::uint64_t at, const MappedExtent& e, std::uint64_t skip, std::uint64_t count) {
            pieces.push_back({at - source_offset + target_offset, count, e.chunk, e.chunk_offset + static_cast<std::uint32_t>(skip)});
            return true;
        },
        [](std::uint64_t, std::uint64_t) { return true; });
    to.dirty.erase(target_offset, target_offset + length);
    to.flushing.erase(target_offset, target_offset + length);
    core.count(to);
    MapEdit edit(to.map, target->row.map);
    edit.erase(target_offset, target_offset + length);
    for (const auto& piece : pieces) edit.assign(piece.offset, piece.length, piece.chunk, piece.chunk == nullptr ? 0 : piece.chunk_offset);
    Command command;
    References references;
    edit.finish(command, references);
    adjust(command, references, {});
    target->row.size = std::max(target->row.size, target_offset + length);
    target->durable_size = std::max(target->durable_size, target_offset + length);
    core.set_allocated(*target);
    stamp(ctx, *target);
    to.changed_at = core.clock().now();
    submit(ctx, target, std::move(command));
    reaper.dropped(std::move(references.dropped), target->pending_any);
    return true;
}

Task<Result<>> DataEngine::clone(const Context& ctx, NodePtr source, std::uint64_t source_offset, NodePtr target,
                                 std::uint64_t target_offset, std::uint64_t length) {
    DataCore& core = impl_->core;
    const bool to_end = length == 0;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        CO_CHECK_OK(co_await impl_->flusher.flush(ctx, source));
        CO_CHECK_OK(co_await core.load(ctx, source));
        CO_CHECK_OK(co_await core.load(ctx, target));
        bool small = false;
        {
            PairLock lock(*source, *target);
            if (source->dead || target->dead) co_return fail(Errc::stale);
            const std::uint64_t size = source->row.size;
            if (source_offset > size || (!to_end && length > size - source_offset)) co_return fail(Errc::invalid_argument);
            if (to_end) length = size - source_offset;
            if (length == 0) co_return Result<>{};
            if (target_offset > vfs::file_size_max || length > vfs::file_size_max - target_offset) co_return fail(Errc::too_big);
            const bool aligned =
                (source_offset | target_offset) % data_page_size == 0 && (length % data_page_size == 0 || source_offset + length == size);
            const bool overlap = source == target && source_offset < target_offset + length && target_offset < source_offset + length;
            if (!aligned || overlap) co_return fail(Errc::invalid_argument);
            if (source_offset == 0 && target_offset == 0 && impl_->clone_inline(ctx, source, target, length)) co_return Result<>{};
            small = !source->row.inline_data.empty();
            const std::size_t extents = source->data->map.count(source_offset, source_offset + length, clone_extents_max) +
                                        target->data->map.count(target_offset, target_offset + length, clone_extents_max);
            if (extents > clone_extents_max) co_return fail(Errc::too_big, "too many extents for one clone");
            if (!small && impl_->clone_extents(ctx, source, source_offset, target, target_offset, length)) co_return Result<>{};
        }
        if (small) CO_CHECK_OK(co_await impl_->prepare_extents(ctx, source));
        CO_CHECK_OK(co_await impl_->prepare_extents(ctx, target));
    }
    co_return fail(Errc::delay);  // somebody writes to the source faster than it can be flushed
}

}  // namespace strata::cluster

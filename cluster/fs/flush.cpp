// SPDX-License-Identifier: Apache-2.0
// Flusher: waiting for a flush; taking a generation, cutting it into chunks and writing them.
#include "cluster/fs/flush.h"

#include <boost/asio/this_coro.hpp>

#include "server/base/assert.h"

namespace strata::cluster {

namespace {

constexpr std::size_t chunk_writes_at_once = 8;
constexpr std::size_t parts_per_chunk = 1024;

}  // namespace

bool Flusher::is_clean(const Node& node) {
    const FileData& d = *node.data;
    return d.dirty.empty() && d.flushing.empty() && !d.flush_active && !node.unflushed;
}

bool Flusher::flush_row_only(const NodePtr& node) {
    FileData& d = *node->data;
    InodeRow& row = node->row;
    if (d.flush_active || !d.loaded) return false;
    if (!d.dirty.empty()) {
        if (row.size > inline_size_max || !d.map.empty() || d.must_chunk) return false;
        if (row.inline_data.size() < d.dirty.end()) row.inline_data.resize(d.dirty.end());
        for (const auto& [offset, piece] : d.dirty.pieces()) {
            std::memcpy(row.inline_data.data() + offset, piece.bytes().data(), piece.length);
        }
        d.dirty.clear();
        core_.set_allocated(*node);
    }
    node->durable_size = row.size;
    d.flush_index = core_.meta().submit({PutInode{node->durable_row()}});
    d.flushed_up_to = d.written;
    core_.carried(*node, d.flush_index);
    core_.clean(*node);
    core_.count(d);
    return true;
}

bool Flusher::nothing_to_flush(Node& node, LogIndex& carried) {
    std::lock_guard lock(node.mutex);
    if (node.dead || node.unflushed) return false;
    if (node.data == nullptr) return true;
    carried = node.data->flush_index;
    return is_clean(node) && node.data->ticket == 0;
}

Task<Result<>> Flusher::flush(const Context& ctx, NodePtr node) {
    std::optional<std::uint64_t> wanted;
    std::uint64_t failures = 0;
    for (;;) {
        LogIndex carried = 0;
        if (nothing_to_flush(*node, carried)) co_return co_await core_.meta().durable().wait(carried, core_.clock(), ctx.deadline);
        CO_CHECK_OK(co_await core_.load(ctx, node));
        CO_CHECK_OK(co_await core_.meta().admit(ctx));
        std::shared_ptr<Signal> ended;
        std::uint64_t next = 0;
        LogIndex index = 0;
        bool mine = false;
        {
            std::lock_guard lock(node->mutex);
            if (node->dead) co_return fail(Errc::stale);
            FileData& d = core_.data_of(node);
            if (!d.loaded) continue;
            if (!wanted) {
                wanted = d.written;
                failures = d.failures;
            }
            if (d.failures != failures && d.failed_up_to >= *wanted) co_return fail(*d.failure);
            if (is_clean(*node)) core_.clean(*node);
            if (d.flushed_up_to >= *wanted || is_clean(*node) || flush_row_only(node)) {
                index = d.flush_index;
            } else {
                next = core_.flush_ended(d).value() + 1;
                ended = d.flush_ended;
                mine = !std::exchange(d.flush_active, true);
            }
        }
        if (ended == nullptr) co_return co_await core_.meta().durable().wait(index, core_.clock(), ctx.deadline);
        if (mine) {
            // Not in the caller's coroutine: a request may be given up, its flush not.
            const auto home = co_await boost::asio::this_coro::executor;
            std::vector<NodePtr> files{node};
            if (!core_.tasks.spawn(home, [this, files] { return flush_round(files); })) co_await flush_round(std::move(files));
        }
        CO_CHECK_OK(co_await ended->wait(next, core_.clock(), ctx.deadline));
    }
}

Task<> Flusher::flush_round(std::vector<NodePtr> files) {
    Round round;
    round.files = std::move(files);
    round.policy = core_.parts.policy(round.files.front()->row.domain);
    for (std::size_t i = 0; i < round.files.size(); ++i) take(round, i);
    co_await core_.run_all(round.chunks.size(), chunk_writes_at_once,
                           [this, &round](std::size_t i) { return write_chunk(round, round.chunks[i]); });
    if (!round.error) {
        auto admitted = co_await core_.meta().admit(core_.internal);
        if (!admitted) round.error = admitted.error();
    }
    std::vector<ChunkPtr> written;
    if (round.error) {
        put_back(round, *round.error);
        for (const auto& chunk : round.chunks) {
            if (chunk.written != nullptr) written.push_back(chunk.written);
        }
    } else {
        commit(round);
        for (const auto& chunk : round.chunks) {
            if (chunk.parts.empty()) written.push_back(chunk.written);  // all of it was cut meanwhile
        }
    }
    for (const auto& chunk : written) co_await core_.chunks().remove(core_.internal, *chunk);
}

void Flusher::take(Round& round, std::size_t file) {
    Node& node = *round.files[file];
    std::lock_guard lock(node.mutex);
    FileData& d = *node.data;
    STRATA_ASSERT(d.flush_active && d.flushing.empty());
    if (node.dead) return;
    d.flushing.put_under(d.dirty);
    if (!node.row.inline_data.empty() && !d.flushing.empty()) {  // the file outgrew its row
        DirtyRanges stored;
        stored.put(0, {BufferChain::copy_of(std::string_view(node.row.inline_data)).flatten(), 0,
                       static_cast<std::uint32_t>(node.row.inline_data.size()), false});
        d.flushing.put_under(stored);
    }
    d.flushing_up_to = d.written;
    d.flush_size = node.row.size;
    if (d.ticket != 0) core_.queue.remove(std::exchange(d.ticket, 0));
    core_.count(d);
    cut(round, file);
}

void Flusher::cut(Round& round, std::size_t file) {
    Part part{.file = file};
    BufferChain run;
    auto close = [&] {
        part.length = static_cast<std::uint32_t>(run.size());
        if (run.size() >= coded_size_min) {
            NewChunk& chunk = round.chunks.emplace_back();
            chunk.parts.push_back(part);
            chunk.data = std::move(run);
        } else if (!run.empty()) {
            pack(round, part, std::move(run));
        }
        run = BufferChain();
    };
    for (const auto& [begin, piece] : round.files[file]->data->flushing.pieces()) {
        const std::uint64_t end = begin + piece.length;
        for (std::uint64_t at = begin; at < end;) {
            if (at != part.offset + run.size() || at % chunk_size_max == 0) close();
            if (run.empty()) part.offset = at;
            const std::uint64_t count = std::min(end - at, chunk_size_max - at % chunk_size_max);
            run.append(piece.store.sub(piece.skip + (at - begin), count));
            at += count;
        }
    }
    close();
}

void Flusher::pack(Round& round, Part part, BufferChain data) {
    NewChunk* chunk = nullptr;
    for (auto it = round.chunks.rbegin(); it != round.chunks.rend() && chunk == nullptr; ++it) {
        if (it->packed) chunk = &*it;
    }
    if (chunk == nullptr || chunk->data.size() + data.size() > chunk_size_max || chunk->parts.size() == parts_per_chunk) {
        chunk = &round.chunks.emplace_back();
        chunk->packed = true;
    }
    part.chunk_offset = static_cast<std::uint32_t>(chunk->data.size());
    chunk->data.append(data);
    chunk->parts.push_back(part);
}

Task<> Flusher::write_chunk(Round& round, NewChunk& chunk) {
    if (round.error) co_return;
    const bool one_file = chunk.parts.front().file == chunk.parts.back().file;
    const bool coded = chunk.data.size() >= coded_size_min && one_file;
    const Geometry wanted = coded ? round.policy.full : round.policy.replicated();
    auto written = co_await core_.chunks().write(core_.internal, core_.parts.new_chunk(), wanted, chunk.data);
    if (!written) {
        if (!round.error) round.error = written.error();
        co_return;
    }
    chunk.written = std::make_shared<const Chunk>(std::move(*written));
    core_.cache.insert_all(chunk.written->id, 0, chunk.data);
}

}  // namespace strata::cluster

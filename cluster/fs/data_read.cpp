// SPDX-License-Identifier: Apache-2.0
// DataEngine: reads: from memory without suspending, else through chunks, with read-ahead; and the map of data and holes.
#include <boost/asio/this_coro.hpp>

#include "cluster/fs/data_phases.h"

namespace strata::cluster {

namespace {

constexpr std::uint32_t window_first = 512 << 10, window_longest = 8 << 20;  // bytes read ahead
constexpr int attempts_max = 4;

// All of [from, to) if it is in memory. mutex held.
bool read_from_memory(const Node& node, ChunkReader& reader, std::uint64_t from, std::uint64_t to, BufferChain& out) {
    return for_each_part(node, from, to, [&](FilePart part) {
        switch (part.kind) {
            case FilePart::Kind::memory: out.append(std::move(part.bytes)); return true;
            case FilePart::Kind::hole: out.append(BufferChain::zeros(part.length)); return true;
            case FilePart::Kind::chunk:
                return reader.read_cached(part.chunk->id, part.chunk_offset, static_cast<std::uint32_t>(part.length), out);
        }
        return false;
    });
}

std::vector<FilePart> parts_of(const Node& node, std::uint64_t from, std::uint64_t to) {
    std::vector<FilePart> parts;
    for_each_part(node, from, to, [&](FilePart part) {
        parts.push_back(std::move(part));
        return true;
    });
    return parts;
}

}  // namespace

Task<> DataEngine::Impl::fetch_ahead(NodePtr node, std::uint64_t from, std::uint64_t to) {
    ReadTickets::Ticket ticket(reaper.tickets());
    std::vector<FilePart> parts;
    {
        std::lock_guard lock(node->mutex);
        if (node->dead || node->data == nullptr || !node->data->loaded) co_return;
        to = std::min(to, node->row.size);
        if (from < to) parts = parts_of(*node, from, to);
    }
    for (const auto& part : parts) {
        if (part.kind != FilePart::Kind::chunk) continue;
        auto bytes = co_await core.reader.read(core.internal, part.chunk, part.chunk_offset, static_cast<std::uint32_t>(part.length));
        if (!bytes) co_return;  // who really reads it will see why
    }
}

// mutex held.
void DataEngine::Impl::read_ahead(const NodePtr& node, std::uint64_t offset, std::uint64_t end, const Executor& home) {
    FileData& d = *node->data;
    const bool sequential = offset == d.read_next;
    d.read_next = end;
    if (!sequential || offset == end) {
        d.read_ahead_window = 0;
        d.read_ahead_to = 0;
        return;
    }
    if (d.map.empty() || end >= node->row.size || end + d.read_ahead_window / 2 < d.read_ahead_to) return;
    d.read_ahead_window = std::clamp(2 * d.read_ahead_window, window_first, window_longest);
    if (core.cache.bytes_max() < 4 * std::size_t{d.read_ahead_window}) return;
    const std::uint64_t from = std::max(d.read_ahead_to, end);
    const std::uint64_t to = std::min(end + d.read_ahead_window, node->row.size);
    d.read_ahead_to = to;
    if (from < to) core.tasks.spawn(home, [this, node, from, to] { return fetch_ahead(node, from, to); });
}

Task<Result<bool>> DataEngine::Impl::refresh(const Context& ctx, NodePtr node, ChunkPtr chunk) {
    {
        std::lock_guard lock(node->mutex);
        if (node->dead) co_return fail(Errc::stale);
        if (node->data == nullptr || node->data->map.chunk(chunk->id) != chunk) co_return true;
    }
    CO_TRY(row, co_await core.meta().chunk(ctx, chunk->id));
    std::lock_guard lock(node->mutex);
    if (node->data->map.chunk(chunk->id) != chunk) co_return true;
    if (!row || row->chunk == *chunk) co_return false;
    node->data->map.replace(std::make_shared<const Chunk>(row->chunk));
    co_return true;
}

Task<Result<BufferChain>> DataEngine::Impl::read_parts(const Context& ctx, NodePtr node, std::vector<FilePart> parts) {
    BufferChain out;
    for (auto& part : parts) {
        if (part.kind == FilePart::Kind::memory) {
            out.append(std::move(part.bytes));
        } else if (part.kind == FilePart::Kind::hole) {
            out.append(BufferChain::zeros(part.length));
        } else {
            auto bytes = co_await core.reader.read(ctx, part.chunk, part.chunk_offset, static_cast<std::uint32_t>(part.length));
            if (!bytes) {
                const Error error = bytes.error();
                const bool perhaps_moved = error == Errc::not_found || error == Errc::io || error == Errc::corrupt;
                if (!perhaps_moved) co_return fail(error);
                CO_TRY(moved, co_await refresh(ctx, node, part.chunk));
                if (moved) co_return fail(Errc::busy);  // read() looks again
                co_return fail(error.code == Errc::not_found ? Error(Errc::io, "a chunk is lost") : error);
            }
            out.append(*bytes);
        }
    }
    co_return out;
}

Task<Result<vfs::ReadResult>> DataEngine::read(const Context& ctx, NodePtr node, std::uint64_t offset, std::uint32_t count) {
    DataCore& core = impl_->core;
    const Executor home = co_await boost::asio::this_coro::executor;
    std::optional<ReadTickets::Ticket> ticket;  // taken when chunks have to be read
    for (int attempt = 0;;) {
        vfs::ReadResult result;
        std::vector<FilePart> parts;
        bool loaded = false;
        {
            std::lock_guard lock(node->mutex);
            if (node->dead) co_return fail(Errc::stale);
            FileData& d = core.data_of(node);
            const std::uint64_t size = node->row.size;
            const std::uint64_t end = offset >= size ? offset : offset + std::min<std::uint64_t>(count, size - offset);
            result.end_of_file = end >= size;
            if (offset >= end) co_return result;
            core.know_empty_map(*node);
            loaded = d.loaded;
            if (loaded && ticket) {
                parts = parts_of(*node, offset, end);
            } else if (loaded) {
                const bool in_memory = read_from_memory(*node, core.reader, offset, end, result.data);
                impl_->read_ahead(node, offset, end, home);
                if (in_memory) co_return result;
            }
        }
        if (!loaded) {
            CO_CHECK_OK(co_await core.load(ctx, node));
            continue;
        }
        if (!ticket) {
            ticket.emplace(impl_->reaper.tickets());
            continue;
        }
        auto data = co_await impl_->read_parts(ctx, node, std::move(parts));
        if (data) {
            result.data = std::move(*data);
            co_return result;
        }
        if (data.error() != Errc::busy) co_return fail(data.error());
        if (++attempt == attempts_max) co_return fail(Errc::delay);
    }
}

Task<Result<vfs::Extent>> DataEngine::map(const Context& ctx, NodePtr node, std::uint64_t offset) {
    for (;;) {
        CO_CHECK_OK(co_await impl_->core.load(ctx, node));
        std::lock_guard lock(node->mutex);
        if (node->dead) co_return fail(Errc::stale);
        if (!node->data->loaded) continue;
        if (offset >= node->row.size) co_return fail(Errc::invalid_argument);
        vfs::Extent run{.offset = offset};
        for_each_part(*node, offset, node->row.size, [&](const FilePart& part) {
            const bool hole = part.kind == FilePart::Kind::hole;
            if (run.length == 0) run.hole = hole;
            if (run.hole != hole) return false;
            run.length += part.length;
            return true;
        });
        co_return run;
    }
}

}  // namespace strata::cluster

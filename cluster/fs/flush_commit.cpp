// SPDX-License-Identifier: Apache-2.0
// Flusher: the commit of a round in one command, and what happens when it could not be written.
#include <algorithm>

#include "cluster/fs/flush.h"

namespace strata::cluster {

// What is left of the part, after what truncate and its kin cut from the generation meanwhile.
void Flusher::put_extents(const Round& round, const NewChunk& chunk, std::span<MapEdit> edits) {
    for (const Part& part : chunk.parts) {
        const Node& node = *round.files[part.file];
        if (node.dead) continue;
        std::uint64_t from = part.offset, to = part.offset;  // a run that is left
        auto put = [&] {
            edits[part.file].assign(from, to - from, chunk.written, part.chunk_offset + static_cast<std::uint32_t>(from - part.offset));
        };
        node.data->flushing.visit(
            part.offset, part.offset + part.length,
            [&](std::uint64_t at, const Slice& bytes) {
                if (at != to) {
                    put();
                    from = at;
                }
                to = at + bytes.size();
                return true;
            },
            [](std::uint64_t, std::uint64_t) { return true; });
        put();
    }
}

// A large generation is committed in several commands, so that no mutex is held for long. After each of them the file is as if a smaller
// flush had ended there. Inline data leave the row in the command that has their extents, so those files are committed at once.
void Flusher::commit(Round& round) {
    constexpr std::size_t parts_per_command = 1024;
    const bool at_once = std::ranges::any_of(round.files, [](const NodePtr& node) {
        std::lock_guard lock(node->mutex);
        return !node->row.inline_data.empty();
    });
    const std::span chunks(round.chunks);
    std::size_t first = 0, next = 0;
    do {
        std::size_t parts = 0;
        for (first = next; next < chunks.size(); ++next) {
            if (!at_once && next > first && parts + chunks[next].parts.size() > parts_per_command) break;
            parts += chunks[next].parts.size();
        }
        commit_chunks(round, chunks.subspan(first, next - first), next == chunks.size());
    } while (next < chunks.size());
}

void Flusher::commit_chunks(Round& round, std::span<NewChunk> chunks, bool last) {
    std::vector<std::unique_lock<std::mutex>> locks;
    std::vector<MapEdit> edits;
    for (const auto& node : round.files) {
        locks.emplace_back(node->mutex);
        edits.emplace_back(node->data->map, node->row.map);
    }
    for (const auto& chunk : chunks) put_extents(round, chunk, edits);
    Command command;
    References references;
    for (auto& edit : edits) edit.finish(command, references);
    raise_durable_size(round, chunks, last);
    std::vector<ChunkPtr> fresh;
    for (auto& chunk : chunks) {
        if (!last) {
            for (const Part& part : chunk.parts) round.files[part.file]->data->flushing.erase(part.offset, part.offset + part.length);
        }
        const auto at = references.delta.find(chunk.written->id);
        if (at == references.delta.end() || at->second <= 0) {
            chunk.parts.clear();
            continue;
        }
        fresh.push_back(chunk.written);
        command.push_back(PutChunk{{*chunk.written, static_cast<std::uint32_t>(at->second)}});
    }
    adjust(command, references, fresh);
    for (const auto& node : round.files) {
        if (node->dead) continue;
        FileData& d = *node->data;
        if (!d.flushing.empty()) {
            node->row.inline_data.clear();
            d.must_chunk = false;
        }
        core_.set_allocated(*node);
        command.push_back(PutInode{node->durable_row()});
    }
    const LogIndex index = command.empty() ? 0 : core_.meta().submit(std::move(command));
    for (const auto& chunk : fresh) core_.chunks().committed(*chunk);
    for (const auto& node : round.files) {
        if (last) {
            end_file(node, index);
        } else if (!node->dead) {
            core_.carried(*node, index);
            core_.count(*node->data);
        }
    }
    tell_sealer(round, chunks);
    reaper_.dropped(std::move(references.dropped), index);
}

// No extent may lie past the durable size, or a later extension would show its bytes.
void Flusher::raise_durable_size(const Round& round, std::span<const NewChunk> chunks, bool last) {
    auto raise = [](Node& node, std::uint64_t end) {
        node.durable_size = std::max(node.durable_size, std::min({end, node.data->flush_size, node.row.size}));
    };
    for (const auto& chunk : chunks) {
        for (const Part& part : chunk.parts) raise(*round.files[part.file], part.offset + part.length);
    }
    if (!last) return;
    for (const auto& node : round.files) raise(*node, node->row.size);
}

void Flusher::end_file(const NodePtr& node, LogIndex index) {
    FileData& d = *node->data;
    d.flushing.clear();
    d.flush_active = false;
    d.flushed_up_to = d.flushing_up_to;
    d.failing_since.reset();
    if (!node->dead) {
        d.flush_index = index;
        core_.carried(*node, index);
        if (d.written == d.flushing_up_to) core_.clean(*node);
    }
    core_.count(d);
    core_.bump(core_.flush_ended(d));
}

void Flusher::tell_sealer(const Round& round, std::span<const NewChunk> chunks) {
    for (const auto& chunk : chunks) {
        for (const auto& part : chunk.parts) {
            const NodePtr& node = round.files[part.file];
            if (node->dead) continue;
            if (chunk.packed || chunk.written->geometry != round.policy.full) sealer_.consider(node);
            const std::uint64_t region = part.offset / region_size * region_size;
            if (node->data->crowded.contains(region)) continue;
            if (node->data->map.count(region, region + region_size, region_extents_max + 1) > region_extents_max)
                sealer_.crowded(node, region);
        }
    }
}

void Flusher::put_back(Round& round, const Error& error) {
    for (const auto& node : round.files) {
        std::lock_guard lock(node->mutex);
        FileData& d = *node->data;
        if (node->dead) d.flushing.clear();
        d.dirty.put_under(d.flushing);
        d.flush_active = false;
        d.failed_up_to = d.flushing_up_to;
        d.failure = error;
        ++d.failures;
        if (!d.failing_since) d.failing_since = core_.clock().now();
        if (!node->dead) {
            drop_if_hopeless(*node);
            if (d.ticket == 0 && node->unflushed) d.ticket = core_.queue.add(node, core_.clock().now());
        }
        core_.count(d);
        core_.bump(core_.flush_ended(d));
    }
    core_.log.warning("dirty data could not be written, will be tried again",
                      {{"files", round.files.size()}, {"first_inode", round.files.front()->number}, {"error", to_string(error)}});
}

// Unwritten data that cannot be written for very long would fill the memory for good: they are given up, loudly, and clients that have not
// committed them learn it from the verifier.
void Flusher::drop_if_hopeless(Node& node) {
    FileData& d = *node.data;
    if (core_.clock().now() - *d.failing_since < core_.config.failed_age_max) return;
    core_.log.error("dirty data are lost: they could not be written for too long",
                    {{"inode", node.number}, {"bytes", d.dirty.bytes()}, {"error", to_string(*d.failure)}});
    d.dirty.clear();
    d.failing_since.reset();
    node.row.size = node.durable_size;
    ++node.row.change;
    core_.losses.fetch_add(1);
    core_.clean(node);
}

}  // namespace strata::cluster

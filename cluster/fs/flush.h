// SPDX-License-Identifier: Apache-2.0
// Flusher: dirty ranges become chunks, then one command, then they are durable.
//
// A flush takes a generation of one file's dirty ranges (or of several small files', packed together), writes it as chunks, and commits
// what is still left of it under the files' mutexes. One flush a file at a time; who waits for one that began too early waits again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/fs/data_core.h"
#include "cluster/fs/reaper.h"
#include "cluster/fs/sealer.h"

namespace strata::cluster {

class Flusher {
public:
    Flusher(DataCore& core, Reaper& reaper, Sealer& sealer) : core_(core), reaper_(reaper), sealer_(sealer) {}

    // Returns when all that was written to the file before the call is durable. Errors: of the first attempt that had it all.
    Task<Result<>> flush(const Context& ctx, NodePtr node);
    // The same for many files; small ones share chunks. Errors: the first.
    Task<Result<>> flush_all(std::vector<NodePtr> nodes);
    // Flushes what is old, and under pressure what is oldest, until core.stopping.
    Task<> run();
    // Writers past the bound: resumes when memory is below it. Errors: delay (nothing went for long), what the flushes say.
    Task<Result<>> wait_for_memory(const Context& ctx);

private:
    struct Part {  // of a file, in a new chunk
        std::size_t file = 0;
        std::uint64_t offset = 0;
        std::uint32_t length = 0;
        std::uint32_t chunk_offset = 0;
    };
    struct NewChunk {
        BufferChain data;
        std::vector<Part> parts;
        ChunkPtr written;     // null: not (yet) written
        bool packed = false;  // of short runs, perhaps of several files
    };
    struct Round {
        std::vector<NodePtr> files;  // claimed, by inode number
        std::vector<NewChunk> chunks;
        Policy policy;
        std::optional<Error> error;  // the first
    };

    // What needs no chunk is submitted at once: small files into their row, changes of size and times. False: it needs a flush. mutex held.
    bool flush_row_only(const NodePtr& node);
    // Nothing that was written waits for a flush. mutex held.
    static bool is_clean(const Node& node);
    // The same without the map; `carried`: the newest command with the content. Takes the mutex.
    static bool nothing_to_flush(Node& node, LogIndex& carried);

    // flush.cpp: one round for files that are claimed (flush_active).
    Task<> flush_round(std::vector<NodePtr> files);
    void take(Round& round, std::size_t file);
    void cut(Round& round, std::size_t file);
    static void pack(Round& round, Part part, BufferChain data);
    Task<> write_chunk(Round& round, NewChunk& chunk);
    // flush_commit.cpp
    void commit(Round& round);
    void commit_chunks(Round& round, std::span<NewChunk> chunks, bool last);
    static void raise_durable_size(const Round& round, std::span<const NewChunk> chunks, bool last);
    static void put_extents(const Round& round, const NewChunk& chunk, std::span<MapEdit> edits);
    void end_file(const NodePtr& node, LogIndex index);
    void tell_sealer(const Round& round, std::span<const NewChunk> chunks);
    void put_back(Round& round, const Error& error);
    void drop_if_hopeless(Node& node);
    // flush_schedule.cpp
    static std::vector<std::vector<NodePtr>> group(const std::vector<NodePtr>& nodes);
    Task<Result<>> flush_group(std::vector<NodePtr> nodes);

    DataCore& core_;
    Reaper& reaper_;
    Sealer& sealer_;
};

}  // namespace strata::cluster

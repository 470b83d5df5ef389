// SPDX-License-Identifier: Apache-2.0
// The hidden half of DataEngine: its phases and what they share.
#pragma once

#include "cluster/fs/data_core.h"
#include "cluster/fs/flush.h"
#include "cluster/fs/reaper.h"
#include "cluster/fs/sealer.h"
#include "cluster/fs/survey.h"

namespace strata::cluster {

struct DataEngine::Impl {
    Impl(Parts parts, DataConfig config)
        : core(std::move(parts), config), reaper(core), sealer(core, reaper), survey(core, reaper, sealer), flusher(core, reaper, sealer) {}

    // data_read.cpp
    Task<Result<BufferChain>> read_parts(const Context& ctx, NodePtr node, std::vector<FilePart> parts);
    void read_ahead(const NodePtr& node, std::uint64_t offset, std::uint64_t end, const Executor& home);
    Task<> fetch_ahead(NodePtr node, std::uint64_t from, std::uint64_t to);
    // A chunk has no shards where its record says: what the metadata say now. True: something changed, read again.
    Task<Result<bool>> refresh(const Context& ctx, NodePtr node, ChunkPtr chunk);

    // data_reshape.cpp: content that changes by metadata alone. All with the mutex held.
    // Cuts [from, to) from everything: dirty, under flush, stored.
    void cut(Node& node, std::uint64_t from, std::uint64_t to, Command& command);
    // Submits `command` with the inode row; the reply depends on it.
    void submit(const Context& ctx, const NodePtr& node, Command command);
    // Times and change counter of a change of content by the caller.
    void stamp(const Context& ctx, Node& node);
    // Makes sure that the file has a loaded map and no inline data, so that extents can be added (mutex not held). Errors: as flush.
    Task<Result<>> prepare_extents(const Context& ctx, NodePtr node);
    // A small file's content goes into the row of a target that it covers. False: not that case.
    bool clone_inline(const Context& ctx, const NodePtr& source, const NodePtr& target, std::uint64_t length);
    // False: the source has unwritten data in the range, or something is not loaded: prepare again.
    bool clone_extents(const Context& ctx, const NodePtr& source, std::uint64_t source_offset, const NodePtr& target,
                       std::uint64_t target_offset, std::uint64_t length);

    DataCore core;
    Reaper reaper;
    Sealer sealer;
    Survey survey;
    Flusher flusher;
};

}  // namespace strata::cluster

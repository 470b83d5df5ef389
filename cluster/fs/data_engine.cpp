// SPDX-License-Identifier: Apache-2.0
// DataEngine: writes into the write-back buffer, commits, start and stop.
#include "cluster/fs/data_engine.h"

#include <boost/asio/this_coro.hpp>

#include "cluster/fs/data_phases.h"

namespace strata::cluster {

namespace {

constexpr std::uint32_t mode_setuid = 04000, mode_setgid = 02000, mode_group_execute = 010;
constexpr std::uint64_t flush_early = 64 << 20;  // dirty bytes of one file that are worth flushing before anybody asks

}  // namespace

DataEngine::DataEngine(Parts parts, DataConfig config) : impl_(std::make_unique<Impl>(std::move(parts), config)) {}

DataEngine::~DataEngine() = default;

void DataEngine::Impl::stamp(const Context& ctx, Node& node) {
    node.row.modify_time = node.row.change_time = core.clock().wall_time();
    ++node.row.change;
    if (ctx.caller == nullptr || ctx.caller->is_superuser()) return;
    // As Linux does: a write by anybody but the superuser takes the set-id bits away (setgid only where it means execution).
    node.row.mode &= ~mode_setuid;
    if (node.row.mode & mode_group_execute) node.row.mode &= ~mode_setgid;
}

Task<Result<vfs::WriteResult>> DataEngine::write(const Context& ctx, NodePtr node, std::uint64_t offset, BufferChain data,
                                                 vfs::Stability wanted) {
    DataCore& core = impl_->core;
    const std::uint64_t size = data.size();
    if (offset > vfs::file_size_max || size > vfs::file_size_max - offset) co_return fail(Errc::too_big);
    const std::uint64_t verifier_before = write_verifier();  // of before the data are ours: losing them will change it
    if (size > 0) {
        CO_CHECK_OK(core.check_space(node->row.domain, size));
        if (core.pinned_bytes() >= core.config.dirty_bytes_max) CO_CHECK_OK(co_await impl_->flusher.wait_for_memory(ctx));
        bool flush_now = false;
        {
            std::lock_guard lock(node->mutex);
            if (node->dead) co_return fail(Errc::stale);
            FileData& d = core.data_of(node);
            d.dirty.write(offset, data);
            node->row.size = std::max(node->row.size, offset + size);
            impl_->stamp(ctx, *node);
            core.changed(node);
            flush_now = wanted == vfs::Stability::unstable && d.dirty.bytes() >= flush_early && !d.flush_active;
        }
        if (flush_now) {
            const auto home = co_await boost::asio::this_coro::executor;
            core.tasks.spawn(home, [this, node]() -> Task<> { (void)co_await impl_->flusher.flush(impl_->core.internal, node); });
        }
        if (core.pinned_bytes() > core.config.dirty_bytes_max / 2 && !core.pressed.exchange(true)) core.bump_shared(core.kick);
    }
    vfs::WriteResult result{.count = size, .stability = wanted, .verifier = verifier_before};
    if (wanted != vfs::Stability::unstable) {
        CO_TRY(verifier, co_await commit(ctx, node, offset, size));
        result.stability = vfs::Stability::file_sync;
        result.verifier = verifier;
    }
    co_return result;
}

Task<Result<std::uint64_t>> DataEngine::commit(const Context& ctx, NodePtr node, std::uint64_t, std::uint64_t) {
    CO_CHECK_OK(co_await impl_->flusher.flush(ctx, node));
    std::lock_guard lock(node->mutex);
    if (ctx.commit_point != nullptr && node->data != nullptr) ctx.commit_point->raise(node->data->flush_index);
    co_return write_verifier();  // as it is after the flush: what was lost before it shows
}

bool DataEngine::busy(const Node& node) const { return impl_->core.busy(node); }

void DataEngine::chunk_moved(const Chunk& chunk) { impl_->core.reader.moved(chunk); }

std::uint64_t DataEngine::write_verifier() const { return impl_->core.verifier(); }

Task<Result<>> DataEngine::flush_all(const Context&) {
    DataCore& core = impl_->core;
    constexpr std::size_t files_at_once = 1024;
    for (;;) {
        auto due = core.queue.due(Instant::max(), files_at_once);
        if (due.empty()) co_return Result<>{};
        CO_CHECK_OK(co_await impl_->flusher.flush_all(std::move(due)));
    }
}

Task<Result<>> DataEngine::tidy(const Context&, bool all_files) {
    const Instant now = impl_->core.clock().now();
    CO_CHECK_OK(co_await impl_->sealer.pass(now, all_files ? now : Instant{now.ns - impl_->core.config.seal_age.count()}, true));
    if (all_files && impl_->core.parts.node) {
        while (!co_await impl_->survey.step(Duration::zero())) {
        }
    }
    co_return co_await impl_->reaper.pass();
}

void DataEngine::start() {
    DataCore& core = impl_->core;
    core.tasks.spawn(core.runtime().executor(), [this] { return impl_->flusher.run(); });
    core.tasks.spawn(core.runtime().executor(), [this] { return impl_->sealer.run(); });
    core.tasks.spawn(core.runtime().executor(), [this] { return impl_->reaper.run(); });
    core.tasks.spawn(core.runtime().executor(), [this] { return impl_->survey.run(); });
}

Task<> DataEngine::stop() {
    DataCore& core = impl_->core;
    core.stopping = true;
    core.bump_shared(core.kick);
    (void)co_await core.tasks.wait(core.clock(), Instant::max());
    core.tasks.stop();
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// The data calls, which are the DataEngine's, and the volume's own: settle, pin, space.
#include <algorithm>

#include "cluster/fs/cluster_file_system.h"

namespace strata::cluster {

Task<Result<vfs::ReadResult>> ClusterFileSystem::read(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint32_t count) {
    CO_TRY(node, co_await regular(ctx, file));
    co_return co_await volume_.data().read(ctx, std::move(node), offset, count);
}

Task<Result<vfs::WriteResult>> ClusterFileSystem::write(const Context& ctx, vfs::FileId file, std::uint64_t offset, BufferChain data,
                                                        vfs::Stability wanted) {
    CO_TRY(node, co_await regular(ctx, file));
    co_return co_await volume_.data().write(ctx, std::move(node), offset, std::move(data), wanted);
}

Task<Result<std::uint64_t>> ClusterFileSystem::commit(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t count) {
    CO_TRY(node, co_await regular(ctx, file));
    co_return co_await volume_.data().commit(ctx, std::move(node), offset, count);
}

Task<Result<>> ClusterFileSystem::allocate(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t length) {
    CO_TRY(node, co_await regular(ctx, file));
    co_return co_await volume_.data().allocate(ctx, std::move(node), offset, length);
}

Task<Result<>> ClusterFileSystem::deallocate(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t length) {
    CO_TRY(node, co_await regular(ctx, file));
    co_return co_await volume_.data().deallocate(ctx, std::move(node), offset, length);
}

Task<Result<vfs::Extent>> ClusterFileSystem::map(const Context& ctx, vfs::FileId file, std::uint64_t offset) {
    CO_TRY(node, co_await regular(ctx, file));
    co_return co_await volume_.data().map(ctx, std::move(node), offset);
}

Task<Result<>> ClusterFileSystem::clone(const Context& ctx, vfs::FileId source, std::uint64_t source_offset, vfs::FileId target,
                                        std::uint64_t target_offset, std::uint64_t length) {
    CO_TRY(from, co_await regular(ctx, source));
    CO_TRY(to, co_await regular(ctx, target));
    co_return co_await volume_.data().clone(ctx, std::move(from), source_offset, std::move(to), target_offset, length);
}

// By reference where both ends lie on blocks, else through memory, in bounded steps; the client asks again for the rest.
Task<Result<vfs::CopyResult>> ClusterFileSystem::copy(const Context& ctx, vfs::FileId source, std::uint64_t source_offset,
                                                      vfs::FileId target, std::uint64_t target_offset, std::uint64_t length) {
    constexpr std::uint64_t block = 4096, step = 4 << 20, copy_max = 64 << 20;
    CO_TRY(from, co_await get_attributes(ctx, source));
    if (source_offset > from.size) co_return fail(Errc::invalid_argument);
    if (length == 0) length = from.size - source_offset;
    if (length > from.size - source_offset) co_return fail(Errc::invalid_argument);
    vfs::CopyResult result;
    result.verifier = write_verifier();
    const bool to_the_end = source_offset + length == from.size;
    if (source_offset % block == 0 && target_offset % block == 0 && (length % block == 0 || to_the_end) && length > 0) {
        CO_TRY(before, co_await get_attributes(ctx, target));
        if (length % block == 0 || target_offset + length >= before.size) {
            CO_CHECK_OK(co_await clone(ctx, source, source_offset, target, target_offset, length));
            result.count = length;
            result.stability = vfs::Stability::file_sync;
            co_return result;
        }
    }
    length = std::min(length, copy_max);
    while (result.count < length) {
        const auto want = static_cast<std::uint32_t>(std::min(step, length - result.count));
        CO_TRY(piece, co_await read(ctx, source, source_offset + result.count, want));
        if (piece.data.empty()) break;
        CO_TRY(written, co_await write(ctx, target, target_offset + result.count, std::move(piece.data), vfs::Stability::unstable));
        result.count += written.count;
    }
    result.verifier = write_verifier();
    co_return result;
}

bool ClusterFileSystem::settled(const Context& ctx) const {
    return ctx.commit_point == nullptr || ctx.commit_point->index <= volume_.meta().durable().value();
}

Task<Result<>> ClusterFileSystem::settle(const Context& ctx) {
    if (settled(ctx)) co_return Result<>{};
    co_return co_await volume_.meta().durable().wait(ctx.commit_point->index, *volume_.runtime().clock, ctx.deadline);
}

namespace {

class NodePin final : public vfs::Pin {
public:
    NodePin(Volume& volume, NodePtr node) : volume_(volume), node_(std::move(node)) {}
    ~NodePin() override { volume_.unpin(node_); }

private:
    Volume& volume_;
    NodePtr node_;
};

}  // namespace

Task<Result<std::unique_ptr<vfs::Pin>>> ClusterFileSystem::pin(const Context& ctx, vfs::FileId file) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    std::lock_guard lock(node->mutex);
    if (node->dead) co_return fail(Errc::stale);
    node->pins.fetch_add(1);
    co_return std::make_unique<NodePin>(volume_, std::move(node));
}

Task<Result<vfs::Space>> ClusterFileSystem::space(const Context& ctx, vfs::FileId file) {
    CO_TRY(node, co_await volume_.node(ctx, file));
    vfs::Space space = volume_.parts().space(node->row.domain);
    constexpr std::uint64_t bytes_per_inode = 512;  // of metadata, all copies on disks that hold data too
    const auto files = static_cast<std::uint64_t>(std::max<std::int64_t>(volume_.inode_count.load(), 0));
    space.free_files = space.free_bytes / bytes_per_inode;
    space.total_files = files + space.free_files;
    co_return space;
}

}  // namespace strata::cluster

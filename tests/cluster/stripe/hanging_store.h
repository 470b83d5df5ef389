// SPDX-License-Identifier: Apache-2.0
// HangingStore: a store whose disk stops answering, without any error, until it is released; and that can say it is full.
#pragma once

#include <memory>
#include <utility>

#include "cluster/chunk/chunk_store.h"
#include "server/base/signal.h"

namespace strata::cluster {

class HangingStore final : public ChunkStore {
public:
    explicit HangingStore(std::shared_ptr<ChunkStore> inner) : inner_(std::move(inner)) {}

    void hang() { hanging_ = true; }
    void release() {
        hanging_ = false;
        released_.raise(1);
    }
    void set_full(bool full) { full_ = full; }
    std::size_t reads() const { return reads_; }  // asked for so far

    Task<Result<>> put(const Context& ctx, ShardKey key, BufferChain bytes, ShardChecksums checksums) override {
        co_return co_await inner_->put(ctx, key, std::move(bytes), std::move(checksums));
    }
    Task<Result<BufferChain>> get(const Context& ctx, ShardKey key, std::uint32_t offset, std::uint32_t length,
                                  std::uint32_t digest) override {
        ++reads_;
        co_await disk(ctx);
        co_return co_await inner_->get(ctx, key, offset, length, digest);
    }
    Task<Result<>> verify(const Context& ctx, ShardKey key, std::uint32_t digest) override {
        co_await disk(ctx);
        co_return co_await inner_->verify(ctx, key, digest);
    }
    Task<Result<>> remove(const Context& ctx, std::span<const ShardKey> keys) override { co_return co_await inner_->remove(ctx, keys); }
    Task<Result<std::vector<ShardInfo>>> list(const Context& ctx, ShardKey after, std::size_t limit) override {
        co_return co_await inner_->list(ctx, after, limit);
    }
    StoreState state() const override { return full_ ? StoreState::read_only : inner_->state(); }
    StoreSpace space() const override { return inner_->space(); }
    Uuid identity() const override { return inner_->identity(); }
    std::string description() const override { return inner_->description(); }
    Task<> close() override { co_await inner_->close(); }

private:
    // As a read of a hung disk: no deadline ends it.
    Task<> disk(const Context& ctx) {
        if (hanging_) (void)co_await released_.wait(1, *ctx.clock, Instant::max());
    }

    std::shared_ptr<ChunkStore> inner_;
    Signal released_;
    bool hanging_ = false, full_ = false;
    std::size_t reads_ = 0;
};

}  // namespace strata::cluster

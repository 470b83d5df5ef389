// SPDX-License-Identifier: Apache-2.0
// StripeIo: the parts behind the interface.
#include "cluster/stripe/stripe.h"

#include "cluster/stripe/layout.h"
#include "cluster/stripe/read.h"
#include "cluster/stripe/rebuild.h"
#include "cluster/stripe/write.h"

namespace strata::cluster {

namespace {

constexpr int coding_threads = 2;

}  // namespace

struct StripeIo::Impl {
    Impl(const Runtime& runtime, StoreSet& stores, DamageSink& damage, StripeTimes times)
        : pool(runtime.make_pool("stripe.code", coding_threads)),
          watch(runtime, stores, times),
          parts{runtime, stores, damage, tables, *pool, watch} {}

    CodeTables tables;
    std::unique_ptr<Pool> pool;
    StoreWatch watch;
    StripeParts parts;
    StripeWriter writer{parts};
    StripeReader reader{parts};
    StripeRebuilder rebuilder{parts, reader, writer};
};

StripeIo::StripeIo(const Runtime& runtime, StoreSet& stores, DamageSink& damage, StripeTimes times)
    : impl_(std::make_unique<Impl>(runtime, stores, damage, times)) {}

StripeIo::~StripeIo() = default;

Task<Result<Chunk>> StripeIo::write(const Context& ctx, ChunkId id, Geometry wanted, BufferChain data) {
    return impl_->writer.write(ctx, id, wanted, std::move(data));
}

Task<Result<BufferChain>> StripeIo::read(const Context& ctx, const Chunk& chunk, std::uint32_t offset, std::uint32_t length) {
    return impl_->reader.read(ctx, chunk, offset, length);
}

Task<Result<Chunk>> StripeIo::rebuild(const Context& ctx, const Chunk& chunk) {
    CO_TRY(bad, co_await impl_->rebuilder.scrub(ctx, chunk));
    co_return co_await impl_->rebuilder.rebuild(ctx, chunk, std::move(bad));
}

Task<Result<Chunk>> StripeIo::rebuild(const Context& ctx, const Chunk& chunk, std::vector<int> bad) {
    return impl_->rebuilder.rebuild(ctx, chunk, std::move(bad));
}

Task<Result<std::vector<int>>> StripeIo::scrub(const Context& ctx, const Chunk& chunk) { return impl_->rebuilder.scrub(ctx, chunk); }

Task<Result<bool>> StripeIo::cross_check(const Context& ctx, const Chunk& chunk) { return impl_->rebuilder.cross_check(ctx, chunk); }

void StripeIo::committed(const Chunk& chunk) {
    for (std::size_t i = 0; i < chunk.places.size(); ++i) {
        const StoreIndex store = chunk.places[i].store;
        if (store == no_store || impl_->parts.stores.online(store) == nullptr) impl_->parts.damage.damaged(chunk.id, static_cast<int>(i));
    }
}

Task<> StripeIo::remove(const Context& ctx, const Chunk& chunk) {
    for (std::size_t i = 0; i < chunk.places.size(); ++i) {
        const auto store = chunk.places[i].store == no_store ? nullptr : impl_->parts.stores.online(chunk.places[i].store);
        const ShardKey key = shard_key(chunk, static_cast<int>(i));
        if (store != nullptr) (void)co_await store->remove(ctx, std::span(&key, 1));
    }
}

}  // namespace strata::cluster

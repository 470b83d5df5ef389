// SPDX-License-Identifier: Apache-2.0
// Questions to stores run in coroutines of their own, so that nobody has to wait for an answer that does not come.
#include "cluster/stripe/store_watch.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "server/base/signal.h"

namespace strata::cluster {

namespace {

template <class T>
struct Answer {
    std::optional<Result<T>> result;
    Signal given;
};

// What a question needs is in its own frame: it may outlive who asked.
Task<Result<BufferChain>> ask_get(std::shared_ptr<ChunkStore> store, Context ctx, ShardKey key, std::uint32_t offset, std::uint32_t length,
                                  std::uint32_t digest) {
    co_return co_await store->get(ctx, key, offset, length, digest);
}

Task<Result<>> ask_verify(std::shared_ptr<ChunkStore> store, Context ctx, ShardKey key, std::uint32_t digest) {
    co_return co_await store->verify(ctx, key, digest);
}

}  // namespace

// Since when which store has given no answer at all, though it owes one. Stores are told apart by their addresses, which nobody follows.
class StoreWatch::Silence {
public:
    void answered(const ChunkStore& store, Instant now) {
        std::lock_guard lock(mutex_);
        stores_[&store] = {now, std::nullopt};
    }
    // What it was asked at `asked` is not answered. True: it was not silent yet.
    bool begin(const ChunkStore& store, Instant asked) {
        std::lock_guard lock(mutex_);
        Known& known = stores_[&store];
        if (known.silent_since) return false;
        known.silent_since = std::max(asked, known.answered);
        return true;
    }
    std::optional<Instant> since(const ChunkStore& store) const {
        std::lock_guard lock(mutex_);
        const auto at = stores_.find(&store);
        return at == stores_.end() ? std::nullopt : at->second.silent_since;
    }

private:
    struct Known {
        Instant answered{0};
        std::optional<Instant> silent_since;
    };
    mutable std::mutex mutex_;
    std::map<const ChunkStore*, Known> stores_;
};

StoreWatch::StoreWatch(const Runtime& runtime, StoreSet& stores, StripeTimes times)
    : runtime_(runtime), stores_(stores), times_(times), log_(runtime.log("cluster.stripe")), silence_(std::make_shared<Silence>()) {}

bool StoreWatch::silent(StoreIndex index, const ChunkStore& store) {
    const auto since = silence_->since(store);
    if (!since) return false;
    if (runtime_.clock->now() - *since >= times_.silence_max) stores_.report_failure(index, {Errc::io, "the store does not answer"});
    return true;
}

template <class T>
Task<Result<T>> StoreWatch::answer_of(const Context& ctx, StoreIndex index, std::shared_ptr<ChunkStore> store, Duration patience,
                                      Task<Result<T>> question) {
    const Instant asked = runtime_.clock->now();
    const Executor home = co_await boost::asio::this_coro::executor;
    auto answer = std::make_shared<Answer<T>>();
    boost::asio::co_spawn(home, std::move(question),
                          [answer, store, silence = silence_, clock = runtime_.clock](std::exception_ptr error, Result<T> result) {
                              if (error) std::rethrow_exception(error);  // a bug: stores return their errors
                              silence->answered(*store, clock->now());
                              answer->result.emplace(std::move(result));
                              answer->given.raise(1);
                          });
    const Instant give_up = std::min(ctx.deadline, asked + patience);
    auto given = co_await answer->given.wait(1, *runtime_.clock, give_up);
    if (!given && !answer->result) {
        if (given.error() == Errc::timed_out && runtime_.clock->now() >= asked + patience) {
            if (silence_->begin(*store, asked)) {
                log_.warning("a store does not answer", {{"store", index}, {"folder", store->description()}});
            }
            (void)silent(index, *store);
        }
        co_return fail(std::move(given.error()));
    }
    co_return std::move(*answer->result);
}

Task<Result<BufferChain>> StoreWatch::get(const Context& ctx, StoreIndex index, std::shared_ptr<ChunkStore> store, ShardKey key,
                                          std::uint32_t offset, std::uint32_t length, std::uint32_t digest) {
    auto question = ask_get(store, Context{.clock = runtime_.clock}, key, offset, length, digest);
    co_return co_await answer_of(ctx, index, std::move(store), times_.get_max, std::move(question));
}

Task<Result<>> StoreWatch::verify(const Context& ctx, StoreIndex index, std::shared_ptr<ChunkStore> store, ShardKey key,
                                  std::uint32_t digest) {
    auto question = ask_verify(store, Context{.clock = runtime_.clock}, key, digest);
    co_return co_await answer_of(ctx, index, std::move(store), times_.verify_max, std::move(question));
}

}  // namespace strata::cluster

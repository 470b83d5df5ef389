// SPDX-License-Identifier: Apache-2.0
// StoreWatch: asks stores with a limit of time, and knows which of them have stopped answering.
//
// A disk can hang instead of failing. Whoever asked is told `timed_out` after a while and goes on without that store; the store is
// `silent` until anything that it was asked is answered, and failed for everybody when it has been silent for long.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "cluster/stripe/stripe.h"
#include "server/base/runtime.h"

namespace strata::cluster {

class StoreWatch {
public:
    StoreWatch(const Runtime& runtime, StoreSet& stores, StripeTimes times);

    // As ChunkStore's calls of the same names. Errors: theirs; timed_out: no answer in time (it may still come, to nobody).
    Task<Result<BufferChain>> get(const Context& ctx, StoreIndex index, std::shared_ptr<ChunkStore> store, ShardKey key,
                                  std::uint32_t offset, std::uint32_t length, std::uint32_t digest);
    Task<Result<>> verify(const Context& ctx, StoreIndex index, std::shared_ptr<ChunkStore> store, ShardKey key, std::uint32_t digest);

    // A store that owes an answer: others are better. One that has owed it for too long is reported as failed. Any thread.
    bool silent(StoreIndex index, const ChunkStore& store);

private:
    class Silence;

    template <class T>
    Task<Result<T>> answer_of(const Context& ctx, StoreIndex index, std::shared_ptr<ChunkStore> store, Duration patience,
                              Task<Result<T>> question);

    Runtime runtime_;
    StoreSet& stores_;
    StripeTimes times_;
    Log log_;
    std::shared_ptr<Silence> silence_;  // late answers outlive us
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// LocalStoreSet: the stores of this node by index, and the choice of stores for new shards.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cluster/stripe/stripe.h"
#include "server/base/random.h"

namespace strata::cluster {

class LocalStoreSet final : public StoreSet {
public:
    // `random` outlives the set; `members` have distinct indexes.
    LocalStoreSet(Random& random, std::vector<Member> members);

    std::vector<Member> members() const override;
    std::shared_ptr<ChunkStore> online(StoreIndex index) const override;
    std::vector<StoreIndex> choose(int count, std::span<const StoreIndex> avoid, std::uint64_t shard_bytes) override;
    void report_failure(StoreIndex index, const Error& error) override;
    void on_change(std::function<void()> listener) override;

    // Adds a member, or puts another in the place of the one with the same index (a store came back, was replaced or went missing).
    // Returns the store that was there, if any, for the caller to close.
    std::shared_ptr<ChunkStore> set(Member member);
    // Takes a member out for good: its number names no store any more. Returns its store, for the caller to close.
    std::shared_ptr<ChunkStore> remove(StoreIndex index);
    // Closes all stores.
    Task<> close();
    // Looks at each store's own state (it may have failed by itself). True: something changed.
    bool refresh();

private:
    Member* find(StoreIndex index);
    void tell();

    Random& random_;
    mutable std::mutex mutex_;
    std::vector<Member> members_;
    std::vector<std::function<void()>> listeners_;
};

}  // namespace strata::cluster

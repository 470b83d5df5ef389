// SPDX-License-Identifier: Apache-2.0
// Grace: loading, completion, the end.
#include "nfs/state/grace.h"

#include <vector>

namespace strata::nfs {

namespace {
constexpr char record_format = 1;
}

Task<Result<>> Grace::load(const Context& ctx, Instant end) {
    CO_TRY(rows, co_await records_->scan(ctx, table));
    {
        std::lock_guard lock(mutex_);
        for (const auto& [owner, value] : rows) {
            if (value.size() < 2 || value[0] != record_format) co_return fail(Errc::bad_version, "a record of table nfs_clients");
            waiting_.insert(owner);
        }
        end_ = end;
    }
    active_.store(!rows.empty(), std::memory_order_release);
    co_return Result<>();
}

bool Grace::may_reclaim(std::string_view owner) const {
    if (!active()) return false;
    std::lock_guard lock(mutex_);
    return waiting_.contains(owner);
}

bool Grace::completed(std::string_view owner) {
    if (!active()) return false;
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(owner);
    if (found == waiting_.end()) return false;
    returned_.insert(*found);
    waiting_.erase(found);
    return waiting_.empty();
}

void Grace::reclaimed(std::string_view owner) {
    if (!active()) return;
    std::lock_guard lock(mutex_);
    returned_.emplace(owner);
}

Task<> Grace::end(const Context& ctx) {
    std::vector<std::string> lost;
    {
        std::lock_guard lock(mutex_);
        if (!active() || ending_) co_return;
        ending_ = true;
        for (const auto& owner : waiting_) {
            if (!returned_.contains(owner)) lost.push_back(owner);
        }
        waiting_.clear();
    }
    // While grace still holds: a record that one of them gets by a later OPEN must not be the one that is erased.
    for (const auto& owner : lost) (void)co_await records_->erase(ctx, table, owner);
    active_.store(false, std::memory_order_release);
}

Task<Result<>> Grace::record(const Context& ctx, std::string_view owner, std::uint8_t minor_version) {
    const char value[2] = {record_format, static_cast<char>(minor_version)};
    co_return co_await records_->put(ctx, table, owner, std::string_view(value, sizeof value));
}

Task<Result<>> Grace::erase(const Context& ctx, std::string_view owner) { co_return co_await records_->erase(ctx, table, owner); }

}  // namespace strata::nfs

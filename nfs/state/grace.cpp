// SPDX-License-Identifier: Apache-2.0
// Grace: loading, completion, the end.
#include "nfs/state/grace.h"

#include <utility>

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
            waiting_.emplace(owner, static_cast<std::uint8_t>(value[1]));
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
    returned_.insert(found->first);
    waiting_.erase(found);
    return waiting_.empty();
}

void Grace::reclaimed(std::string_view owner) {
    if (!active()) return;
    std::lock_guard lock(mutex_);
    returned_.emplace(owner);
}

bool Grace::due(Instant now) const {
    if (!active()) return false;
    std::lock_guard lock(mutex_);
    return !ending_ && (now >= end_ || waiting_.empty());
}

bool Grace::closing() const {
    if (!active()) return false;
    std::lock_guard lock(mutex_);
    return closed_;
}

std::optional<std::vector<std::string>> Grace::close() {
    std::lock_guard lock(mutex_);
    if (!active() || ending_) return std::nullopt;
    closed_ = ending_ = true;
    for (const auto& [owner, minor_version] : waiting_) {
        if (minor_version != 0 || !returned_.contains(owner)) lost_.push_back(owner);
    }
    waiting_.clear();
    return lost_;
}

Task<Result<>> Grace::end(const Context& ctx, const std::vector<std::string>& lost) {
    // While grace still holds: a record that one of them gets by a later OPEN must not be the one that is erased.
    auto erased = Result<>();
    if (!lost.empty()) erased = co_await records_->erase_all(ctx, table, lost);
    std::lock_guard lock(mutex_);
    ending_ = false;
    if (erased) active_.store(false, std::memory_order_release);
    co_return erased;
}

Task<Result<>> Grace::record(const Context& ctx, std::string_view owner, std::uint8_t minor_version) {
    const char value[2] = {record_format, static_cast<char>(minor_version)};
    co_return co_await records_->put(ctx, table, owner, std::string_view(value, sizeof value));
}

Task<Result<>> Grace::erase(const Context& ctx, std::string_view owner) { co_return co_await records_->erase(ctx, table, owner); }

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// MetaRecords: one mutex orders memory and log alike, so both always tell the same story.
#include "cluster/fs/meta_records.h"

#include <utility>

namespace strata::cluster {

namespace {
constexpr std::size_t value_size_max = 64 * 1024;
constexpr std::size_t command_size_max = 256;  // rows; a key may be as long as an owner string
}  // namespace

// Only this object writes records, and it loads a table before its first write to it, so what it reads is all there is.
Task<Result<>> MetaRecords::load(const Context& ctx, std::string table) {
    {
        std::lock_guard lock(mutex_);
        if (tables_.contains(table)) co_return Result<>{};
    }
    CO_TRY(rows, co_await meta_.records(ctx, table));
    std::lock_guard lock(mutex_);
    auto [it, made] = tables_.try_emplace(table);
    if (made) {
        for (auto& row : rows) it->second.emplace(std::move(row.key), std::move(row.value));
    }
    co_return Result<>{};
}

Task<Result<>> MetaRecords::durable(const Context& ctx, LogIndex index) {
    co_return co_await meta_.durable().wait(index, *runtime_.clock, ctx.deadline);
}

Task<Result<std::string>> MetaRecords::get(const Context& ctx, std::string_view table, std::string_view key) {
    CO_CHECK_OK(co_await load(ctx, std::string(table)));
    std::lock_guard lock(mutex_);
    const Table& t = tables_.find(table)->second;
    const auto it = t.find(key);
    if (it == t.end()) co_return fail(Errc::not_found);
    co_return it->second;
}

Task<Result<>> MetaRecords::put(const Context& ctx, std::string_view table, std::string_view key, std::string_view value) {
    if (value.size() > value_size_max) co_return fail(Errc::too_big);
    CO_CHECK_OK(co_await load(ctx, std::string(table)));
    LogIndex index = 0;
    {
        std::lock_guard lock(mutex_);
        tables_.find(table)->second.insert_or_assign(std::string(key), std::string(value));
        index = meta_.submit({PutRecord{{std::string(table), std::string(key), std::string(value)}}});
    }
    co_return co_await durable(ctx, index);
}

Task<Result<>> MetaRecords::erase(const Context& ctx, std::string_view table, std::string_view key) {
    co_return co_await erase_all(ctx, table, {std::string(key)});
}

Task<Result<>> MetaRecords::erase_all(const Context& ctx, std::string_view table, const std::vector<std::string>& keys) {
    CO_CHECK_OK(co_await load(ctx, std::string(table)));
    LogIndex index = 0;
    {
        std::lock_guard lock(mutex_);
        Table& t = tables_.find(table)->second;
        Command command;
        const auto submit = [&] {
            if (!command.empty()) last_erase_ = meta_.submit(std::exchange(command, {}));
        };
        for (const auto& key : keys) {
            if (t.erase(key) == 0) continue;
            command.push_back(DeleteRecord{{std::string(table), key}});
            if (command.size() == command_size_max) submit();
        }
        submit();
        index = last_erase_;
    }
    co_return co_await durable(ctx, index);
}

Task<Result<std::vector<std::pair<std::string, std::string>>>> MetaRecords::scan(const Context& ctx, std::string_view table) {
    CO_CHECK_OK(co_await load(ctx, std::string(table)));
    std::lock_guard lock(mutex_);
    const Table& t = tables_.find(table)->second;
    co_return std::vector<std::pair<std::string, std::string>>(t.begin(), t.end());
}

}  // namespace strata::cluster

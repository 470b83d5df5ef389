// SPDX-License-Identifier: Apache-2.0
// RecordStore: small durable records by table and key: shares, users, policies, NFS client records.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/context.h"
#include "server/base/result.h"
#include "server/base/task.h"

namespace strata::vfs {

// Same log and same redundancy as the files. put and erase are durable on return. Keys and values are any bytes; value <= 64 KiB.
class RecordStore {
public:
    virtual ~RecordStore() = default;
    virtual Task<Result<std::string>> get(const Context& ctx, std::string_view table, std::string_view key) = 0;  // Errors: not_found
    virtual Task<Result<>> put(const Context& ctx, std::string_view table, std::string_view key, std::string_view value) = 0;
    virtual Task<Result<>> erase(const Context& ctx, std::string_view table, std::string_view key) = 0;  // fine if absent
    // The same for many keys, in little more time than for one.
    virtual Task<Result<>> erase_all(const Context& ctx, std::string_view table, const std::vector<std::string>& keys) {
        for (const auto& key : keys) CO_CHECK_OK(co_await erase(ctx, table, key));
        co_return Result<>();
    }
    virtual Task<Result<std::vector<std::pair<std::string, std::string>>>> scan(const Context& ctx, std::string_view table) = 0;  // by key
};

}  // namespace strata::vfs

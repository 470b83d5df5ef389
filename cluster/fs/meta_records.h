// SPDX-License-Identifier: Apache-2.0
// MetaRecords: vfs::RecordStore over the volume's MetaStore. Tables are small and held in memory once read.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "cluster/meta/meta_store.h"
#include "server/base/runtime.h"
#include "server/vfs/record_store.h"

namespace strata::cluster {

class MetaRecords final : public vfs::RecordStore {
public:
    MetaRecords(const Runtime& runtime, MetaStore& meta) : runtime_(runtime), meta_(meta) {}

    Task<Result<std::string>> get(const Context& ctx, std::string_view table, std::string_view key) override;
    Task<Result<>> put(const Context& ctx, std::string_view table, std::string_view key, std::string_view value) override;
    Task<Result<>> erase(const Context& ctx, std::string_view table, std::string_view key) override;
    Task<Result<>> erase_all(const Context& ctx, std::string_view table, const std::vector<std::string>& keys) override;
    Task<Result<std::vector<std::pair<std::string, std::string>>>> scan(const Context& ctx, std::string_view table) override;

private:
    using Table = std::map<std::string, std::string, std::less<>>;
    Task<Result<>> load(const Context& ctx, std::string table);
    Task<Result<>> durable(const Context& ctx, LogIndex index);

    const Runtime& runtime_;
    MetaStore& meta_;
    std::mutex mutex_;
    std::map<std::string, Table, std::less<>> tables_;
    LogIndex last_erase_ = 0;  // what is absent may be so since a moment ago only
};

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Caching grants: who may cache a file, and asking for it back.
#include <algorithm>

#include "server/vfs/file_state_shard.h"

namespace strata::vfs {

namespace {

// Does what `other` may cache stand against `caching` of somebody else? Write caching is exclusive; read caching is shared.
bool exclude(std::uint8_t caching, std::uint8_t other) { return ((caching | other) & grant::write_caching) != 0; }

}  // namespace

Result<> FileStateTable::grant(FileId file, const Grant& wanted, GrantHolder& to) {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    FileState& state = s.files[file];
    for (const HeldGrant& held : state.grants) {
        if (!(held.grant.holder == wanted.holder) && exclude(wanted.caching, held.grant.caching)) return fail(Errc::share_conflict);
    }
    for (const Open* open : state.opens) {
        if (open->holder().client == wanted.holder.client && open->holder().protocol == wanted.holder.protocol) continue;
        const bool others_write = (open->access() & share::write) != 0;
        if (others_write || (wanted.caching & grant::write_caching)) return fail(Errc::share_conflict);
    }
    std::erase_if(state.grants, [&](const HeldGrant& held) { return held.grant.holder == wanted.holder; });
    state.grants.push_back({wanted, &to});
    return {};
}

void FileStateTable::reduce_grant(FileId file, const Holder& holder, std::uint8_t caching) {
    Shard& s = shard(file);
    std::lock_guard lock(s.mutex);
    auto it = s.files.find(file);
    if (it == s.files.end()) return;
    for (HeldGrant& held : it->second.grants) {
        if (!(held.grant.holder == holder)) continue;
        held.grant.caching &= caching;
        held.grant.recalling = false;
    }
    std::erase_if(it->second.grants, [](const HeldGrant& held) { return held.grant.caching == 0; });
    s.drop_if_empty(it);
}

void FileStateTable::release_grant(FileId file, const Holder& holder) { reduce_grant(file, holder, 0); }

Result<> FileStateTable::recall_conflicting(FileId file, const Holder& by, std::uint8_t keep) {
    std::vector<HeldGrant> to_recall;
    bool held_still = false;
    {
        Shard& s = shard(file);
        std::lock_guard lock(s.mutex);
        auto it = s.files.find(file);
        if (it == s.files.end()) return {};
        for (HeldGrant& held : it->second.grants) {
            const bool own = held.grant.holder.protocol == by.protocol && held.grant.holder.client == by.client;
            if (own || (held.grant.caching & ~keep) == 0) continue;
            held_still = true;
            if (held.grant.recalling) continue;
            held.grant.recalling = true;
            to_recall.push_back(held);
        }
    }
    for (const HeldGrant& held : to_recall) held.to->recall(file, held.grant, keep);
    return held_still ? Result<>(fail(Errc::delay)) : Result<>{};
}

}  // namespace strata::vfs

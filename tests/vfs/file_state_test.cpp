// SPDX-License-Identifier: Apache-2.0
// FileStateTable: share modes, byte-range locks as POSIX knows them, caching grants.
#include "server/vfs/file_state.h"

#include <gtest/gtest.h>

namespace strata::vfs {
namespace {

const FileId file{7, 1};
Holder holder(std::uint64_t client, std::string owner = "o") { return {Protocol::nfs, client, std::move(owner)}; }
Lock shared_lock(Holder h, std::uint64_t offset, std::uint64_t length) { return {std::move(h), {offset, length}, LockKind::shared}; }
Lock exclusive_lock(Holder h, std::uint64_t offset, std::uint64_t length) { return {std::move(h), {offset, length}, LockKind::exclusive}; }

TEST(FileState, an_open_that_a_deny_excludes_names_the_holder) {
    FileStateTable table;
    auto first = table.open(file, holder(1), share::read, share::write, nullptr);
    ASSERT_TRUE(first);
    Holder in_the_way;
    auto second = table.open(file, holder(2), share::write, share::none, &in_the_way);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::share_conflict);
    EXPECT_EQ(in_the_way, holder(1));
    first->reset();
    EXPECT_TRUE(table.open(file, holder(2), share::write, share::none, nullptr));
}

TEST(FileState, the_last_close_leaves_nothing) {
    FileStateTable table;
    {
        auto open = table.open(file, holder(1), share::both, share::none, nullptr);
        ASSERT_TRUE(open);
        EXPECT_TRUE(table.is_open(file));
    }
    EXPECT_FALSE(table.is_open(file));
}

TEST(FileState, a_downgrade_lets_others_in) {
    FileStateTable table;
    auto first = table.open(file, holder(1), share::both, share::write, nullptr);
    ASSERT_FALSE(table.open(file, holder(2), share::write, share::none, nullptr));
    ASSERT_TRUE(table.change(**first, share::read, share::none, nullptr));
    EXPECT_TRUE(table.open(file, holder(2), share::write, share::none, nullptr));
}

TEST(FileState, an_upgrade_against_a_deny_is_refused_and_changes_nothing) {
    FileStateTable table;
    auto first = table.open(file, holder(1), share::read, share::none, nullptr);
    auto second = table.open(file, holder(2), share::read, share::write, nullptr);
    ASSERT_TRUE(second);
    ASSERT_FALSE(table.change(**first, share::both, share::none, nullptr));
    EXPECT_EQ((*first)->access(), share::read);
}

TEST(FileState, shared_locks_of_two_owners_overlap_and_an_exclusive_one_is_refused) {
    FileStateTable table;
    ASSERT_TRUE(table.lock(file, shared_lock(holder(1), 0, 100), nullptr));
    ASSERT_TRUE(table.lock(file, shared_lock(holder(2), 50, 100), nullptr));
    Lock conflict;
    auto refused = table.lock(file, exclusive_lock(holder(3), 99, 1), &conflict);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::locked);
    EXPECT_EQ(conflict.holder, holder(1));
}

TEST(FileState, unlocking_the_middle_splits_a_lock) {
    FileStateTable table;
    ASSERT_TRUE(table.lock(file, exclusive_lock(holder(1), 0, 100), nullptr));
    ASSERT_TRUE(table.unlock(file, holder(1), {40, 20}));
    EXPECT_EQ(table.lock_count(), 2u);
    EXPECT_TRUE(table.test(file, exclusive_lock(holder(2), 40, 20), nullptr));
    EXPECT_FALSE(table.test(file, exclusive_lock(holder(2), 39, 1), nullptr));
    EXPECT_FALSE(table.test(file, exclusive_lock(holder(2), 60, 1), nullptr));
}

TEST(FileState, the_same_owner_changes_the_kind_of_a_part_and_neighbours_merge) {
    FileStateTable table;
    ASSERT_TRUE(table.lock(file, exclusive_lock(holder(1), 0, 100), nullptr));
    ASSERT_TRUE(table.lock(file, shared_lock(holder(1), 20, 10), nullptr));
    EXPECT_EQ(table.lock_count(), 3u);
    EXPECT_TRUE(table.test(file, shared_lock(holder(2), 20, 10), nullptr));
    ASSERT_TRUE(table.lock(file, exclusive_lock(holder(1), 20, 10), nullptr));
    EXPECT_EQ(table.lock_count(), 1u);
}

TEST(FileState, a_lock_to_the_end_covers_whatever_the_file_becomes) {
    FileStateTable table;
    ASSERT_TRUE(table.lock(file, exclusive_lock(holder(1), 10, UINT64_MAX), nullptr));
    EXPECT_FALSE(table.test(file, shared_lock(holder(2), UINT64_MAX - 1, 1), nullptr));
    EXPECT_TRUE(table.test(file, shared_lock(holder(2), 0, 10), nullptr));
    ASSERT_TRUE(table.unlock(file, holder(1), {20, UINT64_MAX}));
    EXPECT_TRUE(table.test(file, exclusive_lock(holder(2), 20, 1), nullptr));
    EXPECT_FALSE(table.test(file, exclusive_lock(holder(2), 19, 1), nullptr));
}

TEST(FileState, releasing_an_owner_leaves_the_locks_of_others) {
    FileStateTable table;
    ASSERT_TRUE(table.lock(file, shared_lock(holder(1, "a"), 0, 1), nullptr));
    ASSERT_TRUE(table.lock(file, shared_lock(holder(1, "b"), 0, 1), nullptr));
    table.release_locks(file, holder(1, "a"));
    EXPECT_FALSE(table.holds_locks(file, holder(1, "a")));
    EXPECT_TRUE(table.holds_locks(file, holder(1, "b")));
}

TEST(FileState, locks_are_bounded_for_a_file_a_client_and_all) {
    const auto fill = [](FileStateTable& table, std::uint64_t client, FileId in, std::size_t count, Errc error) {
        for (std::size_t i = 0; i < count; ++i) EXPECT_TRUE(table.lock(in, shared_lock(holder(client), 2 * i, 1), nullptr));
        const auto more = table.lock(in, shared_lock(holder(client), 2 * count, 1), nullptr);
        ASSERT_FALSE(more);
        EXPECT_EQ(more.error().code, error);
    };
    FileStateTable by_file({.file = 5, .client = 100, .all = 100});
    fill(by_file, 1, file, 5, Errc::too_many);
    EXPECT_FALSE(by_file.lock(file, shared_lock(holder(2), 0, 1), nullptr));
    EXPECT_TRUE(by_file.lock({8, 1}, shared_lock(holder(1), 0, 1), nullptr));
    FileStateTable by_client({.file = 100, .client = 5, .all = 100});
    fill(by_client, 1, file, 5, Errc::too_many);
    EXPECT_TRUE(by_client.lock(file, shared_lock(holder(2), 0, 1), nullptr));
    FileStateTable by_all({.file = 100, .client = 100, .all = 5});
    fill(by_all, 1, file, 5, Errc::no_memory);
    EXPECT_FALSE(by_all.lock({8, 1}, shared_lock(holder(2), 0, 1), nullptr));
    // What goes makes room.
    by_all.release_locks(file, holder(1));
    EXPECT_EQ(by_all.lock_count(), 0u);
    EXPECT_TRUE(by_all.lock({8, 1}, shared_lock(holder(2), 0, 1), nullptr));
}

TEST(FileState, unlocking_splits_no_further_than_the_bound_and_gives_back_always) {
    FileStateTable table({.file = 3, .client = 100, .all = 100});
    ASSERT_TRUE(table.lock(file, exclusive_lock(holder(1), 0, 100), nullptr));
    ASSERT_TRUE(table.unlock(file, holder(1), {10, 1}));
    ASSERT_TRUE(table.unlock(file, holder(1), {20, 1}));
    const auto refused = table.unlock(file, holder(1), {30, 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::too_many);
    EXPECT_FALSE(table.test(file, shared_lock(holder(2), 30, 1), nullptr));
    ASSERT_TRUE(table.unlock(file, holder(1), {21, 100}));
    EXPECT_EQ(table.lock_count(), 2u);
    ASSERT_TRUE(table.unlock(file, holder(1), {0, 100}));
    EXPECT_EQ(table.lock_count(), 0u);
}

TEST(FileState, opens_may_end_in_any_order_and_count_no_more) {
    FileStateTable table;
    std::vector<std::unique_ptr<Open>> opens;
    for (std::uint64_t client = 0; client < 5; ++client) {
        auto open =
            table.open(file, holder(client), client == 2 ? share::both : share::read, client == 3 ? share::write : share::none, nullptr);
        // The fourth denies what the third does.
        ASSERT_EQ(open.has_value(), client != 3);
        opens.push_back(open ? std::move(*open) : nullptr);
    }
    Holder in_the_way;
    EXPECT_FALSE(table.open(file, holder(9), share::read, share::write, &in_the_way));
    EXPECT_EQ(in_the_way, holder(2));
    opens[0].reset();
    opens[2].reset();
    auto denying = table.open(file, holder(9), share::read, share::write, nullptr);
    ASSERT_TRUE(denying);
    EXPECT_FALSE(table.check_io(file, share::write, &in_the_way));
    EXPECT_EQ(in_the_way, holder(9));
    EXPECT_TRUE(table.check_io(file, share::read));
    denying->reset();
    EXPECT_TRUE(table.check_io(file, share::write));
    opens.clear();
    EXPECT_FALSE(table.is_open(file));
}

struct Recalled final : GrantHolder {
    std::vector<Holder> who;
    void recall(FileId, const Grant& g, std::uint8_t) override { who.push_back(g.holder); }
};

TEST(FileState, a_write_grant_is_recalled_once_and_waited_for_until_it_is_reduced) {
    FileStateTable table;
    Recalled recalled;
    ASSERT_TRUE(table.grant(file, {holder(1), grant::read_caching | grant::write_caching, false}, recalled));
    EXPECT_FALSE(table.recall_conflicting(file, holder(2), grant::read_caching));
    EXPECT_FALSE(table.recall_conflicting(file, holder(2), grant::read_caching));
    EXPECT_EQ(recalled.who, std::vector<Holder>{holder(1)});
    table.reduce_grant(file, holder(1), grant::read_caching);
    EXPECT_TRUE(table.recall_conflicting(file, holder(2), grant::read_caching));
}

TEST(FileState, no_write_grant_while_somebody_else_has_the_file_open) {
    FileStateTable table;
    Recalled recalled;
    auto open = table.open(file, holder(2), share::read, share::none, nullptr);
    EXPECT_FALSE(table.grant(file, {holder(1), grant::write_caching, false}, recalled));
    EXPECT_TRUE(table.grant(file, {holder(1), grant::read_caching, false}, recalled));
}

}  // namespace
}  // namespace strata::vfs

// SPDX-License-Identifier: Apache-2.0
// ReplayCache: bounded in replies, bytes and time, and no request is ever done twice because of that.
#include "nfs/rpc/replay_cache.h"

#include <gtest/gtest.h>

namespace strata::nfs {
namespace {

using Found = ReplayCache::Found;
using Bytes = std::shared_ptr<const std::vector<std::byte>>;

struct Replays : testing::Test {
    ReplayCache cache;
    Instant now{1'000'000'000};
    Bytes reply;

    static ReplayCache::Key key(std::uint32_t xid) { return ReplayCache::key({}, xid, 0); }
    static Bytes bytes(std::size_t size) { return std::make_shared<std::vector<std::byte>>(size); }
    void done(std::uint32_t xid, std::size_t size) {
        EXPECT_EQ(cache.begin(key(xid), now, reply), Found::nothing);
        cache.finish(key(xid), now, bytes(size));
    }
    Found find(std::uint32_t xid) { return cache.find(key(xid), now, reply); }
};

TEST_F(Replays, a_reply_is_kept_for_its_time_and_not_longer) {
    done(1, 40);
    EXPECT_EQ(find(1), Found::reply);
    now = now + ReplayCache::kept;
    EXPECT_EQ(find(1), Found::reply);
    now = now + 1s;
    cache.purge(now);
    EXPECT_EQ(cache.size(), 0u);
    EXPECT_EQ(cache.bytes(), 0u);
    EXPECT_EQ(find(1), Found::nothing);
}

TEST_F(Replays, the_bytes_are_bounded_and_the_oldest_go_first) {
    const auto count = 2 * ReplayCache::bytes_max / ReplayCache::reply_max;
    for (std::uint32_t xid = 0; xid < count; ++xid) done(xid, ReplayCache::reply_max);
    EXPECT_LE(cache.bytes(), ReplayCache::bytes_max);
    EXPECT_EQ(find(0), Found::nothing);
    EXPECT_EQ(find(static_cast<std::uint32_t>(count - 1)), Found::reply);
}

TEST_F(Replays, a_large_reply_is_not_kept) {
    done(1, ReplayCache::reply_max + 1);
    EXPECT_EQ(find(1), Found::nothing);
    EXPECT_EQ(cache.size(), 0u);
}

TEST_F(Replays, a_request_that_runs_is_never_forgotten) {
    EXPECT_EQ(cache.begin(key(7), now, reply), Found::nothing);
    for (std::uint32_t xid = 100; xid < 100 + 2 * ReplayCache::replies_max; ++xid) done(xid, 8);
    EXPECT_LE(cache.size(), ReplayCache::replies_max + 1);
    now = now + 10 * ReplayCache::kept;
    cache.purge(now);
    EXPECT_EQ(find(7), Found::running);
    EXPECT_EQ(cache.begin(key(7), now, reply), Found::running);
    cache.finish(key(7), now, bytes(8));
    EXPECT_EQ(cache.begin(key(7), now, reply), Found::reply);
}

}  // namespace
}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Streams of the simulated network: order, splitting, ends, faults.
#include <gtest/gtest.h>

#include "server/base/task_group.h"
#include "tests/sim/world.h"

namespace strata::sim {

namespace {

std::string pattern(std::size_t count) {
    std::string text(count, '\0');
    for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
    return text;
}

Task<Result<>> send_text(ByteStream& stream, std::string text, Instant deadline = Instant::max()) {
    auto bytes = std::as_bytes(std::span(text));
    std::span<const std::byte> pieces[] = {bytes.first(bytes.size() / 3), bytes.subspan(bytes.size() / 3)};
    co_return co_await stream.write_all(pieces, deadline);
}

Task<Result<std::string>> receive_all(ByteStream& stream) {
    std::string text;
    std::byte buffer[1000];
    for (;;) {
        CO_TRY(got, co_await stream.read_some(buffer, Instant::max()));
        if (got == 0) co_return text;
        text.append(reinterpret_cast<const char*>(buffer), got);
    }
}

const Endpoint server = *Endpoint::parse("10.1.0.1:2049");
const Endpoint client = *Endpoint::parse("10.1.0.2:0");

}  // namespace

TEST(SimNetwork, bytes_arrive_whole_and_in_order_through_splitting_and_latency) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        World world(seed);
        world.network().set_faults({.latency_max = 50ms, .split = 0.9});
        auto [a, b] = world.network().pair();
        TaskGroup group;
        auto text = pattern(700'000);  // more than the window: the writer has to wait for the reader
        group.spawn(world.executor(), [&]() -> Task<> {
            EXPECT_TRUE(co_await send_text(*a, text));
            a->close();
        });
        auto got = world.run(receive_all(*b));
        ASSERT_TRUE(got);
        EXPECT_EQ(*got, text);
        EXPECT_TRUE(world.run(group.wait(world.clock(), Instant::max())));
    }
}

TEST(SimNetwork, a_read_with_a_deadline_times_out) {
    World world(1);
    auto [a, b] = world.network().pair();
    std::byte buffer[10];
    auto got = world.run(b->read_some(buffer, Instant{} + 3s));
    EXPECT_EQ(got.error(), Errc::timed_out);
    EXPECT_EQ(world.clock().now(), Instant{} + 3s);
}

TEST(SimNetwork, a_listener_gives_out_streams_and_a_paused_one_keeps_them_waiting) {
    World world(1);
    std::vector<std::unique_ptr<ByteStream>> accepted;
    auto listener = *world.network().listen(server, [&](auto stream) { accepted.push_back(std::move(stream)); });
    EXPECT_EQ(world.network().listen(server, [](auto) {}).error(), Errc::busy);
    listener->pause(true);
    auto stream = world.run(world.network().connect(client, server, Instant::max()));
    ASSERT_TRUE(stream);
    world.run_for(1s);
    EXPECT_EQ(accepted.size(), 0u);
    listener->pause(false);
    world.run_for(1s);
    ASSERT_EQ(accepted.size(), 1u);
    EXPECT_EQ(accepted[0]->local(), server);
    EXPECT_EQ(accepted[0]->remote(), (*stream)->local());
    listener->close();
    EXPECT_EQ(world.run(world.network().connect(client, server, Instant::max())).error(), Errc::closed);
}

TEST(SimNetwork, a_partition_holds_bytes_back_until_healed) {
    World world(1);
    std::unique_ptr<ByteStream> accepted;
    auto listener = *world.network().listen(server, [&](auto stream) { accepted = std::move(stream); });
    auto stream = *world.run(world.network().connect(client, server, Instant::max()));
    world.run_for(1s);
    world.network().partition(client, server, true);
    EXPECT_TRUE(world.run(send_text(*stream, "hello")));
    EXPECT_EQ(world.run(accepted->wait_readable(world.clock().now() + 10s)).error(), Errc::timed_out);
    EXPECT_EQ(world.run(world.network().connect(client, server, world.clock().now() + 1s)).error(), Errc::timed_out);
    world.network().partition(client, server, false);
    EXPECT_TRUE(world.run(accepted->wait_readable(world.clock().now() + 10s)));
}

TEST(SimNetwork, a_cut_stream_fails_both_ends) {
    World world(1);
    auto [a, b] = world.network().pair();
    world.network().disconnect(b->local());
    std::byte buffer[10];
    EXPECT_EQ(world.run(b->read_some(buffer, Instant::max())).error(), Errc::closed);
    EXPECT_EQ(world.run(send_text(*a, "x")).error(), Errc::closed);
}

TEST(SimNetwork, closing_ends_the_own_pending_read) {
    World world(1);
    auto [a, b] = world.network().pair();
    world.after(1s, Job([&stream = b] { stream->close(); }));
    std::byte buffer[10];
    EXPECT_EQ(world.run(b->read_some(buffer, Instant::max())).error(), Errc::closed);
    auto end = world.run(a->read_some(buffer, Instant::max()));
    ASSERT_TRUE(end);
    EXPECT_EQ(*end, 0u);
}

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// Real sockets on loopback: echo with gathers, deadlines, ends, listeners.
#include <mutex>
#include <thread>

#include <boost/asio/this_coro.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/task_group.h"
#include "tests/base/real_world.h"

namespace strata {

namespace {

using Streams = std::vector<std::unique_ptr<ByteStream>>;

const Endpoint any_port = *Endpoint::parse("127.0.0.1:0");

Task<Result<>> send_text(ByteStream& stream, std::string_view text, Instant deadline = Instant::max()) {
    auto bytes = std::as_bytes(std::span(text));
    co_return co_await stream.write_all(std::span(&bytes, 1), deadline);
}

Task<Result<std::string>> receive(ByteStream& stream, std::size_t count, Instant deadline = Instant::max()) {
    std::string text(count, '\0');
    std::size_t done = 0;
    while (done < count) {
        auto out = std::as_writable_bytes(std::span(text)).subspan(done);
        CO_TRY(got, co_await stream.read_some(out, deadline));
        if (got == 0) co_return fail(Errc::closed, "the end came early");
        done += got;
    }
    co_return text;
}

// A server whose streams echo what they read, in two pieces.
class Echo {
public:
    explicit Echo(RealWorld& world) : world_(world) {
        auto listening = world.io().listen(any_port, [this](std::unique_ptr<ByteStream> stream) { take(std::move(stream)); });
        EXPECT_TRUE(listening);
        listener = std::move(*listening);
    }
    ~Echo() {
        listener->close();
        group.stop();
        EXPECT_TRUE(world_.run(group.wait(world_.clock(), world_.clock().now() + 10s)));
    }

    std::unique_ptr<Listener> listener;
    TaskGroup group;
    std::atomic<int> accepted{0};
    std::mutex mutex;
    std::map<std::thread::id, int> by_thread;

private:
    void take(std::unique_ptr<ByteStream> stream) {
        ++accepted;
        {
            std::lock_guard lock(mutex);
            ++by_thread[std::this_thread::get_id()];
        }
        auto home = stream->executor();
        std::shared_ptr<ByteStream> shared = std::move(stream);
        group.spawn(home, [shared] { return serve(*shared); });
    }
    static Task<> serve(ByteStream& stream) {
        std::byte buffer[3000];
        while (co_await stream.wait_readable(Instant::max())) {
            auto got = co_await stream.read_some(buffer, Instant::max());
            if (!got || *got == 0) break;
            std::span<const std::byte> all(buffer, *got);
            std::span<const std::byte> pieces[] = {all.first(all.size() / 2), {}, all.subspan(all.size() / 2)};
            if (!co_await stream.write_all(pieces, Instant::max())) break;
        }
    }
    RealWorld& world_;
};

Task<Result<std::unique_ptr<ByteStream>>> dial(RealWorld& world, const Listener& listener) {
    co_return co_await world.io().connect(listener.local(), world.clock().now() + 5s);
}

}  // namespace

TEST(Tcp, an_echo_server_gives_every_byte_back_in_order) {
    RealWorld world(2);
    Echo echo(world);
    auto talk = [&](int seed) -> Task<> {
        auto stream = std::move(*co_await dial(world, *echo.listener));
        for (int i = 0; i < 30; ++i) {
            std::string text(static_cast<std::size_t>(1 + (seed * 7919 + i * 104729) % 20000), static_cast<char>('a' + (seed + i) % 26));
            EXPECT_TRUE(co_await send_text(*stream, text));
            auto back = co_await receive(*stream, text.size());
            EXPECT_TRUE(back);
            if (back) EXPECT_EQ(*back, text);
        }
    };
    TaskGroup clients;
    for (int i = 0; i < 6; ++i) clients.spawn(world.io().any(), [&, i] { return talk(i); });
    EXPECT_TRUE(world.run(clients.wait(world.clock(), world.clock().now() + 10s)));
    EXPECT_EQ(echo.accepted, 6);
}

TEST(Tcp, a_gather_of_more_pieces_than_one_call_takes_arrives_whole) {
    RealWorld world(1);
    Streams accepted;
    auto listener = *world.io().listen(any_port, [&](auto stream) { accepted.push_back(std::move(stream)); });
    auto talk = [&]() -> Task<> {
        auto stream = std::move(*co_await dial(world, *listener));
        std::string text(5'000'000, '\0');
        for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 % 253);
        std::vector<std::span<const std::byte>> pieces;
        auto rest = std::as_bytes(std::span(text));
        while (!rest.empty()) {
            auto n = std::min<std::size_t>(rest.size(), 1 + pieces.size() * 13 % 3000);
            pieces.push_back(rest.first(n));
            rest = rest.subspan(n);
        }
        EXPECT_GT(pieces.size(), 3000u);
        // The peer does not read yet: the write must wait, and its deadline pass, at some point in the middle.
        EXPECT_EQ((co_await stream->write_all(pieces, world.clock().now() + 50ms)).error(), Errc::timed_out);
    };
    world.run(talk());
    auto whole = [&]() -> Task<> {
        auto stream = std::move(*co_await dial(world, *listener));
        std::string text(3'000'000, 'q');
        std::vector<std::span<const std::byte>> pieces;
        for (std::size_t at = 0; at < text.size(); at += 1000) pieces.push_back(std::as_bytes(std::span(text)).subspan(at, 1000));
        TaskGroup reader;
        while (accepted.size() < 2) co_await world.clock().sleep_for(1ms);
        reader.spawn(accepted[1]->executor(), [&]() -> Task<> {
            auto got = co_await receive(*accepted[1], text.size());
            EXPECT_TRUE(got && *got == text);
        });
        EXPECT_TRUE(co_await stream->write_all(pieces, world.clock().now() + 10s));
        EXPECT_TRUE(co_await reader.wait(world.clock(), world.clock().now() + 10s));
    };
    world.run(whole());
    listener->close();
    auto drop = [&]() -> Task<> {
        accepted.clear();
        co_return;
    };
    world.run(drop());
}

TEST(Tcp, deadlines_of_reads_pass_and_the_stream_works_on) {
    RealWorld world(1);
    Echo echo(world);
    auto talk = [&]() -> Task<> {
        auto stream = std::move(*co_await dial(world, *echo.listener));
        auto start = world.clock().now();
        EXPECT_EQ((co_await receive(*stream, 1, start + 30ms)).error(), Errc::timed_out);
        EXPECT_GE(world.clock().now() - start, 30ms);
        EXPECT_LT(world.clock().now() - start, 5s);
        EXPECT_EQ((co_await stream->wait_readable(world.clock().now() + 10ms)).error(), Errc::timed_out);
        // A long deadline, then a shorter one, then none.
        TaskGroup group;
        EXPECT_TRUE(co_await send_text(*stream, "a", world.clock().now() + 1h));
        EXPECT_TRUE(co_await receive(*stream, 1, world.clock().now() + 1h));
        EXPECT_EQ((co_await receive(*stream, 1, world.clock().now() + 20ms)).error(), Errc::timed_out);
        EXPECT_TRUE(co_await send_text(*stream, "b"));
        auto got = co_await receive(*stream, 1);
        EXPECT_TRUE(got && *got == "b");
    };
    world.run(talk());
}

TEST(Tcp, one_directions_deadline_does_not_end_the_other) {
    RealWorld world(1);
    Streams accepted;
    auto listener = *world.io().listen(any_port, [&](auto stream) { accepted.push_back(std::move(stream)); });
    auto talk = [&]() -> Task<> {
        auto stream = std::move(*co_await dial(world, *listener));
        while (accepted.empty()) co_await world.clock().sleep_for(1ms);
        TaskGroup group;
        bool read = false;
        group.spawn(stream->executor(), [&]() -> Task<> {
            auto got = co_await receive(*stream, 2, world.clock().now() + 10s);
            read = got && *got == "ok";
        });
        std::string much(30'000'000, 'x');
        EXPECT_EQ((co_await send_text(*stream, much, world.clock().now() + 30ms)).error(), Errc::timed_out);
        EXPECT_FALSE(read);
        EXPECT_TRUE(co_await send_text(*accepted[0], "ok"));
        EXPECT_TRUE(co_await group.wait(world.clock(), world.clock().now() + 5s));
        EXPECT_TRUE(read);
        accepted.clear();
    };
    world.run(talk());
}

TEST(Tcp, the_peers_end_reads_as_zero_and_closing_ends_pending_calls) {
    RealWorld world(1);
    Streams accepted;
    auto listener = *world.io().listen(any_port, [&](auto stream) { accepted.push_back(std::move(stream)); });
    auto talk = [&]() -> Task<> {
        auto stream = std::move(*co_await dial(world, *listener));
        while (accepted.empty()) co_await world.clock().sleep_for(1ms);
        EXPECT_EQ(accepted[0]->remote(), stream->local());
        EXPECT_EQ(accepted[0]->local(), listener->local());
        std::byte buffer[10];
        bool would_block = false;
        EXPECT_TRUE(accepted[0]->try_read(buffer, would_block));
        EXPECT_TRUE(would_block);
        TaskGroup group;
        Errc pending{};
        group.spawn(stream->executor(),
                    [&]() -> Task<> { pending = (co_await stream->wait_readable(world.clock().now() + 10s)).error().code; });
        co_await world.clock().sleep_for(5ms);
        stream->close();
        EXPECT_TRUE(co_await group.wait(world.clock(), world.clock().now() + 5s));
        EXPECT_EQ(pending, Errc::closed);
        EXPECT_EQ(stream->try_read(buffer, would_block).error(), Errc::closed);
        EXPECT_EQ((co_await send_text(*stream, "x")).error(), Errc::closed);
        EXPECT_TRUE(co_await accepted[0]->wait_readable(world.clock().now() + 5s));
        auto end = co_await accepted[0]->read_some(buffer, Instant::max());
        EXPECT_TRUE(end);
        if (end) EXPECT_EQ(*end, 0u);
        EXPECT_EQ(*accepted[0]->try_read(buffer, would_block), 0u);
        EXPECT_FALSE(would_block);
        accepted.clear();
    };
    world.run(talk());
}

TEST(Tcp, a_cancelled_reader_gets_cancelled_and_may_destroy_its_stream) {
    RealWorld world(1);
    Echo echo(world);
    auto talk = [&]() -> Task<> {
        TaskGroup group;
        Errc got{};
        auto opened = co_await dial(world, *echo.listener);
        std::shared_ptr<ByteStream> stream = std::move(*opened);
        group.spawn(stream->executor(), [&got, stream]() -> Task<> {
            std::byte buffer[10];
            got = (co_await stream->read_some(buffer, Instant::max())).error().code;
        });
        stream.reset();
        co_await world.clock().sleep_for(5ms);
        group.stop();
        EXPECT_TRUE(co_await group.wait(world.clock(), world.clock().now() + 5s));
        EXPECT_EQ(got, Errc::cancelled);
    };
    world.run(talk());
}

TEST(Tcp, a_refused_connection_names_the_address) {
    RealWorld world(1);
    auto listener = *world.io().listen(any_port, [](auto) {});
    auto where = listener->local();
    listener->close();
    auto refused = world.run(world.io().connect(where, Instant::max()));
    EXPECT_EQ(refused.error(), Errc::closed);
    EXPECT_NE(refused.error().detail.find(where.to_string()), std::string::npos);
}

TEST(Tcp, a_busy_address_is_refused_by_name_and_free_again_after_close) {
    RealWorld world(2);
    auto listener = *world.io().listen(any_port, [](auto) {});
    auto where = listener->local();
    auto second = world.io().listen(where, [](auto) {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), Errc::busy);
    EXPECT_NE(second.error().detail.find(where.to_string()), std::string::npos);
    listener->close();
    EXPECT_TRUE(world.io().listen(where, [](auto) {}));
}

TEST(Tcp, both_ends_find_out_that_the_other_is_gone_without_a_word) {
    RealWorld world(1);
    Echo echo(world);
    auto talk = [&]() -> Task<> {
        auto stream = std::move(*co_await dial(world, *echo.listener));
        EXPECT_TRUE(co_await send_text(*stream, "x"));
        EXPECT_TRUE(co_await receive(*stream, 1));
        // The sockets of this connection among all that are open here.
        const auto port = echo.listener->local().port;
        int watched = 0;
        for (int descriptor = 3; descriptor < 1024; ++descriptor) {
            sockaddr_in ours{}, theirs{};
            socklen_t size = sizeof ours;
            if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&ours), &size) != 0) continue;
            size = sizeof theirs;
            if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&theirs), &size) != 0) continue;
            if (ntohs(ours.sin_port) != port && ntohs(theirs.sin_port) != port) continue;
            int keepalive = 0, timeout = 0;
            size = sizeof keepalive;
            (void)::getsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size);
            (void)::getsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size);
            EXPECT_EQ(keepalive, 1);
            EXPECT_EQ(timeout, 120'000);
            ++watched;
        }
        EXPECT_EQ(watched, 2);
    };
    world.run(talk());
}

TEST(Tcp, a_paused_listener_gives_out_nothing_until_it_goes_on) {
    RealWorld world(2);
    Echo echo(world);
    echo.listener->pause(true);
    auto talk = [&]() -> Task<> {
        co_await world.clock().sleep_for(10ms);  // both threads have heard of it
        Streams streams;
        for (int i = 0; i < 5; ++i) {
            auto opened = co_await dial(world, *echo.listener);  // the kernel's backlog answers
            EXPECT_TRUE(opened);
            streams.push_back(std::move(*opened));
        }
        co_await world.clock().sleep_for(20ms);
        EXPECT_EQ(echo.accepted, 0);
        echo.listener->pause(false);
        for (auto& stream : streams) {
            EXPECT_TRUE(co_await send_text(*stream, "x"));
            EXPECT_TRUE(co_await receive(*stream, 1, world.clock().now() + 5s));
        }
        EXPECT_EQ(echo.accepted, 5);
    };
    world.run(talk());
}

TEST(Tcp, streams_are_spread_evenly_over_the_threads) {
    RealWorld world(2);
    Echo echo(world);
    auto talk = [&]() -> Task<> {
        Streams streams;
        for (int i = 0; i < 8; ++i) {
            streams.push_back(std::move(*co_await dial(world, *echo.listener)));
            EXPECT_TRUE(co_await send_text(*streams.back(), "x"));
            EXPECT_TRUE(co_await receive(*streams.back(), 1, world.clock().now() + 5s));
        }
        std::lock_guard lock(echo.mutex);
        EXPECT_EQ(echo.by_thread.size(), 2u);
        for (auto& [thread, count] : echo.by_thread) EXPECT_EQ(count, 4);
    };
    world.run(talk());
}

TEST(Tcp, out_of_descriptors_the_listener_waits_and_recovers) {
    RealWorld world(1);
    Echo echo(world);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    auto talk = [&]() -> Task<> {
        // Asked before the descriptors run out: UBSan's first look at an object's type needs some.
        const auto port = echo.listener->local().port;
        co_await world.clock().sleep_for(1ms);
        // A plain client socket, made before the descriptors run out.
        int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int top = ::dup(client);
        ::close(top);
        rlimit tight = before;
        tight.rlim_cur = static_cast<rlim_t>(top);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        EXPECT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        co_await world.clock().sleep_for(50ms);
        EXPECT_EQ(echo.accepted, 0);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
        for (int i = 0; i < 500 && echo.accepted == 0; ++i) co_await world.clock().sleep_for(10ms);
        EXPECT_EQ(echo.accepted, 1);
        ::close(client);
    };
    world.run(talk());
}

TEST(Tcp, after_close_returns_no_stream_is_given_out) {
    RealWorld world(2);
    for (int round = 0; round < 20; ++round) {
        auto alive = std::make_unique<std::atomic<int>>(0);
        auto listener = *world.io().listen(any_port, [&](auto) { ++*alive; });
        TaskGroup clients;
        for (int i = 0; i < 4; ++i) {
            clients.spawn(world.io().any(), [&]() -> Task<> { (void)co_await dial(world, *listener); });
        }
        if (round % 2 == 0) std::this_thread::yield();
        listener->close();
        alive.reset();  // on_stream would crash now
        EXPECT_TRUE(world.run(clients.wait(world.clock(), world.clock().now() + 10s)));
    }
}

}  // namespace strata

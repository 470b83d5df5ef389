// SPDX-License-Identifier: Apache-2.0
// Sockets: tries first, one lazy timer for both directions' deadlines.
#include "server/base/tcp_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "server/base/assert.h"
#include "server/base/system_clock.h"

namespace strata {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

namespace {

constexpr auto tuple_token = asio::as_tuple(asio::use_awaitable_t<Executor>());

enum Direction : std::size_t { reading, writing };

// What outlives the stream object while a cancelled call finds its way out.
struct Connection : std::enable_shared_from_this<Connection> {
    Connection(tcp::socket s, std::shared_ptr<std::atomic<int>> l)
        : socket(std::move(s)), timer(socket.get_executor()), live(std::move(l)) {}
    ~Connection() {
        if (live != nullptr) live->fetch_sub(1, std::memory_order_relaxed);
    }

    // Sees to it that the timer runs no later than `deadline`. A timer that is early just looks again: the usual call, with a deadline
    // later than the last one's, touches no timer at all.
    void watch(Direction direction, Instant deadline) {
        deadlines[direction] = deadline;
        if (deadline < armed_until) arm(deadline);
    }

    void arm(Instant until) {
        armed_until = until;
        timer.expires_at(to_time_point(until));
        timer.async_wait([weak = weak_from_this()](ErrorCode error) {
            auto self = weak.lock();
            if (self != nullptr && !error) self->look();
        });
    }

    void look() {
        auto now = SystemClock().now();
        if (now < armed_until) return;  // armed anew meanwhile
        armed_until = Instant::max();
        bool any = false;
        for (auto direction : {reading, writing}) {
            if (deadlines[direction] > now) continue;
            deadlines[direction] = Instant::max();
            due[direction] = true;
            any = true;
        }
        ErrorCode ignored;
        if (any) socket.cancel(ignored);  // ends both waits; the one that is not due waits again
        auto next = std::min(deadlines[reading], deadlines[writing]);
        if (next != Instant::max()) arm(next);
    }

    void close() {
        if (closed) return;
        closed = true;
        ErrorCode ignored;
        socket.shutdown(tcp::socket::shutdown_both, ignored);
        socket.close(ignored);
        timer.cancel();
    }

    tcp::socket socket;
    asio::steady_timer timer;
    std::shared_ptr<std::atomic<int>> live;
    Instant armed_until = Instant::max();
    std::array<Instant, 2> deadlines = {Instant::max(), Instant::max()};
    std::array<bool, 2> due = {false, false};
    bool closed = false;
    bool drained = false;  // the last read took all there was
};

using ConnectionPointer = std::shared_ptr<Connection>;

std::unexpected<Error> fail_errno(int error) { return fail(Errc::closed, std::strerror(error)); }

// Suspends until the socket is ready in that direction.
Task<Result<>> wait_ready(ConnectionPointer connection, Direction direction, Instant deadline) {
    auto& c = *connection;
    for (;;) {
        if (c.closed) co_return fail(Errc::closed);
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return fail(Errc::cancelled);
        c.due[direction] = false;
        if (deadline != Instant::max()) c.watch(direction, deadline);
        auto type = direction == reading ? tcp::socket::wait_read : tcp::socket::wait_write;
        auto [error] = co_await c.socket.async_wait(type, tuple_token);
        c.deadlines[direction] = Instant::max();
        if (c.closed) co_return fail(Errc::closed);
        if (!error) co_return Result<>();
        if (c.due[direction]) co_return fail(Errc::timed_out);
        if (error != asio::error::operation_aborted) co_return fail(Errc::closed, error.message());
    }
}

// Reads without waiting.
Result<std::size_t> receive(Connection& c, std::span<std::byte> out, bool& would_block) {
    STRATA_ASSERT(!out.empty());
    would_block = false;
    if (c.closed) return fail(Errc::closed);
    for (;;) {
        auto n = ::recv(c.socket.native_handle(), out.data(), out.size(), MSG_DONTWAIT);
        if (n >= 0) {
            c.drained = static_cast<std::size_t>(n) < out.size() && n > 0;
            return static_cast<std::size_t>(n);
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return fail_errno(errno);
        c.drained = true;
        would_block = true;
        return 0;
    }
}

// What is still to be written: `pieces`, less the first `skip` bytes of the first.
struct Remainder {
    std::span<const std::span<const std::byte>> pieces;
    std::size_t skip = 0;

    void advance(std::size_t count) {
        while (!pieces.empty()) {
            auto rest = pieces[0].size() - skip;
            if (count < rest) {
                skip += count;
                return;
            }
            count -= rest;
            skip = 0;
            pieces = pieces.subspan(1);
        }
    }
};

// Sends as much as the socket takes now; true: all of it.
Result<bool> send_some(Connection& c, Remainder& remainder) {
    constexpr int gather_max = IOV_MAX;
    if (c.closed) return fail(Errc::closed);
    std::array<iovec, gather_max> vectors;
    for (;;) {
        int count = 0;
        for (std::size_t i = 0; i < remainder.pieces.size() && count < gather_max; ++i) {
            auto piece = i == 0 ? remainder.pieces[0].subspan(remainder.skip) : remainder.pieces[i];
            if (!piece.empty()) vectors[static_cast<std::size_t>(count++)] = {const_cast<std::byte*>(piece.data()), piece.size()};
        }
        if (count == 0) return true;
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = static_cast<std::size_t>(count);
        auto n = ::sendmsg(c.socket.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
            return fail_errno(errno);
        }
        remainder.advance(static_cast<std::size_t>(n));
        if (remainder.pieces.empty()) return true;
    }
}

class TcpStream final : public ByteStream {
public:
    explicit TcpStream(ConnectionPointer connection, Endpoint local, Endpoint remote)
        : connection_(std::move(connection)), local_(local), remote_(remote) {}
    ~TcpStream() override { connection_->close(); }

    Task<Result<>> wait_readable(Instant deadline) override {
        auto connection = connection_;
        if (connection->closed) co_return fail(Errc::closed);
        if (!connection->drained) {
            std::byte peeked;
            auto n = ::recv(connection->socket.native_handle(), &peeked, 1, MSG_PEEK | MSG_DONTWAIT);
            if (n >= 0) co_return Result<>();
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) co_return fail_errno(errno);
        }
        auto ready = co_await wait_ready(connection, reading, deadline);
        connection->drained = false;
        co_return ready;
    }

    Task<Result<std::size_t>> read_some(std::span<std::byte> out, Instant deadline) override {
        auto connection = connection_;
        for (;;) {
            bool would_block = false;
            auto got = receive(*connection, out, would_block);
            if (!got || !would_block) co_return got;
            CO_CHECK_OK(co_await wait_ready(connection, reading, deadline));
        }
    }

    Result<std::size_t> try_read(std::span<std::byte> out, bool& would_block) override { return receive(*connection_, out, would_block); }

    Task<Result<>> write_all(std::span<const std::span<const std::byte>> pieces, Instant deadline) override {
        auto connection = connection_;
        Remainder remainder{.pieces = pieces};
        for (;;) {
            CO_TRY(done, send_some(*connection, remainder));
            if (done) co_return Result<>();
            CO_CHECK_OK(co_await wait_ready(connection, writing, deadline));
        }
    }

    void close() override { connection_->close(); }
    Endpoint local() const override { return local_; }
    Endpoint remote() const override { return remote_; }
    Executor executor() const override { return connection_->socket.get_executor(); }

private:
    ConnectionPointer connection_;
    Endpoint local_;
    Endpoint remote_;
};

// A peer that is gone without a word is found out within two minutes: by probes where nothing is sent, by what is not acknowledged where
// something is.
void detect_loss(int descriptor) {
    const auto set = [descriptor](int level, int option, int value) {
        (void)::setsockopt(descriptor, level, option, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 60);  // seconds
    set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 120'000);  // milliseconds
}

std::unique_ptr<ByteStream> wrap(ConnectionPointer connection) {
    ErrorCode ignored;
    detect_loss(connection->socket.native_handle());
    connection->socket.set_option(tcp::no_delay(true), ignored);
    connection->socket.non_blocking(true, ignored);
    auto local = from_asio(connection->socket.local_endpoint(ignored));
    auto remote = from_asio(connection->socket.remote_endpoint(ignored));
    return std::make_unique<TcpStream>(std::move(connection), local, remote);
}

}  // namespace

tcp::endpoint to_asio(const Endpoint& endpoint) {
    if (!endpoint.v6) {
        asio::ip::address_v4::bytes_type bytes;
        std::copy_n(endpoint.address, bytes.size(), bytes.begin());
        return {asio::ip::address_v4(bytes), endpoint.port};
    }
    asio::ip::address_v6::bytes_type bytes;
    std::copy_n(endpoint.address, bytes.size(), bytes.begin());
    return {asio::ip::address_v6(bytes), endpoint.port};
}

Endpoint from_asio(const tcp::endpoint& endpoint) {
    Endpoint out;
    out.port = endpoint.port();
    auto address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    out.v6 = address.is_v6();
    if (out.v6) {
        auto bytes = address.to_v6().to_bytes();
        std::copy(bytes.begin(), bytes.end(), out.address);
    } else {
        auto bytes = address.to_v4().to_bytes();
        std::copy(bytes.begin(), bytes.end(), out.address);
    }
    return out;
}

std::unique_ptr<ByteStream> make_tcp_stream(tcp::socket socket, std::shared_ptr<std::atomic<int>> live) {
    return wrap(std::make_shared<Connection>(std::move(socket), std::move(live)));
}

std::unique_ptr<ByteStream> make_stream(Executor home, int descriptor) {
    auto connection = std::make_shared<Connection>(tcp::socket(std::move(home)), nullptr);
    ErrorCode ignored;
    connection->socket.assign(tcp::v4(), descriptor, ignored);  // the family matters only to names, which are not asked for
    connection->socket.non_blocking(true, ignored);
    return std::make_unique<TcpStream>(std::move(connection), Endpoint{}, Endpoint{});
}

Task<Result<std::unique_ptr<ByteStream>>> connect_tcp(Endpoint endpoint, Instant deadline) {
    auto home = co_await asio::this_coro::executor;
    auto connection = std::make_shared<Connection>(tcp::socket(home), nullptr);
    if (deadline != Instant::max()) connection->watch(writing, deadline);
    ErrorCode failed;
    connection->socket.open(endpoint.v6 ? tcp::v6() : tcp::v4(), failed);
    if (failed) co_return fail(Errc::too_many, "connecting to " + endpoint.to_string() + ": " + failed.message());
    auto [error] = co_await connection->socket.async_connect(to_asio(endpoint), tuple_token);
    connection->deadlines[writing] = Instant::max();
    if (!error) co_return wrap(std::move(connection));
    if (connection->due[writing]) co_return fail(Errc::timed_out, "connecting to " + endpoint.to_string());
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return fail(Errc::cancelled);
    co_return fail(Errc::closed, "connecting to " + endpoint.to_string() + ": " + error.message());
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// The kernel spreads new connections over the sockets by a hash, which with few clients can put all on one thread: a connection is
// therefore given, before its first byte is read, to the thread with the fewest streams, and stays there.
#include "server/base/tcp_listener.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <mutex>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/tcp_stream.h"

namespace strata {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

namespace {

constexpr int backlog = 1024;
constexpr auto back_off = std::chrono::milliseconds(100);

Error listen_error(int error, const Endpoint& endpoint) {
    auto detail = "listening on " + endpoint.to_string() + ": " + std::strerror(error);
    switch (error) {
        case EADDRINUSE: return Error(Errc::busy, detail + " (another program listens there)");
        case EACCES: return Error(Errc::access, detail + " (ports below 1024 need a privilege)");
        case EMFILE:
        case ENFILE: return Error(Errc::too_many, detail);
        default: return Error(Errc::invalid_argument, detail);
    }
}

// Descriptors from here on are left to files: a store must not fail because clients connect.
int descriptors_for_streams() {
    constexpr rlim_t reserve_max = 128;
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > INT_MAX) return INT_MAX;
    return static_cast<int>(files.rlim_cur - std::min(reserve_max, files.rlim_cur / 4));
}

// One io thread's share of the listener. All but `mutex` belongs to that thread.
struct Door {
    explicit Door(const StreamHome& h) : home(h), acceptor(h.executor), timer(h.executor) {}
    StreamHome home;
    tcp::acceptor acceptor;
    asio::steady_timer timer;  // runs while out of descriptors
    bool waiting = false;
    // Held while on_stream runs, so that close() can wait for it; recursive, as on_stream may close.
    std::recursive_mutex mutex;
};

struct State : std::enable_shared_from_this<State> {
    std::vector<std::unique_ptr<Door>> doors;
    OnStream on_stream;
    const int descriptors_max = descriptors_for_streams();
    std::atomic<bool> closed{false};
    std::atomic<bool> paused{false};

    void wait(Door& door) {
        if (door.waiting || closed || paused) return;
        door.waiting = true;
        door.acceptor.async_wait(tcp::acceptor::wait_read, [self = shared_from_this(), &door](ErrorCode error) {
            door.waiting = false;
            if (error && (self->closed || error != asio::error::operation_aborted)) return;
            if (error || self->accept_all(door)) self->wait(door);
        });
    }

    // Takes what waits in the backlog. False: out of descriptors; a timer goes on later.
    bool accept_all(Door& door) {
        for (int i = 0; i < 64 && !closed && !paused; ++i) {
            int fd = ::accept4(door.acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0 && fd < descriptors_max) {
                give(fd, door);
                continue;
            }
            if (fd >= 0) {  // the last ones are for the disks: numbers are given from below
                ::close(fd);
                errno = EMFILE;
            }
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return true;
            door.timer.expires_after(back_off);
            door.timer.async_wait([self = shared_from_this(), &door](ErrorCode error) {
                if (!error) self->wait(door);
            });
            return false;
        }
        return true;
    }

    void give(int fd, Door& door) {
        auto* to = &door;
        for (auto& other : doors) {
            if (other->home.live->load(std::memory_order_relaxed) < to->home.live->load(std::memory_order_relaxed)) to = other.get();
        }
        to->home.live->fetch_add(1, std::memory_order_relaxed);
        if (to == &door) return deliver(fd, door);
        asio::post(to->home.executor, [self = shared_from_this(), to, fd] { self->deliver(fd, *to); });
    }

    void deliver(int fd, Door& door) {
        std::lock_guard lock(door.mutex);
        sockaddr_storage address{};
        socklen_t length = sizeof address;
        bool v6 = ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 && address.ss_family == AF_INET6;
        tcp::socket socket(door.home.executor);
        ErrorCode error;
        socket.assign(v6 ? tcp::v6() : tcp::v4(), fd, error);
        if (error) {
            ::close(fd);
            door.home.live->fetch_sub(1, std::memory_order_relaxed);
            return;
        }
        auto stream = make_tcp_stream(std::move(socket), door.home.live);
        if (!closed) on_stream(std::move(stream));
    }
};

class TcpListener final : public Listener {
public:
    TcpListener(std::shared_ptr<State> state, Endpoint local) : state_(std::move(state)), local_(local) {}
    ~TcpListener() override { close(); }

    Endpoint local() const override { return local_; }

    void close() override {
        if (state_->closed.exchange(true)) return;
        for (auto& door : state_->doors) {
            std::lock_guard lock(door->mutex);                    // no on_stream runs or will, once this loop is through
            ::shutdown(door->acceptor.native_handle(), SHUT_RD);  // the address is free at once
            asio::post(door->home.executor, [state = state_, &door = *door] {
                ErrorCode ignored;
                door.acceptor.close(ignored);
                door.timer.cancel();
            });
        }
    }

    void pause(bool paused) override {
        if (state_->paused.exchange(paused) == paused || state_->closed) return;
        for (auto& door : state_->doors) {
            asio::post(door->home.executor, [state = state_, &door = *door] {
                ErrorCode ignored;
                if (state->closed) return;
                if (state->paused)
                    door.acceptor.cancel(ignored);
                else
                    state->wait(door);
            });
        }
    }

private:
    std::shared_ptr<State> state_;
    Endpoint local_;
};

// Another program that shares the port on purpose (SO_REUSEPORT, same user) would take half of our clients: a socket that does not
// share shows whether the address is free.
Result<> probe(const Executor& executor, const tcp::endpoint& at, const Endpoint& endpoint) {
    tcp::acceptor socket(executor);
    ErrorCode error;
    socket.open(at.protocol(), error);
    if (!error) socket.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) socket.bind(at, error);
    if (error) return fail(listen_error(error.value(), endpoint));
    return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> listen_tcp(const std::vector<StreamHome>& homes, const Endpoint& endpoint, OnStream on_stream) {
    auto state = std::make_shared<State>();
    state->on_stream = std::move(on_stream);
    auto at = to_asio(endpoint);
    if (at.port() != 0) CHECK_OK(probe(homes.front().executor, at, endpoint));
    for (const auto& home : homes) {
        auto& door = *state->doors.emplace_back(std::make_unique<Door>(home));
        ErrorCode error;
        door.acceptor.open(at.protocol(), error);
        if (!error) door.acceptor.set_option(tcp::acceptor::reuse_address(true), error);
        int on = 1;
        if (!error && ::setsockopt(door.acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
            error.assign(errno, boost::system::system_category());
        }
        if (!error) door.acceptor.non_blocking(true, error);
        if (!error) door.acceptor.bind(at, error);
        if (!error) door.acceptor.listen(backlog, error);
        if (!error) at = door.acceptor.local_endpoint(error);  // port 0 is a number now
        if (error) return fail(listen_error(error.value(), endpoint));
    }
    for (auto& door : state->doors) {
        asio::post(door->home.executor, [state, &door = *door] { state->wait(door); });
    }
    return std::make_unique<TcpListener>(std::move(state), from_asio(at));
}

}  // namespace strata

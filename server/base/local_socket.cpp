// SPDX-License-Identifier: Apache-2.0
// Local sockets: what is particular to them is the name; the streams are those of tcp_stream.
#include "server/base/local_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/system_clock.h"
#include "server/base/tcp_stream.h"

namespace strata {

namespace asio = boost::asio;

namespace {

constexpr int backlog = 64;
constexpr Duration retry_interval = 10ms;

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

std::unexpected<Error> fail_errno(int error, const std::string& path) {
    const auto code = [error] {
        switch (error) {
            case ENOENT:
            case ECONNREFUSED: return Errc::not_found;
            case EADDRINUSE: return Errc::busy;
            case EACCES:
            case EPERM: return Errc::access;
            case EMFILE:
            case ENFILE: return Errc::too_many;
            default: return Errc::io;
        }
    }();
    return fail(code, path + ": " + std::strerror(error));
}

// A socket's path has 107 bytes. A longer one is reached through its folder, which stays open as long as the address is used.
struct Address {
    sockaddr_un name{};
    Descriptor folder{-1};

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

Result<Address> address_of(const std::string& path) {
    if (path.empty()) return fail(Errc::not_found, "the path of a local socket is empty");  // to the kernel: a name without a path
    Address address;
    address.name.sun_family = AF_UNIX;
    std::string text = path;
    if (text.size() >= sizeof address.name.sun_path) {
        const auto slash = path.rfind('/');
        const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
        address.folder = Descriptor(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (address.folder.get() < 0) return fail_errno(errno, path);
        text = "/proc/self/fd/" + std::to_string(address.folder.get()) + "/" + path.substr(slash == std::string::npos ? 0 : slash + 1);
        if (text.size() >= sizeof address.name.sun_path) return fail_errno(ENAMETOOLONG, path);
    }
    std::copy(text.begin(), text.end(), address.name.sun_path);
    return address;
}

Result<Descriptor> make_socket(const std::string& path) {
    Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0) return fail_errno(errno, path);
    return fd;
}

// Makes the path free, unless something that is in use or not a socket stands there.
Result<> clear_path(const std::string& path, const Address& address) {
    struct stat there{};
    if (::lstat(path.c_str(), &there) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno(errno, path);
    }
    if (!S_ISSOCK(there.st_mode)) return fail(Errc::exists, path + ": is there and no socket");
    TRY(probe, make_socket(path));
    if (::connect(probe.get(), address.get(), sizeof address.name) == 0 || errno == EAGAIN) {
        return fail(Errc::busy, path + ": another process listens there");
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, path);
    return {};
}

class SystemLocalListener final : public LocalListener {
public:
    using Protocol = asio::local::stream_protocol;

    SystemLocalListener(Executor home, Descriptor fd, std::string path) : acceptor_(std::move(home)), path_(std::move(path)) {
        boost::system::error_code ignored;
        acceptor_.assign(Protocol(), fd.release(), ignored);
        (void)::lstat(path_.c_str(), &own_);
    }
    ~SystemLocalListener() override { close(); }

    Task<Result<LocalPeer>> accept() override {
        for (;;) {
            if (!acceptor_.is_open()) co_return fail(Errc::closed);
            if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none)
                co_return fail(Errc::cancelled);
            Descriptor fd(::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (fd.get() >= 0) {
                ucred peer{};
                socklen_t size = sizeof peer;
                if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
                co_return LocalPeer{make_stream(acceptor_.get_executor(), fd.release()), peer.uid};
            }
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) co_return fail_errno(errno, path_);
            co_await acceptor_.async_wait(Protocol::acceptor::wait_read, asio::as_tuple(asio::use_awaitable_t<Executor>()));
        }
    }

    void close() override {
        if (!acceptor_.is_open()) return;
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        struct stat there{};
        if (::lstat(path_.c_str(), &there) == 0 && there.st_ino == own_.st_ino && there.st_dev == own_.st_dev) ::unlink(path_.c_str());
    }

private:
    Protocol::acceptor acceptor_;
    std::string path_;
    struct stat own_{};
};

}  // namespace

Result<std::unique_ptr<LocalListener>> listen_local(Executor home, const std::string& path) {
    TRY(address, address_of(path));
    CHECK_OK(clear_path(path, address));
    TRY(fd, make_socket(path));
    // The socket's own mode becomes the path's: there is no moment with a wider one, and no umask to change for all threads.
    if (::fchmod(fd.get(), 0600) != 0) return fail_errno(errno, path);
    if (::bind(fd.get(), address.get(), sizeof address.name) != 0) return fail_errno(errno, path);
    if (::listen(fd.get(), backlog) != 0) return fail_errno(errno, path);
    return std::make_unique<SystemLocalListener>(std::move(home), std::move(fd), path);
}

Task<Result<std::unique_ptr<ByteStream>>> connect_local(std::string path, Instant deadline) {
    auto home = co_await asio::this_coro::executor;
    CO_TRY(address, address_of(path));
    CO_TRY(fd, make_socket(path));
    SystemClock clock;
    for (;;) {
        if (::connect(fd.get(), address.get(), sizeof address.name) == 0) co_return make_stream(std::move(home), fd.release());
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return fail_errno(errno, path);
        // The listener's queue is full. Nothing tells when it is not.
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return fail(Errc::cancelled);
        if (clock.now() >= deadline) co_return fail(Errc::timed_out, path + ": the listener accepts nobody");
        co_await clock.sleep_for(retry_interval);
    }
}

}  // namespace strata

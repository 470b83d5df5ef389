// SPDX-License-Identifier: Apache-2.0
// ControlSocket over a local stream socket.
#include "server/control_socket.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace strata {

namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using Socket = Protocol::socket;

constexpr std::size_t line_size_max = 64 * 1024;

std::string error_line(const Error& error) {
    return boost::json::serialize(boost::json::object{{"error", to_string(error.code)}, {"detail", error.detail}}) + "\n";
}

bool is_own_peer(Socket& socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == 0 || peer.uid == ::geteuid();
}

struct Shared {
    ControlHandler handler;
    Log log;
};

Task<> serve(Socket socket, std::shared_ptr<Shared> shared) {
    std::string input;
    boost::system::error_code error;
    const auto done = [&error] { return asio::redirect_error(asio::use_awaitable_t<Executor>{}, error); };
    for (;;) {
        const std::size_t size = co_await asio::async_read_until(socket, asio::dynamic_buffer(input, line_size_max), '\n', done());
        if (error) co_return;
        std::string reply;
        const auto request = boost::json::parse(std::string_view(input).substr(0, size), error);
        if (!is_own_peer(socket)) {
            reply = error_line({Errc::access, "only root and the user who runs stratad may use its control socket"});
        } else if (error || !request.is_object()) {
            reply = error_line({Errc::bad_message, "a request is one JSON object on a line"});
        } else {
            auto result = co_await shared->handler(request.as_object());
            reply = result ? boost::json::serialize(*result) + "\n" : error_line(result.error());
        }
        input.erase(0, size);
        co_await asio::async_write(socket, asio::buffer(reply), done());
        if (error) co_return;
    }
}

class LocalControlSocket final : public ControlSocket {
public:
    LocalControlSocket(Protocol::acceptor acceptor, std::string path, std::shared_ptr<Shared> shared)
        : acceptor_(std::make_shared<Protocol::acceptor>(std::move(acceptor))), path_(std::move(path)) {
        asio::co_spawn(acceptor_->get_executor(), accept(acceptor_, std::move(shared)), asio::detached);
    }
    ~LocalControlSocket() override { close(); }

    void close() override {
        if (path_.empty()) return;
        asio::post(acceptor_->get_executor(), [acceptor = acceptor_] {
            boost::system::error_code ignored;
            acceptor->close(ignored);
        });
        ::unlink(path_.c_str());
        path_.clear();
    }

private:
    static Task<> accept(std::shared_ptr<Protocol::acceptor> acceptor, std::shared_ptr<Shared> shared) {
        for (;;) {
            boost::system::error_code error;
            Socket socket = co_await acceptor->async_accept(asio::redirect_error(asio::use_awaitable_t<Executor>{}, error));
            if (error) co_return;
            asio::co_spawn(acceptor->get_executor(), serve(std::move(socket), shared), asio::detached);
        }
    }

    std::shared_ptr<Protocol::acceptor> acceptor_;
    std::string path_;
};

bool somebody_answers(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const Protocol::endpoint endpoint(path);
    const bool answered = ::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
    ::close(fd);
    return answered;
}

}  // namespace

Result<std::unique_ptr<ControlSocket>> open_control_socket(Executor executor, const std::string& path, Log log, ControlHandler handler) {
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return fail(Errc::config, fmt::format("{}: too long for a local socket's path", path));
    if (somebody_answers(path)) return fail(Errc::busy, fmt::format("{}: another stratad runs with this data folder", path));
    ::unlink(path.c_str());
    Protocol::acceptor acceptor(executor);
    boost::system::error_code error;
    acceptor.open(Protocol(), error);
    const mode_t before = ::umask(0177);
    if (!error) acceptor.bind(Protocol::endpoint(path), error);
    ::umask(before);
    if (!error) acceptor.listen(16, error);
    if (error) return fail(Errc::io, fmt::format("{}: {}", path, error.message()));
    auto shared = std::make_shared<Shared>(Shared{std::move(handler), std::move(log)});
    return std::make_unique<LocalControlSocket>(std::move(acceptor), path, std::move(shared));
}

Result<boost::json::object> ask_control_socket(const std::string& path, const boost::json::object& request, Duration timeout) {
    asio::io_context io(1);
    Socket socket(io);
    boost::system::error_code error;
    socket.connect(Protocol::endpoint(path), error);
    if (error) return fail(Errc::not_found, fmt::format("no stratad answers at {} ({})", path, error.message()));
    const std::string line = boost::json::serialize(request) + "\n";
    asio::write(socket, asio::buffer(line), error);
    std::string input;
    boost::system::error_code read_error = asio::error::timed_out;
    asio::async_read_until(socket, asio::dynamic_buffer(input), '\n', [&](boost::system::error_code e, std::size_t) { read_error = e; });
    io.run_for(timeout);
    if (error || read_error) return fail(Errc::timed_out, fmt::format("{}: stratad did not answer", path));
    const auto reply = boost::json::parse(input, error);
    if (error || !reply.is_object()) return fail(Errc::bad_message, fmt::format("{}: not an answer of stratad", path));
    const auto& object = reply.as_object();
    if (object.contains("error")) {
        const auto* detail = object.if_contains("detail");
        return fail(Errc::invalid_argument,
                    detail && detail->is_string() ? std::string(detail->as_string()) : boost::json::serialize(reply));
    }
    return object;
}

}  // namespace strata

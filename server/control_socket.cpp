// SPDX-License-Identifier: Apache-2.0
// ControlSocket: lines of JSON over a local stream.
#include "server/control_socket.h"

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "server/base/local_socket.h"
#include "server/base/system_clock.h"
#include "server/base/task_group.h"

namespace strata {

namespace {

namespace asio = boost::asio;

constexpr std::size_t reply_size_max = 64 << 20;
constexpr std::size_t read_size = 4096;

std::string error_line(const Error& error) {
    return boost::json::serialize(boost::json::object{{"error", to_string(error.code)}, {"detail", error.detail}}) + "\n";
}

Task<Result<>> write_text(ByteStream& stream, std::string_view text, Instant deadline) {
    const auto bytes = std::as_bytes(std::span(text));
    co_return co_await stream.write_all(std::span(&bytes, 1), deadline);
}

// The next line, without its end; `input` keeps what came after it. Errors: closed (what is left is no whole line), timed_out, too_big.
Task<Result<std::string>> read_line(ByteStream& stream, std::string& input, std::size_t size_max, Instant deadline) {
    std::size_t searched = 0;
    for (;;) {
        const auto end = input.find('\n', searched);
        if (end != std::string::npos && end <= size_max) {
            std::string line = input.substr(0, end);
            input.erase(0, end + 1);
            co_return line;
        }
        if (input.size() > size_max) co_return fail(Errc::too_big, fmt::format("a line has at most {} bytes", size_max));
        searched = input.size();
        input.resize(searched + read_size);
        const auto got = co_await stream.read_some(std::as_writable_bytes(std::span(input).subspan(searched)), deadline);
        input.resize(searched + got.value_or(0));
        if (!got) co_return fail(got.error());
        if (*got == 0) co_return fail(Errc::closed);
    }
}

Task<std::string> reply_to(std::string_view line, const ControlHandler& handler) {
    boost::system::error_code error;
    const auto request = boost::json::parse(line, error);
    if (error || !request.is_object()) co_return error_line({Errc::bad_message, "a request is one JSON object on a line"});
    const auto result = co_await handler(request.as_object());
    co_return result ? boost::json::serialize(*result) + "\n" : error_line(result.error());
}

class LocalControlSocket final : public ControlSocket {
public:
    LocalControlSocket(Executor home, Clock& clock, std::unique_ptr<LocalListener> listener, Log log, ControlHandler handler,
                       ControlLimits limits)
        : home_(std::move(home)),
          clock_(clock),
          listener_(std::move(listener)),
          log_(std::move(log)),
          handler_(std::move(handler)),
          limits_(limits) {
        tasks_.spawn(home_, [this] { return accept(); });
    }

    Task<Result<>> stop(Instant deadline) override {
        tasks_.stop();
        co_return co_await tasks_.wait(clock_, deadline);
    }

private:
    Task<> accept() {
        for (;;) {
            auto peer = co_await listener_->accept();
            if (peer) {
                tasks_.spawn(home_, [this, shared = std::make_shared<LocalPeer>(std::move(*peer))] { return serve(*shared); });
            } else if (peer.error() == Errc::cancelled || peer.error() == Errc::closed) {
                break;
            } else {
                log_.warning("no control connection can be accepted", {{"error", to_string(peer.error())}});
                co_await clock_.sleep_for(1s);
            }
            if (tasks_.stopping()) break;
        }
        listener_->close();
    }

    Task<> serve(LocalPeer& peer) {
        if (peer.uid != 0 && peer.uid != ::geteuid()) {
            log_.warning("a control connection of another user was refused", {{"uid", peer.uid}});
            co_return co_await refuse(*peer.stream, {Errc::access, "only root and the user who runs stratad may use its control socket"});
        }
        if (connections_ >= limits_.connections_max) {
            co_return co_await refuse(*peer.stream, {Errc::too_many, "too many control connections are open; try again"});
        }
        ++connections_;
        co_await serve_control(*peer.stream, clock_, handler_, limits_);
        --connections_;
    }

    Task<> refuse(ByteStream& stream, Error error) {
        (void)co_await write_text(stream, error_line(error), clock_.now() + limits_.reply_max);
    }

    Executor home_;
    Clock& clock_;
    std::unique_ptr<LocalListener> listener_;
    Log log_;
    ControlHandler handler_;
    const ControlLimits limits_;
    std::size_t connections_ = 0;  // those that are served; at home only
    TaskGroup tasks_;
};

Task<Result<boost::json::object>> ask(std::string path, std::string line, Instant deadline) {
    CO_TRY(stream, co_await connect_local(path, deadline));
    // A refusal may already be there although the other side no longer reads.
    const auto sent = co_await write_text(*stream, line, deadline);
    std::string input;
    const auto reply = co_await read_line(*stream, input, reply_size_max, deadline);
    if (!reply) co_return fail(!sent ? sent.error() : reply.error());
    boost::system::error_code error;
    auto value = boost::json::parse(*reply, error);
    if (error || !value.is_object()) co_return fail(Errc::bad_message, fmt::format("{}: not an answer of stratad", path));
    co_return std::move(value.as_object());
}

Errc errc_named(std::string_view name) {
    for (int i = 0; i < errc_count; ++i) {
        if (to_string(static_cast<Errc>(i)) == name) return static_cast<Errc>(i);
    }
    return Errc::internal;
}

std::string text_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

Error explained(const Error& error, const std::string& path) {
    switch (error.code) {
        case Errc::not_found: return {Errc::not_found, fmt::format("no stratad serves this data folder ({})", error.detail)};
        case Errc::timed_out: return {Errc::timed_out, fmt::format("{}: stratad does not answer in time", path)};
        case Errc::closed: return {Errc::closed, fmt::format("{}: stratad hung up without an answer", path)};
        default: return error;
    }
}

}  // namespace

Task<> serve_control(ByteStream& stream, Clock& clock, const ControlHandler& handler, const ControlLimits& limits) {
    std::string input;
    for (;;) {
        const auto line = co_await read_line(stream, input, limits.line_size_max, clock.now() + limits.request_max);
        if (!line && line.error() != Errc::too_big) co_return;
        const std::string reply = line ? co_await reply_to(*line, handler) : error_line(line.error());
        const auto written = co_await write_text(stream, reply, clock.now() + limits.reply_max);
        if (!line || !written) co_return;
    }
}

Result<std::unique_ptr<ControlSocket>> open_control_socket(Executor home, Clock& clock, const std::string& path, Log log,
                                                           ControlHandler handler, ControlLimits limits) {
    TRY(listener, listen_local(home, path));
    return std::make_unique<LocalControlSocket>(std::move(home), clock, std::move(listener), std::move(log), std::move(handler), limits);
}

Result<boost::json::object> ask_control_socket(const std::string& path, const boost::json::object& request, Duration timeout) {
    asio::io_context io(1);
    std::optional<Result<boost::json::object>> answer;
    const auto keep = [&answer](std::exception_ptr thrown, Result<boost::json::object> result) {
        if (!thrown) answer = std::move(result);
    };
    const Instant deadline = SystemClock().now() + timeout;
    asio::co_spawn(Executor(io.get_executor()), ask(path, boost::json::serialize(request) + "\n", deadline), keep);
    io.run();  // to the coroutine's end, and each of its waits has the deadline
    if (!answer) return fail(Errc::internal, fmt::format("{}: asking failed", path));
    if (!*answer) return fail(explained(answer->error(), path));
    if (const auto name = text_at(**answer, "error"); !name.empty()) return fail(errc_named(name), text_at(**answer, "detail"));
    return std::move(**answer);
}

}  // namespace strata

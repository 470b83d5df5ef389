// SPDX-License-Identifier: Apache-2.0
// The control socket: requests and replies, hostile and slow clients, other users, and an end that waits for what runs.
#include "server/control_socket.h"

#include <filesystem>
#include <fstream>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/base/local_socket.h"
#include "server/base/signal.h"
#include "server/base/system_runtime.h"
#include "server/base/task_group.h"
#include "tests/sim/world.h"

namespace strata {
namespace {

using boost::json::object;
using testing::HasSubstr;

Result<> send(sim::World& world, ByteStream& stream, std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return world.run(stream.write_all(std::span(&bytes, 1), Instant::max()));
}

// serve_control on virtual time, with a client at the other end.
class ControlConnection : public testing::Test {
protected:
    ControlConnection() {
        auto [client, server] = world_.network().pair();
        client_ = std::move(client);
        server_ = std::move(server);
        handler_ = [this](const object& request) { return answer(request); };
    }
    ~ControlConnection() override {
        client_->close();
        tasks_.stop();
        (void)world_.run(tasks_.wait(world_.clock(), Instant::max()));
    }
    void serve() {
        tasks_.spawn(world_.executor(), [this] { return serve_and_close(); });
    }
    Task<> serve_and_close() {
        co_await serve_control(*server_, world_.clock(), handler_, limits_);
        server_->close();
    }
    bool served() const { return tasks_.size() > 0; }
    // The next reply; "" when the server has hung up.
    std::string reply() {
        for (;;) {
            if (const auto end = input_.find('\n'); end != std::string::npos) {
                std::string line = input_.substr(0, end);
                input_.erase(0, end + 1);
                return line;
            }
            std::array<std::byte, 65536> buffer;
            const auto got = world_.run(client_->read_some(buffer, Instant::max()));
            if (!got || *got == 0) return "";
            input_.append(reinterpret_cast<const char*>(buffer.data()), *got);
        }
    }
    Task<Result<object>> answer(const object& request) {
        ++requests_;
        if (request.contains("fail")) co_return fail(Errc::busy, "the store \"x\" is online");
        if (const auto* size = request.if_contains("size")) co_return object{{"text", std::string(size->to_number<std::size_t>(), 'x')}};
        co_return object{{"echo", request}};
    }

    sim::World world_{1};
    std::unique_ptr<ByteStream> client_, server_;
    ControlHandler handler_;
    ControlLimits limits_;
    TaskGroup tasks_;
    std::string input_;
    int requests_ = 0;
};

TEST_F(ControlConnection, a_request_is_answered_on_a_line) {
    serve();
    ASSERT_TRUE(send(world_, *client_, "{\"command\":\"status\"}\n"));
    EXPECT_EQ(reply(), R"({"echo":{"command":"status"}})");
}

TEST_F(ControlConnection, requests_that_come_together_are_answered_in_order) {
    serve();
    std::string text;
    for (int i = 0; i < 200; ++i) text += "{\"n\":" + std::to_string(i) + "}\n";
    ASSERT_TRUE(send(world_, *client_, text));
    for (int i = 0; i < 200; ++i) EXPECT_EQ(reply(), "{\"echo\":{\"n\":" + std::to_string(i) + "}}");
}

TEST_F(ControlConnection, a_refusal_carries_the_code_and_the_reason) {
    serve();
    ASSERT_TRUE(send(world_, *client_, "{\"fail\":1}\n"));
    EXPECT_EQ(reply(), R"({"error":"busy","detail":"the store \"x\" is online"})");
}

TEST_F(ControlConnection, garbage_is_refused_and_the_next_request_is_answered) {
    serve();
    for (const std::string line : {"", "hello", "[]", "\"text\"", "{\"a\":1", "{} {}", "{\"a\":\"\xff\"}", "\x01\x02"}) {
        ASSERT_TRUE(send(world_, *client_, line + "\n"));
        EXPECT_THAT(reply(), HasSubstr("\"bad_message\"")) << line;
    }
    ASSERT_TRUE(send(world_, *client_, std::string(10'000, '[') + "\n"));
    EXPECT_THAT(reply(), HasSubstr("\"bad_message\""));
    EXPECT_EQ(requests_, 0);
    ASSERT_TRUE(send(world_, *client_, "{}\n"));
    EXPECT_EQ(reply(), R"({"echo":{}})");
}

TEST_F(ControlConnection, the_longest_line_is_taken_and_a_longer_one_ends_the_connection) {
    limits_.line_size_max = 1000;
    serve();
    const auto line = [](std::size_t size) { return "{\"a\":\"" + std::string(size - 8, 'x') + "\"}\n"; };
    ASSERT_TRUE(send(world_, *client_, line(1000)));
    EXPECT_THAT(reply(), HasSubstr("echo"));
    ASSERT_TRUE(send(world_, *client_, line(1001)));
    EXPECT_THAT(reply(), HasSubstr("\"too_big\""));
    EXPECT_EQ(reply(), "");
    EXPECT_EQ(requests_, 1);
}

TEST_F(ControlConnection, a_line_without_an_end_is_cut_off) {
    serve();
    Result<> sent;
    for (int i = 0; i < 1000 && sent; ++i) sent = send(world_, *client_, std::string(4096, 'x'));
    EXPECT_FALSE(sent);
    EXPECT_THAT(reply(), HasSubstr("\"too_big\""));
}

TEST_F(ControlConnection, a_client_that_drips_a_request_is_given_up) {
    serve();
    const Instant start = world_.clock().now();
    Result<> sent;
    for (int i = 0; i < 100 && sent; ++i) {
        sent = send(world_, *client_, "x");
        world_.run_for(10s);
    }
    EXPECT_FALSE(served());
    EXPECT_FALSE(sent);
    EXPECT_LT(world_.clock().now() - start, 2 * limits_.request_max);
}

TEST_F(ControlConnection, a_client_that_takes_no_reply_is_given_up) {
    serve();
    ASSERT_TRUE(send(world_, *client_, "{\"size\":10000000}\n"));
    world_.run_for(limits_.reply_max / 2);
    EXPECT_TRUE(served());
    world_.run_for(limits_.reply_max);
    EXPECT_FALSE(served());
}

TEST_F(ControlConnection, half_a_request_before_the_end_is_not_run) {
    serve();
    ASSERT_TRUE(send(world_, *client_, "{\"command\":\"scrub\"}"));
    client_->close();
    world_.run_for(1s);
    EXPECT_FALSE(served());
    EXPECT_EQ(requests_, 0);
}

// The real socket, in a folder of its own.
class ControlSocketTest : public testing::Test {
protected:
    ControlSocketTest() {
        auto name = testing::TempDir() + "strata-control-XXXXXX";
        folder_ = ::mkdtemp(name.data());
        path_ = folder_ + "/control.sock";
        handler_ = [this](const object& request) { return answer(request); };
    }
    ~ControlSocketTest() override {
        if (socket_) EXPECT_TRUE(run(socket_->stop(now() + 20s)));
        std::filesystem::remove_all(folder_);
    }
    template <class T>
    T run(Task<T> task) {
        return boost::asio::co_spawn(system_.io().executor(0), std::move(task), boost::asio::use_future).get();
    }
    Instant now() { return system_.runtime().clock->now(); }
    Result<std::unique_ptr<ControlSocket>> open(const std::string& path) {
        return open_control_socket(system_.io().executor(0), *system_.runtime().clock, path, Log(sink_, "control"), handler_, limits_);
    }
    void serve() {
        auto opened = open(path_);
        ASSERT_TRUE(opened) << opened.error().detail;
        socket_ = std::move(*opened);
    }
    Result<object> ask(const object& request, Duration timeout = 20s) { return ask_control_socket(path_, request, timeout); }
    Task<Result<object>> answer(const object& request) {
        if (request.contains("fail")) co_return fail(Errc::no_space, "the store is full");
        if (request.contains("sleep")) co_await system_.runtime().clock->sleep_for(600s);
        if (request.contains("hang")) {
            entered_.raise(1);
            co_await pool_->run([this] { released_.get_future().wait(); });
        }
        co_return object{{"echo", request}};
    }

    StreamLogSink sink_{2, false};
    SystemRuntime system_{1, sink_};
    std::unique_ptr<Pool> pool_ = system_.runtime().make_pool("test", 1);
    Signal entered_;
    std::promise<void> released_;
    ControlHandler handler_;
    ControlLimits limits_;
    std::string folder_, path_;
    std::unique_ptr<ControlSocket> socket_;
};

TEST_F(ControlSocketTest, a_running_stratad_answers) {
    serve();
    const auto reply = ask({{"command", "status"}});
    ASSERT_TRUE(reply) << reply.error().detail;
    EXPECT_EQ(reply->at("echo").at("command").as_string(), "status");
}

TEST_F(ControlSocketTest, a_refusal_comes_back_as_the_error_it_was) {
    serve();
    const auto reply = ask({{"fail", true}});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::no_space);
    EXPECT_EQ(reply.error().detail, "the store is full");
}

TEST_F(ControlSocketTest, the_path_is_the_owners_alone_whatever_the_umask) {
    const auto before = ::umask(0);
    serve();
    ::umask(before);
    struct stat there{};
    ASSERT_EQ(::stat(path_.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 07777, 0600u);
}

TEST_F(ControlSocketTest, without_a_stratad_asking_says_so) {
    const auto reply = ask({});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::not_found);
    EXPECT_THAT(reply.error().detail, HasSubstr(path_));
}

TEST_F(ControlSocketTest, what_a_killed_stratad_left_is_replaced) {
    {
        boost::asio::io_context io;
        boost::asio::local::stream_protocol::acceptor left(io, boost::asio::local::stream_protocol::endpoint(path_));
    }
    ASSERT_TRUE(std::filesystem::exists(path_));
    EXPECT_EQ(ask({}).error().code, Errc::not_found);
    serve();
    EXPECT_TRUE(ask({}));
}

TEST_F(ControlSocketTest, a_second_one_on_the_same_path_is_refused_and_the_first_serves_on) {
    serve();
    const auto second = open(path_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    EXPECT_THAT(second.error().detail, HasSubstr(path_));
    EXPECT_TRUE(ask({}));
}

TEST_F(ControlSocketTest, a_file_that_is_no_socket_is_left_alone) {
    std::ofstream(path_) << "precious";
    const auto opened = open(path_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::exists);
    EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(ControlSocketTest, a_path_longer_than_a_sockets_name_works) {
    const auto deep = folder_ + "/" + std::string(200, 'd');
    std::filesystem::create_directory(deep);
    path_ = deep + "/control.sock";
    serve();
    EXPECT_TRUE(ask({}));
    EXPECT_TRUE(run(socket_->stop(now() + 20s)));
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlSocketTest, asking_who_never_answers_ends_in_time) {
    serve();
    const auto start = now();
    const auto reply = ask({{"sleep", true}}, 200ms);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::timed_out);
    EXPECT_LT(now() - start, 10s);
}

TEST_F(ControlSocketTest, asking_who_never_accepts_ends_in_time) {
    boost::asio::io_context io;
    boost::asio::local::stream_protocol::acceptor deaf(io);
    deaf.open();
    deaf.bind(boost::asio::local::stream_protocol::endpoint(path_));
    deaf.listen(0);
    // The first fills the queue, so that the next cannot even connect.
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask({}, 100ms).error().code, Errc::timed_out) << i;
}

TEST_F(ControlSocketTest, one_connection_too_many_is_refused_and_the_others_are_served) {
    limits_.connections_max = 2;
    serve();
    std::vector<std::unique_ptr<ByteStream>> idle;
    for (int i = 0; i < 2; ++i) {
        auto stream = run(connect_local(path_, now() + 20s));
        ASSERT_TRUE(stream) << stream.error().detail;
        idle.push_back(std::move(*stream));
    }
    const auto third = ask({});
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, Errc::too_many);
    const auto close = [](ByteStream& stream) -> Task<bool> {
        stream.close();
        co_return true;
    };
    for (auto& stream : idle) run(close(*stream));
    Result<object> later = fail(Errc::too_many);
    for (int i = 0; i < 1000 && !later && later.error() == Errc::too_many; ++i) later = ask({});
    EXPECT_TRUE(later);
}

TEST_F(ControlSocketTest, another_user_is_refused) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to ask as somebody else";
    serve();
    // Past the first wall, the modes.
    std::filesystem::permissions(folder_, std::filesystem::perms(0711));
    std::filesystem::permissions(path_, std::filesystem::perms(0666));
    auto stranger = system_.runtime().make_pool("stranger", 1);
    const auto ask_as_stranger = [&]() -> Task<Result<object>> {
        co_return co_await stranger->run([this] {
            // This thread alone: the C library's call would change all.
            if (::syscall(SYS_setresuid, -1, 65534, -1) != 0) return Result<object>(fail(Errc::internal));
            return ask({{"command", "status"}});
        });
    };
    SystemRuntime elsewhere(1, sink_);
    const auto reply = boost::asio::co_spawn(elsewhere.io().executor(0), ask_as_stranger(), boost::asio::use_future).get();
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::access);
    EXPECT_THAT(reply.error().detail, HasSubstr("only root and the user who runs stratad"));
    EXPECT_TRUE(ask({}));
}

TEST_F(ControlSocketTest, stopping_hangs_up_on_idle_clients_and_removes_the_path) {
    serve();
    auto stream = run(connect_local(path_, now() + 20s));
    ASSERT_TRUE(stream);
    EXPECT_TRUE(ask({}));
    EXPECT_TRUE(run(socket_->stop(now() + 20s)));
    EXPECT_FALSE(std::filesystem::exists(path_));
    const auto read = [](ByteStream& s, Instant deadline) -> Task<Result<std::size_t>> {
        std::array<std::byte, 16> buffer;
        co_return co_await s.read_some(buffer, deadline);
    };
    const auto got = run(read(**stream, now() + 20s));
    EXPECT_TRUE(!got || *got == 0);
    EXPECT_EQ(ask({}).error().code, Errc::not_found);
    const auto drop = [](std::unique_ptr<ByteStream> s) -> Task<bool> {
        s.reset();
        co_return true;
    };
    run(drop(std::move(*stream)));
}

TEST_F(ControlSocketTest, stopping_waits_for_the_handler_that_runs) {
    serve();
    auto client = system_.runtime().make_pool("client", 1);
    std::promise<Result<object>> answered;
    client->post([&] { answered.set_value(ask({{"hang", true}})); });
    ASSERT_TRUE(run(entered_.wait(1, *system_.runtime().clock, now() + 20s)));
    const auto stopped = run(socket_->stop(now() + 100ms));
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, Errc::timed_out);
    released_.set_value();
    EXPECT_TRUE(run(socket_->stop(now() + 20s)));
    EXPECT_TRUE(answered.get_future().get());
}

}  // namespace
}  // namespace strata

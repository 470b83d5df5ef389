// SPDX-License-Identifier: Apache-2.0
// stratad: arguments, limits, signals, and the exit status.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/serialize.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "server/appliance.h"
#include "server/check.h"
#include "server/config.h"
#include "server/control_socket.h"

namespace strata {
namespace {

constexpr int exit_ok = 0, exit_failed = 1, exit_usage = 2;
constexpr Duration scrub_limit = 7 * 24h;  // it reads every shard of every disk
constexpr Duration stop_limit = 9s;        // SIGTERM to exit: 10 s
constexpr Duration stop_margin = 1s;       // what waits with a deadline ends so long before

int complain(const Error& error) {
    std::fprintf(stderr, "stratad: %s\n", (error.detail.empty() ? to_string(error) : error.detail).c_str());
    return error == Errc::config ? exit_usage : exit_failed;
}

std::string control_path(const Config& config) { return config.data + "/control.sock"; }

// Soft limits up to the hard ones; a client is a file descriptor.
void raise_limits() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
}

int ask(const Config& config, const boost::json::object& request, Duration limit = 60s) {
    auto reply = ask_control_socket(control_path(config), request, limit);
    if (!reply) return complain(reply.error());
    const auto* text = reply->if_contains("text");
    const std::string line = text != nullptr && text->is_string() ? std::string(text->as_string()) : boost::json::serialize(*reply) + "\n";
    std::fputs(line.c_str(), stdout);
    return exit_ok;
}

// Runs `task` on an io thread and waits for it here, on the main thread.
template <class T>
T wait_for(SystemRuntime& system, Task<T> task) {
    return boost::asio::co_spawn(system.io().executor(0), std::move(task), boost::asio::use_future).get();
}

[[noreturn]] void leave_at_once() {
    // Something does not end: what was acknowledged is durable, so leaving is safe and staying is not.
    std::fflush(nullptr);
    std::_Exit(exit_failed);
}

// A disk that hangs must not keep the process: whoever wants it gone is waiting.
void stop(SystemRuntime& system, Appliance& appliance, const Log& log) {
    auto stopped = boost::asio::co_spawn(system.io().executor(0), appliance.stop(stop_limit - stop_margin), boost::asio::use_future);
    if (stopped.wait_for(stop_limit) != std::future_status::ready) {
        log.error("not an orderly end: this does not end in its time", {{"what", appliance.stopping()}});
        leave_at_once();
    }
    if (auto done = stopped.get(); !done) {
        log.error("not an orderly end", {{"error", to_string(done.error())}});
        leave_at_once();
    }
}

int serve(Config config) {
    StreamLogSink sink(STDERR_FILENO, ::isatty(STDERR_FILENO) == 0);
    Log log(sink, "stratad", config.log_level);
    raise_limits();
    const int threads = config.threads > 0 ? config.threads : std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
    SystemRuntime system(threads, sink);

    boost::asio::io_context main_thread(1);
    boost::asio::signal_set signals(main_thread, SIGTERM, SIGINT);
    int status = exit_ok;
    {
        Appliance appliance(system, std::move(config), log);
        if (auto started = wait_for(system, appliance.start()); !started) {
            const int failed = complain(started.error());
            stop(system, appliance, log);
            return failed;
        }
        std::fputs(appliance.banner().c_str(), stdout);
        std::fflush(stdout);
        signals.async_wait([&](boost::system::error_code error, int number) {
            if (error) return;
            log.info("stopping", {{"signal", number}});
            main_thread.stop();
        });
        auto watch = [&]() -> Task<> {
            const Error error = co_await appliance.failed();
            if (error == Errc::closed) co_return;  // we closed it ourselves
            log.error("the metadata can no longer be written: stopping; what was acknowledged is safe", {{"error", to_string(error)}});
            status = exit_failed;
            main_thread.stop();
        };
        boost::asio::co_spawn(system.io().executor(0), watch(), boost::asio::detached);
        auto keep = boost::asio::make_work_guard(main_thread);
        main_thread.run();
        stop(system, appliance, log);
    }
    log.info("stopped");
    return status;
}

int run(const std::vector<std::string>& arguments) {
    auto line = parse_command_line(arguments);
    if (!line) return complain(line.error());
    Config& config = line->config;
    if (line->verb == Verb::help) return std::fputs(help_text().c_str(), stdout), exit_ok;
    if (line->verb == Verb::version) return std::puts("stratad " STRATA_VERSION), exit_ok;
    for (auto& store : config.stores) store = std::filesystem::absolute(store).lexically_normal().string();
    config.data = std::filesystem::absolute(config.data).lexically_normal().string();
    switch (line->verb) {
        case Verb::check: return check(config);
        case Verb::status: return ask(config, {{"command", "status"}});
        case Verb::scrub: return ask(config, {{"command", "scrub"}}, scrub_limit);
        case Verb::disk_replace: {
            const auto path = [&](std::size_t i) { return std::filesystem::absolute(line->operands[i]).lexically_normal().string(); };
            return ask(config, {{"command", "disk replace"}, {"old", path(0)}, {"new", path(1)}});
        }
        default: return serve(std::move(config));
    }
}

}  // namespace
}  // namespace strata

int main(int count, char** arguments) {
    std::signal(SIGPIPE, SIG_IGN);
    return strata::run({arguments + 1, arguments + count});
}

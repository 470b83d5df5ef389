// SPDX-License-Identifier: Apache-2.0
// stratad: arguments, limits, signals, and the exit status.
#include <csignal>
#include <cstdio>
#include <exception>
#include <future>
#include <optional>

#include <boost/asio/bind_executor.hpp>
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

// For when something does not end: what was acknowledged is durable, so leaving is safe and staying is not.
[[noreturn]] void leave_at_once(int status) {
    std::fflush(nullptr);
    std::_Exit(status);
}

// A disk that hangs must not keep the process: whoever wants it gone is waiting.
void stop(SystemRuntime& system, Appliance& appliance, const Log& log) {
    auto stopped = boost::asio::co_spawn(system.io().executor(0), appliance.stop(stop_limit - stop_margin), boost::asio::use_future);
    if (stopped.wait_for(stop_limit) != std::future_status::ready) {
        log.error("not an orderly end: this does not end in its time", {{"what", appliance.stopping()}});
        leave_at_once(exit_failed);
    }
    if (auto done = stopped.get(); !done) {
        log.error("not an orderly end", {{"error", to_string(done.error())}});
        leave_at_once(exit_failed);
    }
}

// Starts on an io thread and waits here, on the main thread, where signals arrive. Errors: cancelled: something stopped the main thread
// before; those of starting.
Result<> start(SystemRuntime& system, Appliance& appliance, boost::asio::io_context& main_thread) {
    std::optional<Result<>> started;
    auto keep = boost::asio::make_work_guard(main_thread);
    auto done = [&](std::exception_ptr thrown, Result<> result) {
        if (thrown) std::rethrow_exception(thrown);  // a bug: ends the process
        started = std::move(result);
        main_thread.stop();
    };
    boost::asio::co_spawn(system.io().executor(0), appliance.start(),
                          boost::asio::bind_executor(main_thread.get_executor(), std::move(done)));
    main_thread.run();
    if (!started) return fail(Errc::cancelled);
    main_thread.restart();
    return std::move(*started);
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
    bool signalled = false;
    {
        Appliance appliance(system, std::move(config), log);
        signals.async_wait([&](boost::system::error_code error, int number) {
            if (error) return;
            log.info("stopping", {{"signal", number}});
            signalled = true;
            main_thread.stop();
        });
        if (auto started = start(system, appliance, main_thread); !started) {
            // Recovering a large volume may take long, and a disk that hangs takes for ever. Nobody was served yet.
            if (signalled) leave_at_once(exit_ok);
            const int failed = complain(started.error());
            stop(system, appliance, log);
            return failed;
        }
        std::fputs(appliance.banner().c_str(), stdout);
        std::fflush(stdout);
        auto watch = [&]() -> Task<> {
            const Error error = co_await appliance.failed();
            if (error == Errc::closed) co_return;  // we closed it ourselves
            log.error("the metadata can no longer be written: stopping; what was acknowledged is safe", {{"error", to_string(error)}});
            status = exit_failed;
            main_thread.stop();
        };
        boost::asio::co_spawn(system.io().executor(0), watch(), boost::asio::detached);
        auto keep = boost::asio::make_work_guard(main_thread);
        if (!signalled) main_thread.run();
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
    switch (line->verb) {
        case Verb::check: return check(config);
        case Verb::status: return ask(config, {{"command", "status"}});
        case Verb::scrub: return ask(config, {{"command", "scrub"}}, scrub_limit);
        case Verb::disk_replace: {
            return ask(config, {{"command", "disk replace"}, {"old", line->operands[0]}, {"new", line->operands[1]}});
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

// SPDX-License-Identifier: Apache-2.0
// The command line, with bounds on everything that could be too much.
#include "tests/bench/options.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <unistd.h>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr const char* help_text =
    R"(nfs_load --server ADDRESS:PORT --path /SHARE --row NAME[,NAME...]|all [options]
nfs_load --server ADDRESS:PORT --path /SHARE --mode idle --count N [options]

NFSv4.1 load with verified replies; one line of JSON a row. Rows:
  null getattr lookup read4k write4k read1m write1m create mkdir readdir

  --connections N     connections (4), each with its own session
  --depth N           requests in flight on each connection (16)
  --threads N         threads that drive them (1)
  --spin-us N         look for replies N microseconds before sleeping (20)
  --seconds S         measured seconds of each row (5), after --warm-up S (0.5)
  --operations N      end a row after N operations
  --one-session       bind all connections to one session
  --server-pid PID    report the server's CPU time and memory
  --files N           files of getattr and lookup (1000)
  --entries N         entries of readdir's directory (10000)
  --plain-readdir     readdir asks for what `ls` needs, not `ls -l`
  --file-mib N        size of the file each connection reads or writes (64; write1m 256)
  --commit-every N    writes between COMMITs (write4k 8192, write1m 256); there is always one at the end
  --verify-every N    compare each Nth READ reply in full, the others at both ends (16)
  --uid N --gid N     AUTH_SYS credential (this process's)
  --count N           idle mode: connections (1000)
  --sessions          idle mode: each with a session
  --allow-address     accept a server that is not on a loopback address
)";

template <class Number>
Number parse_number(std::string_view flag, std::string_view text, Number least, Number most) {
    Number value{};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < least || value > most) {
        fail(std::string(flag) + ": a number from " + std::to_string(least) + " to " + std::to_string(most) + " is needed, not '" +
             std::string(text) + "'");
    }
    return value;
}

std::vector<std::string> parse_rows(std::string_view text) {
    if (text == "all") return {row_names().begin(), row_names().end()};
    std::vector<std::string> rows;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        rows.emplace_back(text.substr(0, comma));
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    for (const std::string& row : rows) {
        bool known = false;
        for (const std::string_view name : row_names()) known = known || name == row;
        if (!known) fail("no such row: " + row);
    }
    return rows;
}

// True if `flag` is a number of the table and was stored.
bool parse_count(Options& options, std::string_view flag, std::string_view text) {
    struct Count {
        std::string_view flag;
        std::uint32_t* value;
        std::uint32_t least;
        std::uint32_t most;
    };
    const Count counts[] = {
        {"--connections", &options.connections, 1, 1024},
        {"--depth", &options.depth, 1, 256},
        {"--threads", &options.threads, 1, 64},
        {"--spin-us", &options.spin_us, 0, 1000000},
        {"--files", &options.files, 1, 1000000},
        {"--entries", &options.entries, 1, 1000000},
        {"--file-mib", &options.file_mib, 1, 16384},
        {"--commit-every", &options.commit_every, 1, 1000000},
        {"--verify-every", &options.verify_every, 1, 1000000},
        {"--count", &options.count, 2, 1000000},
        {"--uid", &options.target.credential.uid, 0, UINT32_MAX},
        {"--gid", &options.target.credential.gid, 0, UINT32_MAX},
    };
    for (const Count& count : counts) {
        if (count.flag != flag) continue;
        *count.value = parse_number(flag, text, count.least, count.most);
        return true;
    }
    return false;
}

bool parse_switch(Options& options, std::string_view flag, bool& any_address) {
    if (flag == "--one-session") return options.one_session = true;
    if (flag == "--plain-readdir") return options.plain_readdir = true;
    if (flag == "--sessions") return options.sessions = true;
    if (flag == "--allow-address") return any_address = true;
    return false;
}

void parse_value(Options& options, std::string_view flag, std::string_view text) {
    if (parse_count(options, flag, text)) return;
    if (flag == "--server") {
        options.target.address = parse_address(std::string(text));
    } else if (flag == "--path") {
        options.target.path = text;
    } else if (flag == "--row") {
        options.rows = parse_rows(text);
    } else if (flag == "--mode") {
        if (text != "load" && text != "idle") fail("--mode: load or idle");
        options.mode = text == "idle" ? Options::Mode::idle : Options::Mode::load;
    } else if (flag == "--seconds") {
        options.seconds = parse_number(flag, text, 0.1, 600.0);
    } else if (flag == "--warm-up") {
        options.warm_up_seconds = parse_number(flag, text, 0.0, 60.0);
    } else if (flag == "--operations") {
        options.operations_max = parse_number<std::uint64_t>(flag, text, 1, 1'000'000'000);
    } else if (flag == "--server-pid") {
        options.server_pid = parse_number(flag, text, 1, 1 << 30);
    } else {
        fail("unknown option: " + std::string(flag) + " (--help lists them)");
    }
}

}  // namespace

Options parse_options(int argc, char** argv) {
    Options options;
    options.target.credential = {.uid = ::geteuid(), .gid = ::getegid()};
    bool any_address = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        if (flag == "--help") {
            std::fputs(help_text, stdout);
            std::exit(0);
        }
        if (parse_switch(options, flag, any_address)) continue;
        if (i + 1 == argc) fail("no value, or no such option: " + std::string(flag) + " (--help lists them)");
        parse_value(options, flag, argv[++i]);
    }
    if (options.target.address.length == 0) fail("--server is needed");
    if (!any_address && !options.target.address.is_loopback()) fail("not a loopback address: --allow-address if you mean it");
    if (options.mode == Options::Mode::load && options.rows.empty()) fail("--row is needed");
    if (options.threads > options.connections) fail("more threads than connections");
    return options;
}

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// Log lines as text for people or JSON for machines.
#include "server/base/log.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>

#include <time.h>
#include <unistd.h>

namespace strata {

namespace {

constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warning", "error"};

// "2026-01-31T12:00:00.123456Z"
std::string time_text() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    char date[32];
    auto n = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    char fraction[16];
    auto m = std::snprintf(fraction, sizeof fraction, ".%06ldZ", now.tv_nsec / 1000);
    return std::string(date, n).append(fraction, static_cast<std::size_t>(m));
}

void append_escaped(std::string& out, std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    for (char c : text) {
        auto u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (u < 0x20 || u == 0x7f) {
            out += "\\u00";
            out += hex[u >> 4];
            out += hex[u & 15];
        } else {
            out += c;
        }
    }
}

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    append_escaped(out, text);
    out += '"';
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) return true;
    for (char c : value) {
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
    }
    return false;
}

void append_json_field(std::string& out, std::string_view key, std::string_view value) {
    out += ',';
    append_quoted(out, key);
    out += ':';
    append_quoted(out, value);
}

void append_text_field(std::string& out, std::string_view key, std::string_view value) {
    out += ' ';
    out += key;
    out += '=';
    if (needs_quotes(value))
        append_quoted(out, value);
    else
        out += value;
}

std::string json_line(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields,
                      std::uint64_t suppressed) {
    std::string line = "{\"time\":\"" + time_text() + '"';
    append_json_field(line, "level", level_names[static_cast<std::size_t>(level)]);
    append_json_field(line, "scope", scope);
    append_json_field(line, "message", message);
    for (const auto& field : fields) append_json_field(line, field.key, field.value);
    if (suppressed > 0) append_json_field(line, "suppressed", std::to_string(suppressed));
    line += "}\n";
    return line;
}

std::string text_line(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields,
                      std::uint64_t suppressed) {
    std::string line = time_text();
    line.append(" ").append(level_names[static_cast<std::size_t>(level)]).append(" ").append(scope).append(" ");
    append_escaped(line, message);
    for (const auto& field : fields) append_text_field(line, field.key, field.value);
    if (suppressed > 0) append_text_field(line, "suppressed", std::to_string(suppressed));
    line += '\n';
    return line;
}

}  // namespace

struct StreamLogSink::RateLimit {
    struct Kind {
        std::time_t second = 0;
        int lines = 0;
        std::uint64_t suppressed = 0;
    };
    static constexpr std::size_t kinds_max = 1024;  // past it all start anew: a bound on memory, not a promise

    explicit RateLimit(int lines) : lines_per_second(lines) {}

    // True if the line may leave; `suppressed` is then how many of its kind did not since the last that did.
    bool admit(std::string_view scope, std::string_view message, std::uint64_t& suppressed) {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        std::string key(scope);
        key.append(1, '\0').append(message);
        std::lock_guard lock(mutex);
        if (kinds.size() >= kinds_max) kinds.clear();
        auto& kind = kinds[std::move(key)];
        if (kind.second != now.tv_sec) {
            kind.second = now.tv_sec;
            kind.lines = 0;
        }
        if (kind.lines >= lines_per_second) {
            ++kind.suppressed;
            return false;
        }
        ++kind.lines;
        suppressed = std::exchange(kind.suppressed, 0);
        return true;
    }

    const int lines_per_second;
    std::mutex mutex;
    std::map<std::string, Kind> kinds;
};

StreamLogSink::StreamLogSink(int fd, bool json, int lines_per_second)
    : fd_(fd), json_(json), rate_limit_(std::make_unique<RateLimit>(lines_per_second)) {}

StreamLogSink::~StreamLogSink() = default;

void StreamLogSink::write(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields) {
    std::uint64_t suppressed = 0;
    if (level >= LogLevel::warning && !rate_limit_->admit(scope, message, suppressed)) return;
    auto line = json_ ? json_line(level, scope, message, fields, suppressed) : text_line(level, scope, message, fields, suppressed);
    std::string_view rest = line;
    while (!rest.empty()) {
        auto n = ::write(fd_, rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;  // nobody to tell
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
}

}  // namespace strata

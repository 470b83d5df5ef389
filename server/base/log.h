// SPDX-License-Identifier: Apache-2.0
// Log: structured lines `time level scope message key=value ...`, JSON when not a terminal. Never secrets.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace strata {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// One key and its value, made only if the line is written.
struct LogField {
    std::string_view key;
    std::string value;

    LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
    LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
    LogField(std::string_view k, const char* v) : key(k), value(v) {}
    template <class N>
        requires(std::is_arithmetic_v<N>)
    LogField(std::string_view k, N v) : key(k), value(std::to_string(v)) {}
};

// Where lines go. Any thread. The simulator keeps them for its trace.
class LogSink {
public:
    virtual ~LogSink() = default;
    virtual void write(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields) = 0;
};

// A named scope over a sink; cheap to copy. Each part of the server owns one: "nfs", "cluster.chunk", ...
class Log {
public:
    Log(LogSink& sink, std::string scope, LogLevel threshold = LogLevel::info)
        : sink_(&sink), scope_(std::move(scope)), threshold_(threshold) {}

    bool enabled(LogLevel level) const { return level >= threshold_; }
    void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::debug, message, fields); }
    void info(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::info, message, fields); }
    void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::warning, message, fields); }
    void error(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::error, message, fields); }
    Log child(std::string_view name) const { return Log(*sink_, scope_ + "." + std::string(name), threshold_); }

private:
    void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const {
        if (enabled(level)) sink_->write(level, scope_, message, fields);
    }

    LogSink* sink_;
    std::string scope_;
    LogLevel threshold_;
};

// Lines to a file descriptor, each by one write(): text, or with `json` one JSON object a line. At most `lines_per_second` warnings and
// errors of the same scope and message; the rest are counted, and the count stands in the next line of that kind ("suppressed").
class StreamLogSink final : public LogSink {
public:
    explicit StreamLogSink(int fd, bool json, int lines_per_second = 20);
    ~StreamLogSink() override;
    void write(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields) override;

private:
    struct RateLimit;
    int fd_;
    bool json_;
    std::unique_ptr<RateLimit> rate_limit_;
};

}  // namespace strata

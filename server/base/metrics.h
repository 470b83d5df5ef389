// SPDX-License-Identifier: Apache-2.0
// Metrics: named counters and gauges, cheap to bump, listed on demand in Prometheus' text form.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace strata {

// A number of its own cache line; relaxed order. Lives as long as the registry.
class alignas(64) Counter {
public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    void sub(std::uint64_t n = 1) { value_.fetch_sub(n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

class Metrics {
public:
    // The counter of that name ("nfs_operations", or with labels: `nfs_operations{op="READ"}`), made at first use. Any thread.
    Counter& counter(const std::string& name);
    // "strata_NAME VALUE" lines, sorted by name.
    std::string text() const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, Counter*> by_name_;
    std::deque<Counter> counters_;
};

}  // namespace strata

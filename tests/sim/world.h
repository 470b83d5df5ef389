// SPDX-License-Identifier: Apache-2.0
// World: a whole run on one thread and virtual time. Everything random comes from the seed: the same seed, the same trace hash.
//
//   sim::World world(seed);
//   auto disk = world.make_disk("d1", 64 << 20);
//   auto result = world.run(work(world.runtime(), *disk));   // T of the Task<T>
//
// Declare the world before what uses it. One thread only.
#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/runtime.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_random.h"

namespace strata::sim {

// Keeps the lines ("level scope message key=value ...") and feeds them to the trace.
class SimLogSink final : public LogSink {
public:
    explicit SimLogSink(std::function<void(std::string_view)> trace) : trace_(std::move(trace)) {}
    void write(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields) override;

    const std::vector<std::string>& lines() const { return lines_; }
    bool contains(std::string_view text) const;  // some line does

private:
    std::function<void(std::string_view)> trace_;
    std::vector<std::string> lines_;
};

// What run() throws: the test fails by it. Says what happened last; of what goes round without end, stderr has the stack.
struct WorldIdle : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class World {
public:
    explicit World(std::uint64_t seed);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    std::uint64_t seed() const;
    Runtime& runtime();
    Executor executor();
    Clock& clock();
    SimRandom& random();
    SimLogSink& log();
    Metrics& metrics();
    SimNetwork& network();
    // A disk of this world, not to be used after it. Keep the pointer: nobody else does.
    std::shared_ptr<SimDisk> make_disk(std::string name, std::uint64_t capacity_bytes);

    // Runs `task` (with everything else) to its end. Throws WorldIdle if nothing is left to run before that, if `limit` of virtual time
    // has passed, or if there is no end to the steps (all in one instant, or in all); throws on what the task throws.
    template <class T>
    T run(Task<T> task, Duration limit = 24h) {
        if constexpr (std::is_void_v<T>) {
            drive(std::move(task), limit);
        } else {
            auto out = std::make_shared<std::optional<T>>();
            drive(collect(std::move(task), out), limit);
            return std::move(**out);
        }
    }
    // Until nothing is ready and nobody sleeps, at most for `limit` of virtual time. True: it came to that.
    bool run_until_idle(Duration limit = 24h);
    // Exactly so much virtual time passes.
    void run_for(Duration duration);

    // An event at `when`, in seeded order among those of the same instant. The key cancels it.
    struct EventKey {
        Instant when;
        std::uint64_t tie = 0;
        std::uint64_t sequence = 0;
        friend auto operator<=>(const EventKey&, const EventKey&) = default;
    };
    EventKey at(Instant when, Job job);
    EventKey after(Duration delay, Job job) { return at(clock().now() + delay, std::move(job)); }
    // The event's job, which then will not run by itself; empty if it ran already.
    Job cancel(const EventKey& key);

    // The latency of disk calls since this was last asked.
    Duration take_spent();

    // The wall clock jumps by so much (the monotonic one never does).
    void jump_wall_clock(Duration by);

    // For the world's own parts: shows the caller's stack if the world found itself stuck since.
    void show_stack_if_stuck() const;

    // Mixes an event of the test's own into the trace.
    void trace(std::string_view event);
    std::uint64_t trace_hash() const;

private:
    template <class T>
    static Task<> collect(Task<T> task, std::shared_ptr<std::optional<T>> out) {
        out->emplace(co_await std::move(task));
    }
    void drive(Task<> task, Duration limit);
    void poll();
    bool step(Instant limit);
    void count_step();
    std::string stuck_text(std::string_view what) const;

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace strata::sim

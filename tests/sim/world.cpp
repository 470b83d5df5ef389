// SPDX-License-Identifier: Apache-2.0
// The loop: run what is ready, then jump to the next event.
#include "tests/sim/world.h"

#include <array>
#include <cstdio>
#include <deque>
#include <exception>
#include <map>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "tests/sim/stack.h"

namespace strata::sim {

namespace asio = boost::asio;

namespace {

using Token = asio::use_awaitable_t<Executor>;

constexpr std::int64_t wall_start_seconds = 1'700'000'000;

// What no sound run comes near: handlers while virtual time stands still, and handlers and events of one run().
constexpr std::uint64_t steps_at_once_max = 300'000;
constexpr std::uint64_t steps_max = 20'000'000;
constexpr std::size_t last_events_kept = 12;

class TraceHash {
public:
    void mix(std::string_view bytes) {
        for (char c : bytes) step(static_cast<unsigned char>(c));
        step(0xff);
    }
    void mix(std::uint64_t number) {
        for (int i = 0; i < 8; ++i) step(static_cast<unsigned char>(number >> (8 * i)));
    }
    std::uint64_t value() const { return value_; }

private:
    void step(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3; }  // FNV-1a
    std::uint64_t value_ = 0xcbf29ce484222325;
};

class SimClock final : public Clock {
public:
    explicit SimClock(World& world) : world_(world) {}

    Instant now() const override {
        world_.show_stack_if_stuck();
        return now_;
    }
    Timestamp wall_time() const override {
        auto ns = now_.ns + wall_offset_.count();
        auto seconds = ns / 1'000'000'000;
        auto rest = ns % 1'000'000'000;
        if (rest < 0) {
            rest += 1'000'000'000;
            --seconds;
        }
        return {.seconds = wall_start_seconds + seconds, .nanoseconds = static_cast<std::uint32_t>(rest)};
    }
    Task<> sleep_until(Instant when) override {
        world_.show_stack_if_stuck();
        auto home = co_await asio::this_coro::executor;
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
            // Through the loop, so that who polls on although cancelled is counted and found.
            co_await asio::post(home, Token());
            co_return;
        }
        if (when <= now_) co_return;
        co_await asio::async_initiate<const Token, void()>([&](auto handler) { suspend(when, home, std::move(handler)); }, Token());
    }

    void set(Instant now) { now_ = now; }
    void jump_wall(Duration by) { wall_offset_ += by; }

private:
    template <class Handler>
    void suspend(Instant when, const Executor& home, Handler handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto key = world_.at(when, Job([home, handler = std::move(handler)]() mutable { asio::post(home, std::move(handler)); }));
        if (!slot.is_connected()) return;
        slot.assign([&world = world_, key](asio::cancellation_type) {
            if (auto job = world.cancel(key)) job();
        });
    }

    World& world_;
    Instant now_{};
    Duration wall_offset_{};
};

// `threads` workers that take jobs in order; each is at its job for a seeded time, at whose end the job runs as a whole.
class SimPool final : public Pool {
public:
    SimPool(World& world, SimRandom random, int threads) : state_(std::make_shared<State>(State{world, random, threads, {}, {}})) {}
    ~SimPool() override {
        auto& s = *state_;
        while (!s.running.empty() || !s.queue.empty()) {
            auto& from = s.running.empty() ? s.queue : s.running;
            Job job = std::move(from.front());
            from.pop_front();
            job();
        }
        s.idle = 0;
    }

    void post(Job job) override {
        state_->queue.push_back(std::move(job));
        if (state_->idle > 0) take(state_);
    }

private:
    struct State {
        World& world;
        SimRandom random;
        int idle;
        std::deque<Job> queue;
        std::deque<Job> running;  // begun in this order; any of them may end next
    };

    static void take(const std::shared_ptr<State>& state) {
        auto& s = *state;
        --s.idle;
        s.running.push_back(std::move(s.queue.front()));
        s.queue.pop_front();
        // Mostly quick, now and then slow enough that others overtake.
        auto delay = s.random.chance(0.05) ? s.random.between(0, 5'000'000) : s.random.between(0, 100'000);
        s.world.after(Duration(delay), Job([state] { finish(state); }));
    }
    static void finish(const std::shared_ptr<State>& state) {
        auto& s = *state;
        if (s.running.empty()) return;  // the pool is gone
        auto which = static_cast<std::ptrdiff_t>(s.random.below(s.running.size()));
        Job job = std::move(s.running[static_cast<std::size_t>(which)]);
        s.running.erase(s.running.begin() + which);
        s.world.take_spent();
        job();
        auto busy = s.world.take_spent();
        if (busy > Duration())
            s.world.after(busy, Job([state] { rest(state); }));
        else
            rest(state);
    }
    static void rest(const std::shared_ptr<State>& state) {
        ++state->idle;
        if (!state->queue.empty()) take(state);
    }

    std::shared_ptr<State> state_;
};

Task<> watched(Task<> task) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await std::move(task);
}

}  // namespace

void SimLogSink::write(LogLevel level, std::string_view scope, std::string_view message, std::initializer_list<LogField> fields) {
    constexpr std::string_view levels[] = {"debug", "info", "warning", "error"};
    std::string line(levels[static_cast<std::size_t>(level)]);
    line.append(" ").append(scope).append(" ").append(message);
    for (const auto& field : fields) line.append(" ").append(field.key).append("=").append(field.value);
    trace_(line);
    lines_.push_back(std::move(line));
}

bool SimLogSink::contains(std::string_view text) const {
    for (const auto& line : lines_) {
        if (line.find(text) != std::string::npos) return true;
    }
    return false;
}

struct World::State {
    State(World& world, std::uint64_t s)
        : seed(s),
          random(s),
          order(random.fork()),
          runtime_random(random.fork()),
          clock(world),
          log([this](std::string_view line) {
              hash.mix(line);
              keep(line);
          }),
          network(world, random.fork()) {}

    std::uint64_t seed;
    SimRandom random;          // the test's
    SimRandom order;           // of events
    SimRandom runtime_random;  // the tested parts'
    TraceHash hash;
    std::array<std::string, last_events_kept> last_events;
    std::size_t last_event = 0;
    std::uint64_t steps_at_once = 0, steps = 0;  // since time last moved, since run() began
    bool stuck = false;                          // the next to look at the clock shows its stack
    SimClock clock;
    SimLogSink log;
    Metrics metrics;
    std::map<EventKey, Job> events;
    std::uint64_t event_sequence = 0;
    Duration spent{};  // by disks, since somebody last asked
    SimNetwork network;
    Runtime runtime;

    void keep(std::string_view event) { last_events[last_event++ % last_events_kept].assign(event); }

    asio::io_context io{1};  // last: the frames that die with it may still use the rest
};

World::World(std::uint64_t seed) : state_(std::make_unique<State>(*this, seed)) {
    auto& s = *state_;
    s.runtime.clock = &s.clock;
    s.runtime.random = &s.runtime_random;
    s.runtime.log_sink = &s.log;
    s.runtime.metrics = &s.metrics;
    s.runtime.executor = [&s] { return Executor(s.io.get_executor()); };
    s.runtime.make_pool = [this](std::string, int threads) { return std::make_unique<SimPool>(*this, state_->order.fork(), threads); };
}

World::~World() { state_->events.clear(); }

std::uint64_t World::seed() const { return state_->seed; }
Runtime& World::runtime() { return state_->runtime; }
Executor World::executor() { return state_->io.get_executor(); }
Clock& World::clock() { return state_->clock; }
SimRandom& World::random() { return state_->random; }
SimLogSink& World::log() { return state_->log; }
Metrics& World::metrics() { return state_->metrics; }
SimNetwork& World::network() { return state_->network; }

std::shared_ptr<SimDisk> World::make_disk(std::string name, std::uint64_t capacity_bytes) {
    auto trace = [s = state_.get()](std::string_view event, std::uint64_t a, std::uint64_t b) {
        s->keep(event);
        s->hash.mix(event);
        s->hash.mix(a);
        s->hash.mix(b);
    };
    auto spend = [s = state_.get()](Duration d) { s->spent += d; };
    return std::make_shared<SimDisk>(std::move(name), capacity_bytes, state_->random.next(), SimDisk::Hooks{trace, spend});
}

World::EventKey World::at(Instant when, Job job) {
    auto& s = *state_;
    EventKey key{.when = std::max(when, s.clock.now()), .tie = s.order.next(), .sequence = ++s.event_sequence};
    s.events.emplace(key, std::move(job));
    return key;
}

Job World::cancel(const EventKey& key) {
    auto node = state_->events.extract(key);
    return node.empty() ? Job() : std::move(node.mapped());
}

Duration World::take_spent() { return std::exchange(state_->spent, Duration()); }

void World::jump_wall_clock(Duration by) { state_->clock.jump_wall(by); }

void World::trace(std::string_view event) { state_->hash.mix(event); }
std::uint64_t World::trace_hash() const { return state_->hash.value(); }

// One handler after the other: io_context::poll() would never come back from handlers that keep making each other ready.
void World::poll() {
    auto& s = *state_;
    s.io.restart();  // else it does nothing once it ran dry
    while (s.io.poll_one() > 0) count_step();
}

void World::count_step() {
    auto& s = *state_;
    ++s.steps;
    if (++s.steps_at_once > steps_at_once_max + 1) {
        throw WorldIdle(stuck_text(fmt::format("{} steps while time stood still: something goes round without end", steps_at_once_max)));
    }
    if (s.steps_at_once > steps_at_once_max) s.stuck = true;
    if (s.steps > steps_max) throw WorldIdle(stuck_text(fmt::format("no end after {} steps", steps_max)));
}

std::string World::stuck_text(std::string_view what) const {
    const auto& s = *state_;
    std::string text = fmt::format("seed {}: {}; the last events:", s.seed, what);
    for (std::size_t i = 0; i < last_events_kept; ++i) {
        const auto& event = s.last_events[(s.last_event + i) % last_events_kept];
        if (!event.empty()) text += "\n    " + event;
    }
    return text;
}

void World::show_stack_if_stuck() const {
    if (!std::exchange(state_->stuck, false)) return;
    std::fputs("the simulated world is stuck; whoever looked at the clock next stands here:\n", stderr);
    show_stack();
}

// What is ready, then the next event. False: nothing happens up to `limit` any more.
bool World::step(Instant limit) {
    auto& s = *state_;
    poll();
    if (s.events.empty()) return false;
    auto first = s.events.begin();
    if (first->first.when > limit || first->first.when == Instant::max()) return false;
    if (s.clock.now() < first->first.when) s.steps_at_once = 0;
    s.clock.set(first->first.when);
    count_step();
    s.hash.mix(static_cast<std::uint64_t>(first->first.when.ns));
    s.hash.mix(first->first.sequence);
    Job job = std::move(first->second);
    s.events.erase(first);
    job();
    return true;
}

void World::drive(Task<> task, Duration limit) {
    auto& s = *state_;
    struct Progress {
        bool done = false;
        std::exception_ptr error;
    };
    auto progress = std::make_shared<Progress>();
    asio::co_spawn(s.io.get_executor(), watched(std::move(task)), [progress](std::exception_ptr error) {
        progress->done = true;
        progress->error = error;
    });
    auto end = s.clock.now() + limit;
    s.steps = s.steps_at_once = 0;
    for (poll(); !progress->done; poll()) {
        if (step(end)) continue;
        throw WorldIdle(
            stuck_text(fmt::format("the task waits for something that never comes ({} events lie beyond the limit)", s.events.size())));
    }
    if (progress->error) std::rethrow_exception(progress->error);
}

bool World::run_until_idle(Duration limit) {
    auto end = state_->clock.now() + limit;
    state_->steps = state_->steps_at_once = 0;
    while (step(end)) {
    }
    return state_->events.empty() || state_->events.begin()->first.when == Instant::max();
}

void World::run_for(Duration duration) {
    auto end = state_->clock.now() + duration;
    state_->steps = state_->steps_at_once = 0;
    while (step(end)) {
    }
    state_->clock.set(end);
}

}  // namespace strata::sim

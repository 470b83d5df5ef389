// SPDX-License-Identifier: Apache-2.0
// Two pipes make a link; each wait is on a Signal that counts what happened to a pipe.
#include "tests/sim/sim_network.h"

#include <deque>
#include <map>
#include <set>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "server/base/assert.h"
#include "server/base/signal.h"
#include "tests/sim/world.h"

namespace strata::sim {

namespace asio = boost::asio;

namespace {

constexpr std::size_t window_bytes = 256 << 10;

// One direction of a link.
struct Pipe {
    struct Segment {
        Instant arrival;
        std::vector<std::byte> bytes;  // none: the writer ended its side
    };
    std::deque<Segment> on_the_way;
    std::deque<std::byte> arrived;
    std::size_t unread = 0;  // on the way or arrived
    Instant last_arrival{};
    bool ended = false;  // the end arrived
    std::uint64_t events = 0;
    Signal changed;  // raised to `events`

    void notify() { changed.raise(++events); }
};

struct Link {
    Endpoint ends[2];
    Pipe pipes[2];  // pipes[i]: written by end i
    bool closed[2] = {false, false};
    bool broken = false;

    void break_off() {
        if (broken) return;
        broken = true;
        for (auto& pipe : pipes) pipe.notify();
    }
};

using LinkPointer = std::shared_ptr<Link>;

std::string address_pair(const Endpoint& a, const Endpoint& b) {
    auto x = a.address_string();
    auto y = b.address_string();
    return x < y ? x + " " + y : y + " " + x;
}

struct Door {
    Endpoint local;
    OnStream on_stream;
    bool open = true;
    bool paused = false;
    std::deque<std::unique_ptr<ByteStream>> backlog;
};

}  // namespace

struct SimNetwork::State : std::enable_shared_from_this<SimNetwork::State> {
    State(World& w, SimRandom r) : world(w), random(r) {}

    bool is_parted(const Link& link) const { return parted.contains(address_pair(link.ends[0], link.ends[1])); }

    Duration latency() {
        return Duration(
            random.between(static_cast<std::uint64_t>(faults.latency_min.count()), static_cast<std::uint64_t>(faults.latency_max.count())));
    }

    void send(const LinkPointer& link, int end, std::vector<std::byte> bytes) {
        auto& pipe = link->pipes[end];
        pipe.unread += bytes.size();
        pipe.last_arrival = std::max(pipe.last_arrival, world.clock().now() + latency());
        pipe.on_the_way.push_back({pipe.last_arrival, std::move(bytes)});
        world.at(pipe.last_arrival, Job([self = shared_from_this(), link, end] { self->deliver(*link, end); }));
    }

    void deliver(Link& link, int end) {
        auto& pipe = link.pipes[end];
        bool any = false;
        while (!pipe.on_the_way.empty() && pipe.on_the_way.front().arrival <= world.clock().now() && !is_parted(link)) {
            auto& bytes = pipe.on_the_way.front().bytes;
            if (bytes.empty()) pipe.ended = true;
            pipe.arrived.insert(pipe.arrived.end(), bytes.begin(), bytes.end());
            pipe.on_the_way.pop_front();
            any = true;
        }
        if (any) pipe.notify();
    }

    void accept(const std::shared_ptr<Door>& door) {
        asio::post(world.executor(), [door] {
            while (door->open && !door->paused && !door->backlog.empty()) {
                auto stream = std::move(door->backlog.front());
                door->backlog.pop_front();
                door->on_stream(std::move(stream));
            }
        });
    }

    LinkPointer make_link(const Endpoint& a, const Endpoint& b) {
        auto link = std::make_shared<Link>();
        link->ends[0] = a;
        link->ends[1] = b;
        std::erase_if(links, [](const auto& weak) { return weak.expired(); });
        links.push_back(link);
        return link;
    }

    std::shared_ptr<Door> door_at(const Endpoint& to) {
        auto it = doors.find(to.to_string());
        if (it != doors.end()) return it->second;
        Endpoint any{.v6 = to.v6, .address = {}, .port = to.port};
        it = doors.find(any.to_string());
        return it == doors.end() ? nullptr : it->second;
    }

    World& world;
    SimRandom random;
    NetworkFaults faults;
    std::map<std::string, std::shared_ptr<Door>> doors;
    std::set<std::string> parted;
    std::vector<std::weak_ptr<Link>> links;
    std::uint16_t next_port = 40000;
};

namespace {

using State = SimNetwork::State;

class SimStream final : public ByteStream {
public:
    SimStream(std::shared_ptr<State> network, LinkPointer link, int end)
        : network_(std::move(network)), link_(std::move(link)), end_(end) {}
    ~SimStream() override { shut(); }

    Task<Result<>> wait_readable(Instant deadline) override {
        auto link = link_;  // the stream itself may be gone after a wait
        auto& clock = network_->world.clock();
        auto end = end_;
        auto& pipe = link->pipes[1 - end];
        for (;;) {
            if (link->closed[end] || link->broken) co_return fail(Errc::closed);
            if (!pipe.arrived.empty() || pipe.ended) co_return Result<>();
            CO_CHECK_OK(co_await pipe.changed.wait(pipe.events + 1, clock, deadline));
        }
    }

    Task<Result<std::size_t>> read_some(std::span<std::byte> out, Instant deadline) override {
        CO_CHECK_OK(co_await wait_readable(deadline));
        bool would_block = false;
        co_return try_read(out, would_block);
    }

    Result<std::size_t> try_read(std::span<std::byte> out, bool& would_block) override {
        STRATA_ASSERT(!out.empty());
        would_block = false;
        if (link_->closed[end_] || link_->broken) return fail(Errc::closed);
        auto& pipe = link_->pipes[1 - end_];
        if (pipe.arrived.empty()) {
            would_block = !pipe.ended;
            return 0;
        }
        auto n = std::min(out.size(), pipe.arrived.size());
        if (network_->random.chance(network_->faults.split)) n = network_->random.between(1, n);
        std::copy_n(pipe.arrived.begin(), n, out.begin());
        pipe.arrived.erase(pipe.arrived.begin(), pipe.arrived.begin() + static_cast<std::ptrdiff_t>(n));
        pipe.unread -= n;
        pipe.notify();  // there is room again
        return n;
    }

    Task<Result<>> write_all(std::span<const std::span<const std::byte>> pieces, Instant deadline) override {
        auto link = link_;
        auto network = network_;
        auto end = end_;
        auto& pipe = link->pipes[end];
        for (auto piece : pieces) {
            while (!piece.empty()) {
                if (link->closed[end] || link->broken || link->closed[1 - end]) co_return fail(Errc::closed);
                if (pipe.unread >= window_bytes) {
                    CO_CHECK_OK(co_await pipe.changed.wait(pipe.events + 1, network->world.clock(), deadline));
                    continue;
                }
                auto n = std::min(piece.size(), window_bytes - pipe.unread);
                if (network->random.chance(network->faults.split)) n = network->random.between(1, n);
                bool breaks = network->faults.disconnect > 0 && network->random.chance(network->faults.disconnect);
                network->send(link, end, {piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n)});
                piece = piece.subspan(n);
                if (breaks) link->break_off();
            }
        }
        co_return Result<>();
    }

    void close() override { shut(); }
    Endpoint local() const override { return link_->ends[end_]; }
    Endpoint remote() const override { return link_->ends[1 - end_]; }
    Executor executor() const override { return network_->world.executor(); }

private:
    void shut() {
        if (link_->closed[end_]) return;
        link_->closed[end_] = true;
        if (!link_->broken) network_->send(link_, end_, {});
        for (auto& pipe : link_->pipes) pipe.notify();
    }

    std::shared_ptr<State> network_;
    LinkPointer link_;
    int end_;
};

class SimListener final : public Listener {
public:
    SimListener(std::shared_ptr<State> network, std::shared_ptr<Door> door) : network_(std::move(network)), door_(std::move(door)) {}
    ~SimListener() override { close(); }

    Endpoint local() const override { return door_->local; }
    void close() override {
        if (!door_->open) return;
        door_->open = false;
        door_->backlog.clear();
        network_->doors.erase(door_->local.to_string());
    }
    void pause(bool paused) override {
        door_->paused = paused;
        if (!paused) network_->accept(door_);
    }

private:
    std::shared_ptr<State> network_;
    std::shared_ptr<Door> door_;
};

}  // namespace

SimNetwork::SimNetwork(World& world, SimRandom random) : state_(std::make_shared<State>(world, random)) {}
SimNetwork::~SimNetwork() = default;

Result<std::unique_ptr<Listener>> SimNetwork::listen(const Endpoint& endpoint, OnStream on_stream) {
    auto door = std::make_shared<Door>();
    door->local = endpoint;
    if (door->local.port == 0) door->local.port = state_->next_port++;
    door->on_stream = std::move(on_stream);
    auto [it, inserted] = state_->doors.try_emplace(door->local.to_string(), door);
    if (!inserted) return fail(Errc::busy, "listening on " + endpoint.to_string() + ": in use");
    return std::make_unique<SimListener>(state_, std::move(door));
}

Task<Result<std::unique_ptr<ByteStream>>> SimNetwork::connect(Endpoint from, Endpoint to, Instant deadline) {
    auto state = state_;
    auto& clock = state->world.clock();
    if (from.port == 0) from.port = state->next_port++;
    co_await clock.sleep_for(state->latency());
    if (state->parted.contains(address_pair(from, to))) {
        co_await clock.sleep_until(deadline);
        co_return fail(Errc::timed_out, "connecting to " + to.to_string());
    }
    auto door = state->door_at(to);
    if (door == nullptr) co_return fail(Errc::closed, "connecting to " + to.to_string() + ": refused");
    auto link = state->make_link(from, to);
    door->backlog.push_back(std::make_unique<SimStream>(state, link, 1));
    state->accept(door);
    co_return std::make_unique<SimStream>(state, link, 0);
}

std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> SimNetwork::pair() {
    Endpoint a{.address = {10, 0, 0, 1}, .port = state_->next_port++};
    Endpoint b{.address = {10, 0, 0, 2}, .port = state_->next_port++};
    auto link = state_->make_link(a, b);
    return {std::make_unique<SimStream>(state_, link, 0), std::make_unique<SimStream>(state_, link, 1)};
}

void SimNetwork::set_faults(const NetworkFaults& faults) { state_->faults = faults; }

void SimNetwork::partition(const Endpoint& a, const Endpoint& b, bool parted) {
    if (parted)
        state_->parted.insert(address_pair(a, b));
    else
        state_->parted.erase(address_pair(a, b));
    for (auto& weak : state_->links) {
        auto link = weak.lock();
        if (link == nullptr) continue;
        for (int end : {0, 1}) state_->deliver(*link, end);
    }
}

void SimNetwork::disconnect(const Endpoint& address) {
    for (auto& weak : state_->links) {
        auto link = weak.lock();
        if (link == nullptr) continue;
        bool there = false;
        for (const auto& end : link->ends) there = there || end.address_string() == address.address_string();
        if (there) link->break_off();
    }
}

}  // namespace strata::sim

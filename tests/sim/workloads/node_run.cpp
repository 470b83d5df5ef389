// SPDX-License-Identifier: Apache-2.0
// The steps that all workloads share.
#include "tests/sim/workloads/node_run.h"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "server/base/task_group.h"

namespace strata::sim {

namespace {

constexpr int attempts_max = 6;
constexpr Duration work_max = 2h;  // of virtual time; what takes longer hangs
constexpr Duration heal_max = 10min;
constexpr Duration orphans_gone = 150s;
constexpr int rests_max = 3;

}  // namespace

NodeRun::NodeRun(std::uint64_t seed, NodeOptions options) : node_(seed, std::move(options)) {
    const auto count = node_.random().between(1, 3);
    for (std::uint64_t i = 0; i < count; ++i) clients_.push_back(std::make_unique<Client>(node_, static_cast<int>(i)));
}

void NodeRun::begin() {
    if (!open()) return;
    node_.cut_power_after(0);
    for (auto& client : clients_) node_.world().run(client->set_up());
}

bool NodeRun::open() {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        const auto opened = node_.open();
        if (opened && node_.powered()) return true;
        if (opened) {
            node_.abandon();
        } else if (node_.powered()) {
            node_.problem("opening: " + to_string(opened.error()));
            return false;
        }
    }
    node_.problem("never opened");
    return false;
}

void NodeRun::reopen(bool all) {
    for (int attempt = 0; attempt < attempts_max && open(); ++attempt) {
        for (auto& client : clients_) {
            if (node_.powered()) node_.world().run(client->recover(all), work_max);
        }
        if (node_.powered() || !sound()) return;
        node_.abandon();
    }
}

void NodeRun::work(int operations_min, int operations_max) {
    auto group = std::make_unique<TaskGroup>();
    for (auto& client : clients_) {
        const auto low = static_cast<std::uint64_t>(operations_min), high = static_cast<std::uint64_t>(operations_max);
        const int operations = static_cast<int>(node_.random().between(low, high));
        group->spawn(node_.world().executor(), [&client, operations] { return client->work(operations); });
    }
    try {
        (void)node_.world().run(group->wait(node_.world().clock(), Instant::max()), work_max);
    } catch (const WorldIdle& hang) {
        node_.problem(std::string("a client waits for ever: ") + hang.what());
        (void)group.release();  // its tasks never end
    }
}

bool NodeRun::close() {
    const auto closed = node_.close();
    if (closed) return true;
    const bool forgiven = clients_.front()->forgiven.contains(closed.error().code);
    if (node_.powered() && !forgiven) node_.problem("closing: " + to_string(closed.error()));
    return false;
}

void NodeRun::crash() {
    node_.cut_power_after(0);
    if (node_.powered()) node_.cut_power();
    node_.abandon();
}

void NodeRun::check(bool lost_stores) {
    const auto report = node_.check();
    if (!report) return node_.problem("check: " + to_string(report.error()));
    for (const auto& problem : report->problems) {
        const bool explained = problem.ends_with(": not there") || problem.find("is missing or damaged") != std::string::npos;
        if (!lost_stores || !explained) node_.problem("check: " + problem);
    }
}

void NodeRun::heal() {
    const Instant end = node_.world().clock().now() + heal_max;
    std::string status;
    while (node_.world().clock().now() < end) {
        node_.world().run_for(10s);
        const auto request = node_.request();
        const auto now = node_.world().run(node_.storage().status(request->ctx));
        if (now.at("redundancy").as_string() == "whole") return;
        status = boost::json::serialize(now);
    }
    node_.problem("redundancy does not become whole: " + status);
}

void NodeRun::finish() {
    if (!sound()) return;
    node_.cut_power_after(0);
    if (random().chance(0.5)) {
        for (auto& client : clients_) node_.world().run(client->settle_all(), work_max);
    }
    const auto request = node_.request();
    const auto reaped = node_.world().run(node_.storage().volume().reap_orphans(request->ctx));
    if (!reaped) node_.problem("reaping: " + to_string(reaped.error()));
    heal();
    for (int rest = 1;; ++rest) {
        node_.world().run_for(orphans_gone);
        close();
        const auto report = node_.check();
        if (!report) return node_.problem("check: " + to_string(report.error()));
        for (const auto& problem : report->problems) node_.problem("check: " + problem);
        if (!sound()) return;
        reopen(true);
        if (report->orphan_shards == 0 || !sound()) return;
        // The last flush, or background work at the very end, may have made some: the next opening's collector sees to them.
        if (rest == rests_max) return node_.problem(fmt::format("{} shards belong to no chunk", report->orphan_shards));
    }
}

}  // namespace strata::sim

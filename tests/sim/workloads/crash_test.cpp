// SPDX-License-Identifier: Apache-2.0
// A whole node loses its power between any two calls to its disks: nothing acknowledged is missing, nothing impossible is there.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/base/task_group.h"
#include "tests/sim/workloads/client.h"
#include "tests/sim/workloads/seeds.h"

namespace strata::sim {
namespace {

constexpr int attempts_max = 6;

class CrashRun {
public:
    CrashRun(std::uint64_t seed, NodeOptions options) : node_(seed, std::move(options)) {
        const auto count = node_.random().between(1, 3);
        for (std::uint64_t i = 0; i < count; ++i) clients_.push_back(std::make_unique<Client>(node_, static_cast<int>(i)));
    }

    SeedResult run() {
        // Some lose their power while the volume is made.
        if (node_.random().chance(0.1)) node_.cut_power_after(node_.random().between(1, 250));
        if (open()) {
            for (auto& client : clients_) node_.world().run(client->set_up());
            const auto rounds = node_.random().between(1, 3);
            for (std::uint64_t round = 0; round < rounds && node_.problems().empty(); ++round) live_and_die();
            if (node_.problems().empty()) finish();
        }
        return {node_.problems(), node_.world().trace_hash()};
    }
    const std::vector<std::unique_ptr<Client>>& clients() const { return clients_; }

private:
    // Until it stands; a power cut that is under way may hit openings, too.
    bool open() {
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

    void work_until_power_cut() {
        TaskGroup group;
        for (auto& client : clients_) {
            const int operations = static_cast<int>(node_.random().between(5, 40));
            group.spawn(node_.world().executor(), [&client, operations] { return client->work(operations); });
        }
        if (node_.random().chance(0.85)) node_.cut_power_after(node_.random().between(1, node_.random().chance(0.3) ? 60 : 900));
        (void)node_.world().run(group.wait(node_.world().clock(), Instant::max()), 2h);
    }

    void live_and_die() {
        work_until_power_cut();
        bool all = false;
        if (node_.powered() && node_.random().chance(0.3)) {
            node_.cut_power_after(0);
            const auto closed = node_.close();
            if (!closed) node_.problem("closing: " + to_string(closed.error()));
            all = true;
        } else {
            if (node_.powered() && node_.random().chance(0.3)) node_.world().run_for(Duration(node_.random().below(30'000'000'000)));
            if (node_.powered()) node_.cut_power();
            node_.abandon();
        }
        if (node_.random().chance(0.3)) check();
        if (node_.random().chance(0.2)) node_.cut_power_after(node_.random().between(1, 300));
        recover(all);
    }

    void recover(bool all) {
        for (int attempt = 0; attempt < attempts_max && open(); ++attempt) {
            for (auto& client : clients_) {
                if (node_.powered()) node_.world().run(client->recover(all));
            }
            if (node_.powered() || !node_.problems().empty()) return;
            node_.abandon();
        }
    }

    void check() {
        const auto report = node_.check();
        if (!report) return node_.problem("check: " + to_string(report.error()));
        for (const auto& problem : report->problems) node_.problem("check: " + problem);
    }

    // Left alone, the node comes to rest: no orphans, everything agrees.
    void finish() {
        node_.cut_power_after(0);
        if (node_.random().chance(0.5)) {
            for (auto& client : clients_) node_.world().run(client->settle_all());
        }
        node_.world().run_for(150s);
        const auto closed = node_.close();
        if (!closed) return node_.problem("closing: " + to_string(closed.error()));
        const auto report = node_.check();
        if (!report) return node_.problem("check: " + to_string(report.error()));
        for (const auto& problem : report->problems) node_.problem("check: " + problem);
        if (report->orphan_shards > 0) node_.problem(fmt::format("{} shards belong to no chunk", report->orphan_shards));
        recover(true);
    }

    NodeWorld node_;
    std::vector<std::unique_ptr<Client>> clients_;
};

SeedResult run_crash(std::uint64_t seed) {
    CrashRun run(seed, {});
    return run.run();
}

TEST(NodeCrash, power_cuts_lose_nothing_acknowledged) { run_seeds("crash", 100, 3000, run_crash); }

}  // namespace
}  // namespace strata::sim

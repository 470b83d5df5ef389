// SPDX-License-Identifier: Apache-2.0
// Disks fail, vanish, rot, fill up and come back under a working node, never more at once than the policy tolerates.
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/workloads/node_run.h"

namespace strata::sim {
namespace {

struct Shape {
    const char* policy;
    int stores, tolerated;
};

NodeOptions options_of(const Shape& shape) { return {.stores = shape.stores, .policy = shape.policy}; }

Shape shape_of(std::uint64_t seed) {
    constexpr Shape shapes[] = {{"ec-2+1", 3, 1}, {"ec-2+1", 4, 1}, {"mirror-2", 2, 1}, {"mirror-3", 4, 2},
                                {"ec-4+2", 6, 2}, {"ec-2+2", 5, 2}, {"mirror-2", 3, 1}};
    return shapes[seed % std::size(shapes)];
}

class DiskRun {
public:
    explicit DiskRun(std::uint64_t seed) : shape_(shape_of(seed)), run_(seed, options_of(shape_)) {
        for (int i = 0; i < shape_.stores; ++i) present_.insert(i);
    }

    using Trouble = void (DiskRun::*)();
    SeedResult go(std::initializer_list<Trouble> troubles) {
        run_.begin();
        run_.work(5, 30);
        for (std::uint64_t round = run_.random().between(1, 2); round > 0 && run_.sound(); --round) {
            (this->*std::data(troubles)[run_.random().below(troubles.size())])();
        }
        run_.finish();
        return run_.result();
    }

    // Disks die under load; nobody notices. They are replaced, at once or after a restart.
    void die_under_load() {
        const auto lost = some_disks();
        expect_losses(true);
        for (const int disk : lost)
            run_.node().world().after(Duration(run_.random().below(200'000'000)), Job([this, disk] { kill(disk); }));
        run_.work(5, 30);
        run_.node().world().run_for(1s);
        if (run_.random().chance(0.3)) end_and_reopen();
        if (run_.random().chance(0.5)) run_.work(3, 15);
        replace(lost);
    }

    // Disks are not there at a start: acknowledged data are; they come back with what they had, or are replaced.
    void be_absent() {
        const bool in_order = end();
        const auto lost = some_disks();
        expect_losses(true);
        for (const int disk : lost) run_.node().set_absent(disk, true);
        run_.reopen(in_order);
        if (!run_.sound()) return;
        run_.work(3, 20);
        if (run_.random().chance(0.5)) return replace(lost);
        const bool again = end();
        for (const int disk : lost) run_.node().set_absent(disk, false);
        run_.reopen(again);
        expect_losses(false);
        if (run_.sound()) run_.work(3, 10);
    }

    // Bits flip on as many disks as may be lost: in segments, log, database, wherever bytes are.
    void rot() {
        const bool in_order = end();
        for (const int disk : rotting_disks()) {
            run_.node().disk(disk).flip_bits(run_.random().chance(0.5) ? "segments/" : "meta/",
                                             static_cast<int>(run_.random().between(1, 12)));
        }
        run_.reopen(in_order);
        if (!run_.sound()) return;
        run_.work(3, 15);
        scrub();
    }

    // Bits flip while the node works.
    void rot_under_load() {
        for (const int disk : rotting_disks()) {
            const int count = static_cast<int>(run_.random().between(1, 6));
            run_.node().world().after(Duration(run_.random().below(100'000'000)), Job([this, disk, count] {
                                          run_.node().disk(disk).flip_bits(run_.random().chance(0.5) ? "segments/" : "meta/", count);
                                      }));
        }
        run_.work(5, 25);
        run_.node().world().run_for(100ms);  // the last bits flip
        scrub();
    }

    // A few calls fail on as many disks as may be lost. What failed for good is replaced.
    void stutter() {
        const auto shaky = some_disks();
        expect_losses(true);
        for (const int disk : shaky) {
            DiskFaults faults;
            const auto kind = run_.random().below(3);
            (kind == 0 ? faults.read_error : kind == 1 ? faults.write_error : faults.sync_error) = 0.02;
            run_.node().disk(disk).set_faults(faults);
        }
        run_.work(5, 30);
        for (const int disk : shaky) run_.node().disk(disk).set_faults({});
        end_and_reopen();
        expect_losses(false);
        if (run_.sound()) scrub();
    }

    void be_slow() {
        for (const int disk : some_disks())
            run_.node().disk(disk).set_latency(1ms, Duration(run_.random().between(2'000'000, 400'000'000)));
        run_.work(5, 30);
        if (run_.random().chance(0.3)) end_and_reopen();
        for (const int disk : present_) run_.node().disk(disk).set_latency(0ms, 0ms);
    }

private:
    // With stores lost, and too few left for data that bear a further loss, writes are refused.
    void expect_losses(bool expected) {
        const bool refuses = expected && shape_.stores - shape_.tolerated < 2;
        for (const auto& client : run_.clients()) client->forgiven = refuses ? std::set<Errc>{Errc::read_only} : std::set<Errc>{};
    }
    // At least one, at most as many as may be lost.
    std::vector<int> some_disks() {
        std::vector<int> chosen(present_.begin(), present_.end());
        for (std::size_t i = chosen.size(); i > 1; --i) std::swap(chosen[i - 1], chosen[run_.random().below(i)]);
        chosen.resize(run_.random().between(1, static_cast<std::uint64_t>(shape_.tolerated)));
        return chosen;
    }
    // The same in every round: what rotted in a database that nobody reads is still there in the next.
    const std::vector<int>& rotting_disks() {
        if (rotting_.empty()) rotting_ = some_disks();
        return rotting_;
    }
    void kill(int disk) { run_.node().disk(disk).set_faults({.failed = true}); }

    // True: in order.
    bool end() {
        if (run_.random().chance(0.4)) return run_.close();
        if (run_.random().chance(0.5)) {
            run_.node().cut_power_after(run_.random().between(1, 300));
            run_.work(3, 15);
        }
        run_.crash();
        return false;
    }
    void end_and_reopen() {
        const bool in_order = end();
        run_.reopen(in_order);
    }

    void replace(const std::vector<int>& lost) {
        if (!run_.sound()) return;
        for (const int disk : lost) {
            const auto fresh = run_.node().replace(disk);
            if (!fresh) return run_.node().problem(fmt::format("replacing {}: {}", disk, to_string(fresh.error())));
            run_.node().set_absent(disk, true);
            present_.erase(disk);
            present_.insert(*fresh);
        }
        expect_losses(false);
        if (run_.random().chance(0.5)) run_.work(2, 10);
        run_.heal();
    }

    void scrub() {
        if (!run_.sound()) return;
        const auto request = run_.node().request();
        const auto done = run_.node().world().run(run_.node().storage().scrub(request->ctx), 2h);
        if (!done) return run_.node().problem("scrub: " + to_string(done.error()));
        run_.heal();
    }

    Shape shape_;
    NodeRun run_;
    std::set<int> present_;
    std::vector<int> rotting_;
};

TEST(NodeDisks, lost_disks_cost_nothing_while_others_hold_the_redundancy) {
    run_seeds("lost_disks", 30, 1000, [](std::uint64_t seed) { return DiskRun(seed).go({&DiskRun::die_under_load, &DiskRun::be_absent}); });
}

TEST(NodeDisks, flipped_bits_are_found_and_mended) {
    run_seeds("flipped_bits", 30, 1000, [](std::uint64_t seed) { return DiskRun(seed).go({&DiskRun::rot, &DiskRun::rot_under_load}); });
}

TEST(NodeDisks, errors_and_slowness_of_single_disks_stay_hidden) {
    run_seeds("shaky_disks", 30, 1000, [](std::uint64_t seed) { return DiskRun(seed).go({&DiskRun::stutter, &DiskRun::be_slow}); });
}

}  // namespace
}  // namespace strata::sim

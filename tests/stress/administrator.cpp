// SPDX-License-Identifier: Apache-2.0
// Two threads: a scrub answers only when it is done.
#include "tests/stress/administrator.h"

#include <chrono>

#include <gtest/gtest.h>

namespace strata::stress {

namespace {

constexpr auto status_pause = std::chrono::milliseconds(30);
constexpr auto scrub_pause = std::chrono::milliseconds(300);
constexpr int whole_tries_max = 1200;
constexpr auto whole_pause = std::chrono::milliseconds(100);

}  // namespace

Administrator::Administrator(const ServedVolume& volume)
    : status_([this, &volume] { ask_status(volume); }), scrub_([this, &volume] { ask_scrub(volume); }) {}

Administrator::~Administrator() {
    ending_ = true;
    status_.join();
    scrub_.join();
}

void Administrator::ask_status(const ServedVolume& volume) {
    for (int i = 0; !ending_; ++i) {
        const auto answer = volume.ask({{"command", i % 2 == 0 ? "status" : "metrics"}});
        if (!answer) ADD_FAILURE() << "status: " << to_string(answer.error());
        // One may be missing: it is just being replaced.
        if (answer && i % 2 == 0) EXPECT_GE(answer->at("stores").as_array().size(), std::size_t{store_count - 1});
        std::this_thread::sleep_for(status_pause);
    }
}

void Administrator::ask_scrub(const ServedVolume& volume) {
    while (!ending_) {
        const auto answer = volume.ask({{"command", "scrub"}}, 120s);
        if (!answer) ADD_FAILURE() << "scrub: " << to_string(answer.error());
        if (answer) EXPECT_EQ(answer->at("inconsistent").to_number<int>(), 0);
        std::this_thread::sleep_for(scrub_pause);
    }
}

bool wait_until_whole(const ServedVolume& volume) {
    for (int i = 0; i < whole_tries_max; ++i) {
        const auto answer = volume.ask({{"command", "status"}});
        if (answer && answer->at("redundancy").as_string() == "whole") return true;
        std::this_thread::sleep_for(whole_pause);
    }
    return false;
}

}  // namespace strata::stress

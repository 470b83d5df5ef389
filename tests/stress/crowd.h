// SPDX-License-Identifier: Apache-2.0
// Crowd: threads that play clients. What one of them throws fails the test, and the others go on.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace strata::stress {

class Crowd {
public:
    Crowd() = default;
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;
    ~Crowd() { join(); }

    // `play` is given the number of each: 0, 1, ...
    void start(int count, const std::string& name, const std::function<void(int)>& play) {
        for (int i = 0; i < count; ++i) {
            threads_.emplace_back([i, name, play] {
                try {
                    play(i);
                } catch (const std::exception& failure) {
                    ADD_FAILURE() << name << ' ' << i << ": " << failure.what();
                }
            });
        }
    }

    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

private:
    std::vector<std::thread> threads_;
};

}  // namespace strata::stress

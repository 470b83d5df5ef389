// SPDX-License-Identifier: Apache-2.0
// Administrator: asks the control socket for status, metrics and scrubs without a pause, as consoles and scripts do.
#pragma once

#include <atomic>
#include <thread>

#include "tests/stress/served_volume.h"

namespace strata::stress {

class Administrator {
public:
    // Asks until destroyed. An answer that is an error fails the test.
    explicit Administrator(const ServedVolume& volume);
    ~Administrator();

private:
    void ask_status(const ServedVolume& volume);
    void ask_scrub(const ServedVolume& volume);

    std::atomic<bool> ending_{false};
    std::thread status_;
    std::thread scrub_;
};

// Asks for the status until all redundancy is there. False: it is not after two minutes.
bool wait_until_whole(const ServedVolume& volume);

}  // namespace strata::stress

// SPDX-License-Identifier: Apache-2.0
// The operating system's random source.
#include "server/base/random.h"

#include <cerrno>

#include <sys/random.h>

#include "server/base/assert.h"
#include "server/base/io_threads.h"

namespace strata {

namespace {

class SystemRandom final : public Random {
public:
    void fill(std::span<std::byte> out) override {
        while (!out.empty()) {
            auto n = ::getrandom(out.data(), out.size(), 0);
            if (n < 0 && errno == EINTR) continue;
            STRATA_ASSERT(n > 0);
            out = out.subspan(static_cast<std::size_t>(n));
        }
    }
};

}  // namespace

Random& system_random() {
    static SystemRandom random;
    return random;
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// A wrong answer, or none, ends a run: figures for a server that errs are worth nothing.
#pragma once

#include <stdexcept>
#include <string>

namespace strata::bench {

class Failure : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const std::string& what) { throw Failure(what); }

inline void require(bool holds, const char* what) {
    if (!holds) [[unlikely]]
        fail(what);
}

}  // namespace strata::bench

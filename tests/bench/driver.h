// SPDX-License-Identifier: Apache-2.0
// A row of the benchmark: what its requests are, and what their replies must hold.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "tests/bench/options.h"
#include "tests/bench/session.h"
#include "tests/bench/xdr.h"

namespace strata::bench {

// One request: the operations after SEQUENCE. What it points to stays unchanged until the slot's next request is asked for.
struct Work {
    View ops;
    std::uint32_t op_count = 0;
    View payload;  // follows `ops` on the wire without being copied; a multiple of four bytes
    bool cache_this = false;
};

struct Outcome {
    enum class Progress {
        continues,  // the operation takes a further request on this slot
        operation,  // one operation counted
        commit,     // a COMMIT, timed apart
    };
    Progress progress = Progress::operation;
    std::uint64_t bytes = 0;    // of payload
    std::uint64_t entries = 0;  // of a directory
};

// One connection's part of a row. Used by one thread.
class Driver {
public:
    virtual ~Driver() = default;

    // The next request on `slot`, whose last reply was checked.
    virtual Work next(std::uint32_t slot) = 0;

    // Checks the results after SEQUENCE (for NULL: nothing) and throws Failure unless they are right.
    virtual Outcome check(std::uint32_t slot, XdrReader& results) = 0;

    // A request on slot 0 when the time is up and all others are answered; it counts in the time.
    virtual std::optional<Work> last() { return std::nullopt; }

    // Looks at what the row left on the server, outside the time. Throws Failure.
    virtual void verify(Session&) {}
};

// A row, shared by its connections.
class Row {
public:
    virtual ~Row() = default;

    // NULL calls instead of COMPOUNDs.
    [[nodiscard]] virtual bool is_null() const { return false; }

    // The most operations a run may do where no bound is asked for.
    [[nodiscard]] virtual std::uint64_t operations_max() const { return 1'000'000'000; }

    // Makes what all connections share in `directory`, which is empty.
    virtual void prepare(Session& session, View directory) = 0;
    virtual std::unique_ptr<Driver> driver(Session& session, std::uint32_t connection) = 0;
};

std::span<const std::string_view> row_names();
std::unique_ptr<Row> make_row(std::string_view name, const Options& options);

// The makers that make_row chooses from.
std::unique_ptr<Row> make_null_row();
std::unique_ptr<Row> make_getattr_row(const Options& options);
std::unique_ptr<Row> make_lookup_row(const Options& options);
std::unique_ptr<Row> make_create_row();
std::unique_ptr<Row> make_mkdir_row();
std::unique_ptr<Row> make_readdir_row(const Options& options);

struct DataShape {
    std::uint32_t unit = 4096;  // bytes of each READ or WRITE
    bool random = false;        // else sequential, from the beginning again at the end
    std::uint64_t file_bytes = 0;
    std::uint32_t commit_every = 0;
    std::uint32_t verify_every = 0;
};
std::unique_ptr<Row> make_read_row(const DataShape& shape);
std::unique_ptr<Row> make_write_row(const DataShape& shape);

// A small, fast generator of even quality: which file or block comes next.
class Choice {
public:
    explicit Choice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}

    std::uint64_t number() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }

    std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(((number() >> 32) * bound) >> 32); }

private:
    std::uint64_t state_;
};

}  // namespace strata::bench

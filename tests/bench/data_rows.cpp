// SPDX-License-Identifier: Apache-2.0
// The rows read4k, read1m, write4k and write1m. Each connection has a file of its own. A file is a row of units (4 KiB or 1 MiB); the
// first eight bytes of a unit are its stamp, which says where it belongs and who wrote it, and the rest is the same in all units.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::size_t stamp_size = 8;
constexpr std::size_t verified_max = 256;
constexpr std::uint64_t written_flag = std::uint64_t{1} << 63;  // in the stamp: by the measured part, not by set-up

// What follows the stamp: bytes that do not compress.
Bytes make_pattern(std::uint32_t unit) {
    Bytes pattern(unit - stamp_size);
    Choice choice(unit);
    for (std::byte& value : pattern) value = static_cast<std::byte>(choice.number() >> 40);
    return pattern;
}

struct DataFile {
    OpenFile open;
    std::uint32_t units = 0;
};

// Reads the results of a READ of one whole unit; returns its bytes.
View read_unit(XdrReader& results, std::uint32_t unit) {
    expect_op(results, Op::putfh);
    expect_op(results, Op::read);
    results.u32();  // eof: may be either at the end of the file
    const View data = results.opaque();
    require(results.ok() && data.size() == unit, "READ: fewer bytes than the file has there");
    return data;
}

void check_unit(View data, std::uint64_t stamp, const Bytes& pattern) {
    require(load_u64(data.data()) == stamp, "READ: the bytes of another place or time");
    require(std::memcmp(data.data() + stamp_size, pattern.data(), pattern.size()) == 0, "READ: wrong bytes");
}

DataFile make_file(Session& session, View directory, std::uint32_t connection, const DataShape& shape, const Bytes& pattern,
                   std::uint32_t filled_units) {
    const std::uint32_t message = shape.unit + 512;
    require(session.request_max() >= message && session.response_max() >= message,
            "the server's sessions take no request or reply as large as this row's");
    const std::string name = "data-" + std::to_string(connection);
    create_files(session, directory, 1, [&](std::size_t) { return name; });
    DataFile file{.open = open_file(session, directory, "data", name), .units = static_cast<std::uint32_t>(shape.file_bytes / shape.unit)};
    session.pipeline(
        filled_units,
        [&](std::size_t i) {
            Ops ops;
            ops.putfh(file.open.handle).write_head(file.open.stateid, i * shape.unit, unstable4, shape.unit);
            std::byte stamp[stamp_size];
            store_u64(stamp, i);
            ops.append(stamp).append(pattern);
            return ops;
        },
        [&](std::size_t, XdrReader& results) {
            expect_op(results, Op::putfh);
            read_write(results, shape.unit);
        });
    Reply reply = session.call(Ops().putfh(file.open.handle).commit());
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::commit);
    return file;
}

// Which unit comes next on a connection.
class UnitOrder {
public:
    UnitOrder(const DataShape& shape, std::uint32_t units, std::uint32_t connection)
        : random_(shape.random), units_(units), choice_(connection + 1) {}

    std::uint32_t next() {
        if (random_) return choice_.below(units_);
        const std::uint32_t unit = at_;
        at_ = at_ + 1 == units_ ? 0 : at_ + 1;
        return unit;
    }

private:
    bool random_;
    std::uint32_t units_;
    std::uint32_t at_ = 0;
    Choice choice_;
};

class ReadDriver : public Driver {
public:
    ReadDriver(DataFile file, const DataShape& shape, const Bytes& pattern, std::uint32_t slots, std::uint32_t connection)
        : file_(std::move(file)), shape_(shape), pattern_(pattern), order_(shape, file_.units, connection), slots_(slots) {
        for (State& state : slots_) {
            state.ops.putfh(file_.open.handle);
            state.offset_at = state.ops.size() + 4 + 16;  // behind the operation's number and the stateid
            state.ops.read(file_.open.stateid, 0, shape.unit);
        }
    }

    Work next(std::uint32_t slot) override {
        State& state = slots_[slot];
        state.unit = order_.next();
        state.ops.patch_u64(state.offset_at, std::uint64_t{state.unit} * shape_.unit);
        return {.ops = state.ops.bytes(), .op_count = state.ops.count()};
    }

    Outcome check(std::uint32_t slot, XdrReader& results) override {
        const View data = read_unit(results, shape_.unit);
        const std::uint64_t stamp = slots_[slot].unit;
        if (++checked_ % shape_.verify_every == 0) {
            check_unit(data, stamp, pattern_);
        } else {
            const std::size_t tail = pattern_.size() - 8;
            require(load_u64(data.data()) == stamp, "READ: the bytes of another place or time");
            require(std::memcmp(data.data() + stamp_size + tail, pattern_.data() + tail, 8) == 0, "READ: wrong bytes");
        }
        return {.bytes = shape_.unit};
    }

private:
    struct State {
        Ops ops;
        std::size_t offset_at = 0;
        std::uint32_t unit = 0;
    };

    DataFile file_;
    DataShape shape_;
    const Bytes& pattern_;
    UnitOrder order_;
    std::uint64_t checked_ = 0;
    std::vector<State> slots_;
};

class WriteDriver : public Driver {
public:
    WriteDriver(DataFile file, const DataShape& shape, const Bytes& pattern, std::uint32_t slots, std::uint32_t connection)
        : file_(std::move(file)),
          shape_(shape),
          pattern_(pattern),
          order_(shape, file_.units, connection),
          written_(file_.units),
          slots_(slots) {
        for (State& state : slots_) {
            state.ops.putfh(file_.open.handle);
            state.offset_at = state.ops.size() + 4 + 16;
            state.ops.write_head(file_.open.stateid, 0, unstable4, shape.unit);
            state.stamp_at = state.ops.size();
            const std::byte stamp[stamp_size]{};
            state.ops.append(stamp);
        }
        commit_.putfh(file_.open.handle).commit();
    }

    Work next(std::uint32_t slot) override {
        State& state = slots_[slot];
        state.commits = since_commit_ >= shape_.commit_every;
        if (state.commits) return commit_work();
        ++since_commit_;
        state.unit = order_.next();
        state.ops.patch_u64(state.offset_at, std::uint64_t{state.unit} * shape_.unit);
        state.ops.patch_u64(state.stamp_at, state.unit | written_flag);
        return {.ops = state.ops.bytes(), .op_count = state.ops.count(), .payload = pattern_};
    }

    Outcome check(std::uint32_t slot, XdrReader& results) override {
        State& state = slots_[slot];
        expect_op(results, Op::putfh);
        if (state.commits) {
            expect_op(results, Op::commit);
            check_verifier(results.u64());
            require(results.ok(), "COMMIT: the result is cut short");
            return {.progress = Outcome::Progress::commit};
        }
        check_verifier(read_write(results, shape_.unit));
        written_[state.unit] = true;
        return {.bytes = shape_.unit};
    }

    std::optional<Work> last() override {
        slots_[0].commits = true;
        return commit_work();
    }

    void verify(Session& session) override {
        std::vector<std::uint32_t> sample;
        Choice choice(11);
        for (std::size_t tries = 0; tries < 64 * verified_max && sample.size() < verified_max; ++tries) {
            const std::uint32_t unit = choice.below(file_.units);
            if (written_[unit]) sample.push_back(unit);
        }
        session.pipeline(
            sample.size(),
            [&](std::size_t i) {
                return Ops().putfh(file_.open.handle).read(file_.open.stateid, std::uint64_t{sample[i]} * shape_.unit, shape_.unit);
            },
            [&](std::size_t i, XdrReader& results) { check_unit(read_unit(results, shape_.unit), sample[i] | written_flag, pattern_); });
    }

private:
    struct State {
        Ops ops;
        std::size_t offset_at = 0;
        std::size_t stamp_at = 0;
        std::uint32_t unit = 0;
        bool commits = false;
    };

    Work commit_work() {
        since_commit_ = 0;
        return {.ops = commit_.bytes(), .op_count = commit_.count()};
    }

    // A verifier that changes says that unstable data may be lost: no server may do that while it runs.
    void check_verifier(Verifier verifier) {
        require(!verifier_ || *verifier_ == verifier, "the write verifier changed");
        verifier_ = verifier;
    }

    DataFile file_;
    DataShape shape_;
    const Bytes& pattern_;
    UnitOrder order_;
    std::vector<bool> written_;
    std::uint32_t since_commit_ = 0;
    std::optional<Verifier> verifier_;
    Ops commit_;
    std::vector<State> slots_;
};

template <class DriverType>
class DataRow : public Row {
public:
    DataRow(const DataShape& shape, bool filled) : shape_(shape), filled_(filled), pattern_(make_pattern(shape.unit)) {}

    void prepare(Session&, View directory) override { directory_.assign(directory.begin(), directory.end()); }

    std::unique_ptr<Driver> driver(Session& session, std::uint32_t connection) override {
        const auto units = filled_ ? static_cast<std::uint32_t>(shape_.file_bytes / shape_.unit) : 0;
        DataFile file = make_file(session, directory_, connection, shape_, pattern_, units);
        return std::make_unique<DriverType>(std::move(file), shape_, pattern_, session.slots(), connection);
    }

private:
    DataShape shape_;
    bool filled_;
    Bytes pattern_;
    Bytes directory_;
};

}  // namespace

std::unique_ptr<Row> make_read_row(const DataShape& shape) { return std::make_unique<DataRow<ReadDriver>>(shape, true); }

// Random writes go into a file that has bytes already, sequential ones into a new file.
std::unique_ptr<Row> make_write_row(const DataShape& shape) { return std::make_unique<DataRow<WriteDriver>>(shape, shape.random); }

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// The rows null, getattr, lookup, create and mkdir.
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::uint64_t created_max = 1'000'000;
constexpr std::size_t verified_max = 256;

class NullDriver : public Driver {
public:
    Work next(std::uint32_t) override { return {}; }
    Outcome check(std::uint32_t, XdrReader& results) override {
        require(results.left() == 0, "NULL answered with results");
        return {};
    }
};

class NullRow : public Row {
public:
    [[nodiscard]] bool is_null() const override { return true; }
    void prepare(Session&, View) override {}
    std::unique_ptr<Driver> driver(Session&, std::uint32_t) override { return std::make_unique<NullDriver>(); }
};

// A file of getattr and lookup, with the request for it.
struct Subject {
    Bytes handle;
    std::uint64_t fileid = 0;
    Ops ops;
};

std::string subject_name(std::size_t number) { return "file-" + std::to_string(1'000'000 + number); }

class SubjectDriver : public Driver {
public:
    SubjectDriver(const std::vector<Subject>& subjects, bool by_name, std::uint32_t slots, std::uint32_t connection)
        : subjects_(subjects), by_name_(by_name), choice_(connection + 1), chosen_(slots) {}

    Work next(std::uint32_t slot) override {
        const Subject& subject = subjects_[choice_.below(static_cast<std::uint32_t>(subjects_.size()))];
        chosen_[slot] = &subject;
        return {.ops = subject.ops.bytes(), .op_count = subject.ops.count()};
    }

    Outcome check(std::uint32_t slot, XdrReader& results) override {
        const Subject& subject = *chosen_[slot];
        expect_op(results, Op::putfh);
        if (by_name_) {
            expect_op(results, Op::lookup);
            expect_op(results, Op::getfh);
            const View handle = results.opaque();
            require(handle.size() == subject.handle.size() && std::memcmp(handle.data(), subject.handle.data(), handle.size()) == 0,
                    "LOOKUP found another file");
        }
        const Attributes attributes = read_getattr(results);
        require(attributes.type == nf4reg && attributes.fileid == subject.fileid && attributes.size == 0,
                "GETATTR: another file's attributes");
        return {};
    }

private:
    const std::vector<Subject>& subjects_;
    bool by_name_;
    Choice choice_;
    std::vector<const Subject*> chosen_;
};

// getattr by handle, or lookup by name.
class SubjectRow : public Row {
public:
    SubjectRow(std::uint32_t files, bool by_name) : subjects_(files), by_name_(by_name) {}

    void prepare(Session& session, View directory) override {
        const std::vector<Bytes> handles = create_files(session, directory, subjects_.size(), subject_name);
        session.pipeline(
            subjects_.size(), [&](std::size_t i) { return Ops().putfh(handles[i]).getattr(linux_attributes); },
            [&](std::size_t i, XdrReader& results) {
                expect_op(results, Op::putfh);
                Subject& subject = subjects_[i];
                subject.handle = handles[i];
                subject.fileid = read_getattr(results).fileid;
                if (by_name_) {
                    subject.ops.putfh(directory).lookup(subject_name(i)).getfh().getattr(linux_attributes);
                } else {
                    subject.ops.putfh(subject.handle).getattr(linux_attributes);
                }
            });
    }

    std::unique_ptr<Driver> driver(Session& session, std::uint32_t connection) override {
        return std::make_unique<SubjectDriver>(subjects_, by_name_, session.slots(), connection);
    }

private:
    std::vector<Subject> subjects_;
    bool by_name_;
};

// A new name for each creation on a connection: the slot and a number, in a constant width.
class Names {
public:
    explicit Names(std::uint32_t slots) : made_(slots) {}

    std::string_view next(std::uint32_t slot) { return name_of(slot, made_[slot]++); }

    // Valid until the next call.
    std::string_view name_of(std::uint32_t slot, std::uint32_t number) {
        write_digits(text_.data() + 2, 3, slot);
        write_digits(text_.data() + 6, 7, number);
        return {text_.data(), text_.size()};
    }

    [[nodiscard]] std::uint32_t made(std::uint32_t slot) const { return made_[slot]; }
    [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(made_.size()); }

private:
    static void write_digits(char* to, int width, std::uint32_t number) {
        for (int i = width - 1; i >= 0; --i, number /= 10) to[i] = static_cast<char>('0' + number % 10);
    }

    std::array<char, 13> text_{'n', '-', '0', '0', '0', '-', '0', '0', '0', '0', '0', '0', '0'};
    std::vector<std::uint32_t> made_;
};

// Looks up a sample of the names that were made.
void verify_names(Session& session, View directory, Names& names, std::uint32_t type) {
    Choice choice(7);
    std::vector<std::string> sample;
    for (std::size_t i = 0; i < verified_max; ++i) {
        const std::uint32_t slot = choice.below(names.slots());
        if (names.made(slot) != 0) sample.emplace_back(names.name_of(slot, choice.below(names.made(slot))));
    }
    session.pipeline(
        sample.size(), [&](std::size_t i) { return Ops().putfh(directory).lookup(sample[i]).getattr(linux_attributes); },
        [&](std::size_t, XdrReader& results) {
            expect_op(results, Op::putfh);
            expect_op(results, Op::lookup);
            require(read_getattr(results).type == type, "a created name is of another type");
        });
}

// OPEN(create) GETFH GETATTR, then CLOSE: one operation.
class CreateDriver : public Driver {
public:
    CreateDriver(Session& session, Bytes directory)
        : clientid_(session.clientid()), directory_(std::move(directory)), names_(session.slots()), slots_(session.slots()) {
        for (std::uint32_t i = 0; i < slots_.size(); ++i) {
            slots_[i].owner = "create " + std::to_string(session.slot_base() + i);
        }
    }

    Work next(std::uint32_t slot) override {
        State& state = slots_[slot];
        state.ops.clear();
        if (state.open) {
            state.ops.putfh(state.handle).close(state.stateid);
        } else {
            state.ops.putfh(directory_).open_new(clientid_, state.owner, names_.next(slot)).getfh().getattr(linux_attributes);
        }
        return {.ops = state.ops.bytes(), .op_count = state.ops.count(), .cache_this = true};
    }

    Outcome check(std::uint32_t slot, XdrReader& results) override {
        State& state = slots_[slot];
        expect_op(results, Op::putfh);
        if (state.open) {
            expect_op(results, Op::close);
            state.open = false;
            return {};
        }
        state.stateid = read_open(results);
        state.handle = read_getfh(results);
        const Attributes attributes = read_getattr(results);
        require(attributes.type == nf4reg && attributes.size == 0, "OPEN created something that is not an empty file");
        state.open = true;
        return {.progress = Outcome::Progress::continues};
    }

    void verify(Session& session) override { verify_names(session, directory_, names_, nf4reg); }

private:
    struct State {
        std::string owner;
        Ops ops;
        Bytes handle;
        Stateid stateid;
        bool open = false;
    };

    std::uint64_t clientid_;
    Bytes directory_;
    Names names_;
    std::vector<State> slots_;
};

// CREATE(directory) GETFH GETATTR.
class MkdirDriver : public Driver {
public:
    MkdirDriver(Session& session, Bytes directory) : directory_(std::move(directory)), names_(session.slots()), ops_(session.slots()) {}

    Work next(std::uint32_t slot) override {
        Ops& ops = ops_[slot];
        ops.clear();
        ops.putfh(directory_).create_directory(names_.next(slot)).getfh().getattr(linux_attributes);
        return {.ops = ops.bytes(), .op_count = ops.count(), .cache_this = true};
    }

    Outcome check(std::uint32_t, XdrReader& results) override {
        expect_op(results, Op::putfh);
        read_create(results);
        read_getfh(results);
        require(read_getattr(results).type == nf4dir, "CREATE made something that is not a directory");
        return {};
    }

    void verify(Session& session) override { verify_names(session, directory_, names_, nf4dir); }

private:
    Bytes directory_;
    Names names_;
    std::vector<Ops> ops_;
};

// Each connection creates in a directory of its own.
template <class DriverType>
class CreatingRow : public Row {
public:
    [[nodiscard]] std::uint64_t operations_max() const override { return created_max; }
    void prepare(Session&, View directory) override { directory_.assign(directory.begin(), directory.end()); }
    std::unique_ptr<Driver> driver(Session& session, std::uint32_t connection) override {
        return std::make_unique<DriverType>(session, make_directory(session, directory_, "connection-" + std::to_string(connection)));
    }

private:
    Bytes directory_;
};

}  // namespace

std::unique_ptr<Row> make_null_row() { return std::make_unique<NullRow>(); }
std::unique_ptr<Row> make_getattr_row(const Options& options) { return std::make_unique<SubjectRow>(options.files, false); }
std::unique_ptr<Row> make_lookup_row(const Options& options) { return std::make_unique<SubjectRow>(options.files, true); }
std::unique_ptr<Row> make_create_row() { return std::make_unique<CreatingRow<CreateDriver>>(); }
std::unique_ptr<Row> make_mkdir_row() { return std::make_unique<CreatingRow<MkdirDriver>>(); }

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// The row readdir: each slot walks one large directory from end to end, page by page, again and again.
#include <string>
#include <vector>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::uint32_t page_bytes = 32768;
constexpr std::string_view name_head = "entry-";
constexpr std::size_t name_digits = 7;

std::string entry_name(std::size_t number) {
    const std::string digits = std::to_string(number);
    return std::string(name_head) + std::string(name_digits - digits.size(), '0') + digits;
}

std::uint64_t entry_number(std::string_view name) {
    require(name.size() == name_head.size() + name_digits && name.starts_with(name_head), "READDIR: a name that nobody made");
    std::uint64_t number = 0;
    for (const char digit : name.substr(name_head.size())) number = number * 10 + static_cast<std::uint64_t>(digit - '0');
    return number;
}

class ReaddirDriver : public Driver {
public:
    ReaddirDriver(View directory, std::uint32_t entries, const Bitmap& attributes, std::uint32_t slots) : entries_(entries), slots_(slots) {
        for (Walk& walk : slots_) {
            walk.ops.putfh(directory);
            walk.cookie_at = walk.ops.size() + 4;  // behind the operation's number
            walk.ops.readdir(0, 0, page_bytes, attributes);
        }
    }

    Work next(std::uint32_t slot) override {
        Walk& walk = slots_[slot];
        walk.ops.patch_u64(walk.cookie_at, walk.cookie);
        walk.ops.patch_u64(walk.cookie_at + 8, walk.verifier);
        return {.ops = walk.ops.bytes(), .op_count = walk.ops.count()};
    }

    Outcome check(std::uint32_t slot, XdrReader& results) override {
        Walk& walk = slots_[slot];
        const std::size_t before = results.left();
        expect_op(results, Op::putfh);
        expect_op(results, Op::readdir);
        walk.verifier = results.u64();
        const std::uint64_t seen = walk.entries;
        while (results.u32() == 1) {
            walk.cookie = results.u64();
            walk.numbers += entry_number(text_of(results.opaque()));
            const std::uint32_t words = results.u32();
            for (std::uint32_t i = 0; i < words; ++i) results.u32();
            require(!results.opaque().empty(), "READDIR: an entry without attributes");
            ++walk.entries;
        }
        const bool eof = results.u32() == 1;
        require(results.ok(), "READDIR: the result is cut short");
        require(eof || walk.entries > seen, "READDIR: an empty page before the end");
        const std::uint64_t entries = walk.entries - seen;
        if (eof) finish_walk(walk);
        return {.bytes = before, .entries = entries};
    }

private:
    struct Walk {
        Ops ops;
        std::size_t cookie_at = 0;
        std::uint64_t cookie = 0;
        Verifier verifier = 0;
        std::uint64_t entries = 0;
        std::uint64_t numbers = 0;  // sum over the names: each must come exactly once
    };

    void finish_walk(Walk& walk) const {
        const std::uint64_t sum = std::uint64_t{entries_} * (entries_ - 1) / 2;
        if (walk.entries != entries_ || walk.numbers != sum) {
            fail("READDIR: a walk gave " + std::to_string(walk.entries) + " entries of " + std::to_string(entries_) +
                 ", or some of them twice");
        }
        walk.cookie = walk.verifier = walk.entries = walk.numbers = 0;
    }

    std::uint32_t entries_;
    std::vector<Walk> slots_;
};

class ReaddirRow : public Row {
public:
    ReaddirRow(std::uint32_t entries, const Bitmap& attributes) : entries_(entries), attributes_(attributes) {}

    void prepare(Session& session, View directory) override {
        directory_.assign(directory.begin(), directory.end());
        create_files(session, directory, entries_, entry_name);
    }

    std::unique_ptr<Driver> driver(Session& session, std::uint32_t) override {
        return std::make_unique<ReaddirDriver>(directory_, entries_, attributes_, session.slots());
    }

private:
    std::uint32_t entries_;
    Bitmap attributes_;
    Bytes directory_;
};

}  // namespace

std::unique_ptr<Row> make_readdir_row(const Options& options) {
    return std::make_unique<ReaddirRow>(options.entries, options.plain_readdir ? linux_readdir_attributes : linux_readdir_plus_attributes);
}

}  // namespace strata::bench

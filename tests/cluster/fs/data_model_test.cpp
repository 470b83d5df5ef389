// SPDX-License-Identifier: Apache-2.0
// DataEngine against a model: random steps on a few files, with slow and failing chunk writes, background work, and power cuts.
//
// The model keeps, for each file, what a reader must see now, what a crash must leave, and the unstable writes in between: after a crash
// each byte has its durable value or that of an unstable write that covered it.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/cluster/fs/data_fixture.h"

namespace strata::cluster {
namespace {

using sim::DataFixture;
using vfs::Stability;

struct Pending {
    std::uint64_t sequence = 0;
    std::uint64_t from = 0, to = 0;
    char value = 0;
};

struct ModelFile {
    NodePtr node;
    std::string now, durable;
    std::vector<Pending> pending;

    void cut_pending(std::uint64_t from, std::uint64_t to) {
        std::vector<Pending> left;
        for (const auto& p : pending) {
            if (p.from < std::min(from, p.to)) left.push_back({p.sequence, p.from, std::min(from, p.to), p.value});
            if (p.to > std::max(to, p.from)) left.push_back({p.sequence, std::max(to, p.from), p.to, p.value});
        }
        pending = std::move(left);
    }
    void write(std::uint64_t sequence, std::uint64_t from, std::uint64_t count, char value) {
        if (now.size() < from + count) now.resize(from + count);
        std::fill_n(now.begin() + static_cast<std::ptrdiff_t>(from), count, value);
        pending.push_back({sequence, from, from + count, value});
    }
    // Everything up to `sequence` became durable, and the size of then.
    void committed(std::uint64_t sequence, std::uint64_t size) {
        std::erase_if(pending, [&](const Pending& p) {
            if (p.sequence > sequence) return false;
            if (durable.size() < p.to) durable.resize(p.to);
            std::fill(durable.begin() + static_cast<std::ptrdiff_t>(p.from), durable.begin() + static_cast<std::ptrdiff_t>(p.to), p.value);
            return true;
        });
        size = std::min<std::uint64_t>(size, now.size());
        if (durable.size() < size) durable.resize(size);
    }
    // A change that is durable at once, in both images.
    void set_size(std::uint64_t size) {
        now.resize(size);
        durable.resize(size);
        cut_pending(size, UINT64_MAX);
    }
    void replace(std::uint64_t from, const std::string& bytes) {
        if (now.size() < from + bytes.size()) now.resize(from + bytes.size());
        if (durable.size() < from + bytes.size()) durable.resize(from + bytes.size());
        now.replace(from, bytes.size(), bytes);
        durable.replace(from, bytes.size(), bytes);
        cut_pending(from, from + bytes.size());
    }
    void check_after_crash(const std::string& found) {
        std::uint64_t size_max = durable.size();
        for (const auto& p : pending) size_max = std::max(size_max, p.to);
        size_max = std::max<std::uint64_t>(size_max, now.size());
        EXPECT_GE(found.size(), durable.size());
        EXPECT_LE(found.size(), size_max);
        std::vector<bool> fine(found.size());
        for (std::size_t i = 0; i < found.size(); ++i) fine[i] = found[i] == (i < durable.size() ? durable[i] : '\0');
        for (const auto& p : pending) {
            for (auto i = p.from; i < std::min<std::uint64_t>(p.to, found.size()); ++i) fine[i] = fine[i] || found[i] == p.value;
        }
        const auto wrong = std::ranges::find(fine, false);
        EXPECT_EQ(wrong, fine.end()) << "byte " << wrong - fine.begin() << " of " << found.size();
        now = durable = found;
        pending.clear();
    }
};

class Model {
public:
    Model(std::uint64_t seed, sim::DataSettings settings) : fixture_(seed, std::move(settings)), random_(seed * 77 + 1) {
        for (int i = 0; i < 3; ++i) files_.push_back({fixture_.make_file(), {}, {}, {}});
        fixture_.applied();
        fixture_.chunks.latency_max = 10ms;
    }

    void run(int steps) {
        for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) step();
        fixture_.chunks.write_fails = fixture_.chunks.read_fails = 0;
        if (::testing::Test::HasFailure()) return;
        for (std::size_t i = 0; i < files_.size(); ++i) check_all(i);
        fixture_.check_references(!crashed_);
        crash();
        fixture_.check_references(false);
    }

private:
    ModelFile& any() { return files_[random_.below(files_.size())]; }
    // Mostly near the borders that matter: pages, cache blocks, coded sizes.
    std::uint64_t offset() {
        constexpr std::array<std::uint64_t, 6> units = {1, 512, 4096, 65536, 131072, 4096};
        const std::uint64_t unit = units[random_.below(units.size())];
        const std::uint64_t limit = random_.chance(0.3) ? 3000 : 500'000;
        return random_.below(limit) / unit * unit;
    }
    std::uint64_t length() {
        constexpr std::array<std::uint64_t, 6> lengths = {100, 4096, 4096, 30'000, 150'000, 2500};
        const std::uint64_t longest = lengths[random_.below(lengths.size())];
        return longest % 4096 == 0 ? longest : 1 + random_.below(longest);
    }

    void step() {
        fixture_.chunks.write_fails = random_.chance(0.1) ? 0.3 : 0;
        switch (random_.below(20)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
            case 5:
            case 6: return write();
            case 7:
            case 8: return read();
            case 9: return check_all(random_.below(files_.size()));
            case 10: return commit_beside();
            case 11: return commit();
            case 12: return set_size();
            case 13: return deallocate();
            case 14: return allocate();
            case 15: return clone();
            case 16: return fixture_.world.run_for(Duration(random_.below(20'000'000)));
            case 17: return tidy_beside();
            case 18:
                if (random_.chance(0.3)) crash();
                return;
            case 19:
                if (random_.chance(0.1)) remove();
                return;
        }
    }

    void write() {
        ModelFile& file = any();
        const auto from = offset(), count = length();
        const char value = static_cast<char>(1 + random_.below(255));
        const bool stable = random_.chance(0.1);
        file.write(++sequence_, from, count, value);
        const auto upto = sequence_;
        auto done = fixture_.write(file.node, from, std::string(count, value), stable ? Stability::file_sync : Stability::unstable);
        if (stable && done) file.committed(upto, file.now.size());
        if (!stable) {
            EXPECT_TRUE(done) << to_string(done.error());
        }
    }
    void read() {
        ModelFile& file = any();
        const auto from = offset();
        const auto count = static_cast<std::uint32_t>(length());
        const auto bytes = fixture_.read(file.node, from, count);
        ASSERT_TRUE(bytes) << to_string(bytes.error());
        const std::string expected = from < file.now.size() ? file.now.substr(from, count) : std::string();
        EXPECT_TRUE(*bytes == expected) << "read " << from << "+" << count;
    }
    void check_all(std::size_t i) {
        ModelFile& file = files_[i];
        EXPECT_EQ(file.node->row.size, file.now.size());
        EXPECT_TRUE(fixture_.read_all(file.node) == file.now) << "file " << i;
        std::uint64_t at = 0;
        while (at < file.now.size()) {
            auto run = fixture_.run(fixture_.data->map(fixture_.ctx(), file.node, at));
            ASSERT_TRUE(run);
            ASSERT_GT(run->length, 0u);
            if (run->hole) {
                EXPECT_EQ(file.now.find_first_not_of('\0', at),
                          std::min(file.now.find_first_not_of('\0', at + run->length), std::string::npos));
            }
            at += run->length;
        }
        EXPECT_EQ(at, file.now.size());
    }
    void commit() {
        ModelFile& file = any();
        const auto upto = sequence_;
        if (fixture_.commit(file.node)) file.committed(upto, file.now.size());
    }
    void commit_beside() {
        const std::size_t i = random_.below(files_.size());
        fixture_.spawn([this, i, upto = sequence_, incarnation = incarnation_]() -> Task<> {
            const NodePtr node = files_[i].node;
            const Context ctx = fixture_.ctx();
            const auto done = co_await fixture_.data->commit(ctx, node, 0, 0);
            if (done && incarnation == incarnation_ && files_[i].node == node) files_[i].committed(upto, 0);
        });
        fixture_.world.run_for(Duration(random_.below(1'000'000)));  // it is under way when the next step comes
    }
    void tidy_beside() {
        fixture_.spawn([this, all = random_.chance(0.5)]() -> Task<> {
            const Context ctx = fixture_.ctx();
            if (tidying_) co_return;
            tidying_ = true;
            (void)co_await fixture_.data->tidy(ctx, all);
            tidying_ = false;
        });
    }
    void set_size() {
        ModelFile& file = any();
        const auto size = random_.chance(0.2) ? 0 : offset();
        ASSERT_TRUE(fixture_.set_size(file.node, size));
        file.set_size(size);
    }
    void deallocate() {
        ModelFile& file = any();
        const auto from = offset(), count = length();
        ASSERT_TRUE(fixture_.deallocate(file.node, from, count));
        const auto end = std::min<std::uint64_t>(file.now.size(), from + count);
        if (from < end) {
            // The hole is durable; a size that only unstable writes made is not.
            std::fill(file.now.begin() + static_cast<std::ptrdiff_t>(from), file.now.begin() + static_cast<std::ptrdiff_t>(end), '\0');
            for (auto i = from; i < std::min<std::uint64_t>(end, file.durable.size()); ++i) file.durable[i] = '\0';
            file.cut_pending(from, end);
        }
    }
    void allocate() {
        ModelFile& file = any();
        const auto from = offset(), count = length();
        auto done = fixture_.allocate(file.node, from, count);
        if (!done) return;  // a flush that it needed failed: nothing changed
        if (file.now.size() < from + count) file.now.resize(from + count);
        if (file.durable.size() < from + count) file.durable.resize(from + count);
    }
    void clone() {
        ModelFile& source = any();
        ModelFile& target = any();
        const auto from = offset() / 4096 * 4096, to = offset() / 4096 * 4096;
        auto count = (1 + length() / 4096) * 4096;
        if (from >= source.now.size()) return;
        if (from + count >= source.now.size()) count = source.now.size() - from;
        const auto upto = sequence_;
        const auto done = fixture_.clone(source.node, from, target.node, to, count);
        if (done) {
            source.committed(upto, source.now.size());
            target.replace(to, source.now.substr(from, count));
        } else {
            EXPECT_TRUE(done.error() == Errc::io || done.error() == Errc::invalid_argument) << to_string(done.error());
        }
    }
    void remove() {
        ModelFile& file = any();
        fixture_.wait_spawned();
        fixture_.remove(file.node);
        file = {fixture_.make_file(), {}, {}, {}};
        fixture_.applied();
    }
    void crash() {
        crashed_ = true;
        ++incarnation_;
        fixture_.chunks.write_fails = 0;
        fixture_.crash();
        tidying_ = false;
        for (auto& file : files_) {
            file.node = fixture_.load(file.node->number);
            ASSERT_NE(file.node, nullptr);
            file.check_after_crash(fixture_.read_all(file.node));
        }
    }

    DataFixture fixture_;
    sim::SimRandom random_;
    std::vector<ModelFile> files_;
    std::uint64_t sequence_ = 0;
    std::uint64_t incarnation_ = 0;
    bool crashed_ = false, tidying_ = false;
};

sim::DataSettings settings_of(std::uint64_t seed) {
    sim::DataSettings settings;
    settings.background = seed % 3 != 0;
    settings.policy = seed % 2 == 0 ? "ec-2+1" : "single";
    settings.config.dirty_age_max = 20ms;
    if (seed % 4 == 1) settings.config.dirty_bytes_max = 2 << 20;
    if (seed % 5 == 1) settings.config.cache_bytes_max = 256 << 10;
    return settings;
}

class DataModel : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(DataModel, readers_see_the_newest_bytes_and_a_crash_takes_none_that_were_committed) {
    const std::uint64_t seed = GetParam();
    const char* more = std::getenv("STRATA_MODEL_STEPS");
    Model model(seed, settings_of(seed));
    model.run(more == nullptr ? 300 : std::atoi(more));
}

INSTANTIATE_TEST_SUITE_P(Seeds, DataModel, ::testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace strata::cluster

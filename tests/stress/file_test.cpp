// SPDX-License-Identifier: Apache-2.0
// Many clients on one file: locked counters, ranges of their own, its size; and stores that fail while they do it.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/bench/driver.h"
#include "tests/bench/failure.h"
#include "tests/stress/administrator.h"
#include "tests/stress/client.h"
#include "tests/stress/client_v40.h"
#include "tests/stress/crowd.h"
#include "tests/stress/served_volume.h"

namespace strata::stress {

namespace {

using bench::Choice;

constexpr int clients = 16, old_clients = 4, rounds = 80;
constexpr int lost_store = 0, rotten_store = 4;
constexpr auto lock_pause_max_us = 4000;

// The file: counters of eight bytes, some across the border of a block or a page; then a range of each client, which begin and end in
// the middle of blocks; then a tail that comes and goes with the size.
constexpr std::array<std::uint64_t, 6> counters{0, 8, 4092, 8190, 65532, 131070};
constexpr std::uint64_t ranges_begin = 200'001, range_bytes = 61'003;
constexpr std::uint64_t tail_begin = ranges_begin + range_bytes * clients, tail_bytes = 300'000;

using Totals = std::array<std::atomic<std::uint64_t>, counters.size()>;

// Bytes of a file that this client alone writes, as they must be read back.
class Model {
public:
    explicit Model(std::uint64_t seed) : choice_(seed) {}

    Bytes& bytes() { return bytes_; }
    Bytes random_bytes(std::uint32_t count) {
        Bytes bytes(count);
        for (auto& byte : bytes) byte = static_cast<std::byte>(choice_.number() >> 24);
        return bytes;
    }
    void put(std::uint64_t at, View data) {
        if (bytes_.size() < at + data.size()) bytes_.resize(at + data.size());
        std::ranges::copy(data, bytes_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    void expect(std::uint64_t at, View got, const char* where) const {
        if (at + got.size() > bytes_.size()) bench::fail(std::string(where) + ": more bytes than there should be");
        if (!std::ranges::equal(got, View(bytes_).subspan(at, got.size()))) {
            bench::fail(std::string(where) + ": bytes that nobody wrote, in " + std::to_string(got.size()) + " from " + std::to_string(at));
        }
    }
    Choice& choice() { return choice_; }

private:
    Choice choice_;
    Bytes bytes_;
};

void pause(Choice& choice) { std::this_thread::sleep_for(std::chrono::microseconds(500 + choice.below(lock_pause_max_us))); }

class FileClient {
public:
    FileClient(const ServedVolume& volume, View directory, int number, Totals& totals)
        : client_(volume.target(), "file client " + std::to_string(number)),
          directory_(directory.begin(), directory.end()),
          number_(number),
          totals_(totals),
          range_(static_cast<std::uint64_t>(number) * 2 + 1),
          own_(static_cast<std::uint64_t>(number) * 2 + 2),
          file_(client_.open(directory, "shared")),
          own_file_(client_.open(directory, "own" + std::to_string(number))) {
        range_.bytes().resize(range_bytes);
    }

    void play() {
        for (int i = 0; i < rounds; ++i) {
            count();
            use_range();
            use_own_file();
            if (i % 7 == 3) use_size();
            if (i % 9 == 4) open_again();
        }
        verify();
        client_.close(own_file_);
        client_.close(file_);
        client_.session().destroy();
    }

    const Bytes& range() { return range_.bytes(); }

    // All of what this client wrote, from wherever it is now.
    void verify() {
        std::uint64_t at = 0;
        while (at < range_bytes) {
            const auto got = client_.read(file_.handle, file_.stateid, begin() + at, 32'768);
            const auto wanted = std::min<std::uint64_t>(got.size(), range_bytes - at);
            if (wanted == 0) bench::fail("the shared file ends before a client's range");
            range_.expect(at, View(got).first(wanted), "the shared file");
            at += wanted;
        }
        const auto got = client_.read(own_file_.handle, own_file_.stateid, 0, 1 << 20);
        if (got.size() != own_.bytes().size()) bench::fail("a client's own file has another size than it gave it");
        own_.expect(0, got, "a client's own file");
    }

private:
    std::uint64_t begin() const { return ranges_begin + static_cast<std::uint64_t>(number_) * range_bytes; }

    // A lock over one counter or several, and one more in each.
    void count() {
        auto& choice = range_.choice();
        const auto first = choice.below(counters.size());
        const auto last = choice.below(4) == 0 ? std::min<std::uint32_t>(first + 2, counters.size() - 1) : first;
        const Lock range{counters[first], counters[last] + 8 - counters[first]};
        while (client_.lock(file_, range, lock_) == err_denied) pause(choice);
        for (auto i = first; i <= last; ++i) {
            const auto old = client_.read(file_.handle, lock_, counters[i], 8);
            bench::require(old.size() == 8, "a counter is cut short");
            Bytes fresh(8);
            bench::store_u64(fresh.data(), bench::load_u64(old.data()) + 1);
            client_.write(file_.handle, lock_, counters[i], fresh, choice.below(3) == 0);
            ++totals_[i];
        }
        client_.unlock(file_, range, lock_);
    }

    // Nobody else writes here, so no lock is needed, whoever writes the rest of the same block.
    void use_range() {
        auto& choice = range_.choice();
        const auto count = 1 + choice.below(20'000);
        const auto at = choice.below(static_cast<std::uint32_t>(range_bytes) - count);
        const auto data = range_.random_bytes(count);
        client_.write(file_.handle, file_.stateid, begin() + at, data, choice.below(5) == 0);
        range_.put(at, data);
        if (choice.below(4) == 0) client_.commit(file_.handle);
        const auto from = choice.below(static_cast<std::uint32_t>(range_bytes));
        const auto length = std::min<std::uint32_t>(1 + choice.below(30'000), static_cast<std::uint32_t>(range_bytes) - from);
        const auto got = client_.read(file_.handle, file_.stateid, begin() + from, length);
        bench::require(got.size() == length, "a client's range is cut short");
        range_.expect(from, got, "the shared file");
    }

    void use_own_file() {
        auto& choice = own_.choice();
        const auto what = choice.below(8);
        if (what < 2) {
            const auto size = choice.below(100'000);
            client_.set_size(own_file_.handle, own_file_.stateid, size);
            own_.bytes().resize(size);
        } else if (what == 2 && own_.bytes().size() > 1) {
            const auto size = static_cast<std::uint32_t>(own_.bytes().size());
            const auto at = choice.below(size - 1);
            const auto count = 1 + choice.below(size - at);
            client_.deallocate(own_file_.handle, own_file_.stateid, at, count);
            std::ranges::fill_n(own_.bytes().begin() + at, count, std::byte{0});
        } else if (what == 3) {
            clone_own_file();
        } else {
            const auto at = choice.below(90'000);
            const auto data = own_.random_bytes(1 + choice.below(10'000));
            client_.write(own_file_.handle, own_file_.stateid, at, data, choice.below(4) == 0);
            own_.put(at, data);
        }
        const auto got = client_.read(own_file_.handle, own_file_.stateid, 0, 1 << 20);
        if (got.size() != own_.bytes().size()) bench::fail("a client's own file has another size than it gave it");
        own_.expect(0, got, "a client's own file");
    }

    // The clone keeps what the file held then, whatever is written to the file afterwards.
    void clone_own_file() {
        const auto clone = client_.open(directory_, "clone" + std::to_string(number_));
        verify_clone(clone);
        client_.set_size(clone.handle, clone.stateid, 0);
        client_.clone(own_file_, clone, 0, 0);
        clone_ = own_.bytes();
        verify_clone(clone);
        client_.close(clone);
    }

    void verify_clone(const bench::OpenFile& clone) {
        if (client_.read(clone.handle, clone.stateid, 0, 1 << 20) != clone_) bench::fail("a clone does not hold what the file held");
    }

    // The end moves under everybody, but never into what others have.
    void use_size() {
        auto& choice = range_.choice();
        client_.set_size(file_.handle, file_.stateid, tail_begin + choice.below(tail_bytes));
        client_.write(file_.handle, file_.stateid, tail_begin + choice.below(tail_bytes), range_.random_bytes(100), false);
        client_.read(file_.handle, file_.stateid, tail_begin, 10'000);
        const auto size = client_.facts(file_.handle).size;
        if (size < tail_begin || size > tail_begin + tail_bytes + 100) bench::fail("a size that nobody set");
    }

    void open_again() {
        client_.close(own_file_);
        own_file_ = client_.open(directory_, "own" + std::to_string(number_));
    }

    Client client_;
    Bytes directory_;
    int number_;
    Totals& totals_;
    Model range_, own_;
    Bytes clone_;
    bench::OpenFile file_, own_file_;
    Stateid lock_;
};

// NFSv4.0: opens, locks and counts, with sequence numbers of its own for each owner.
void play_old_client(const ServedVolume& volume, View directory, int number, Totals& totals) {
    ClientV40 client(volume.target(), "old client " + std::to_string(number));
    Choice choice(static_cast<std::uint64_t>(number) + 1000);
    for (int i = 0; i < rounds; ++i) {
        client.open(directory, "shared");
        const auto which = choice.below(counters.size());
        while (client.lock({counters[which], 8}) == err_denied) pause(choice);
        const auto old = client.read(counters[which], 8);
        Bytes fresh(8);
        bench::store_u64(fresh.data(), bench::load_u64(old.data()) + 1);
        client.write(counters[which], fresh);
        ++totals[which];
        client.unlock({counters[which], 8});
        client.close();
    }
}

void expect_counters(Client& client, const bench::OpenFile& file, const Totals& totals) {
    for (std::size_t i = 0; i < counters.size(); ++i) {
        const auto got = client.read(file.handle, file.stateid, counters[i], 8);
        ASSERT_EQ(got.size(), 8u);
        EXPECT_EQ(bench::load_u64(got.data()), totals[i].load()) << "the counter at " << counters[i];
    }
}

void expect_ranges(Client& client, const bench::OpenFile& file, const std::vector<Bytes>& ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        for (std::uint64_t at = 0; at < ranges[i].size();) {
            const auto count = std::min<std::uint64_t>(ranges[i].size() - at, 32'768);
            const auto got = client.read(file.handle, file.stateid, ranges_begin + i * range_bytes + at, static_cast<std::uint32_t>(count));
            ASSERT_EQ(got.size(), count);
            EXPECT_TRUE(std::ranges::equal(got, View(ranges[i]).subspan(at, count))) << "client " << i << " at " << at;
            at += count;
        }
    }
}

// A bit here and there in the segments of one store: readers, the scrubber and repair meet it in the middle of their work.
void damage(const std::string& store) {
    Choice choice(7);
    for (int i = 0; i < 40; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        for (const auto& entry : std::filesystem::directory_iterator(store + "/segments")) {
            if (entry.path().extension() != ".seg") continue;
            std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
            const auto at = static_cast<std::streamoff>(4096 + choice.below(500'000));
            char byte = 0;
            file.seekg(at).read(&byte, 1);
            byte = static_cast<char>(byte ^ 1);
            file.seekp(at).write(&byte, 1);
        }
    }
}

// In the middle of the work; then somebody puts another disk in its place.
void lose_a_store(ServedVolume& volume, const Totals& totals) {
    for (int i = 0; i < 3000 && totals[0] < 30; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    volume.fail_store(lost_store);
    const auto folder = volume.store_folder(lost_store);
    const auto replaced = volume.ask({{"command", "disk replace"}, {"old", folder}, {"new", folder + "-new"}});
    if (!replaced) ADD_FAILURE() << "disk replace: " << to_string(replaced.error());
}

}  // namespace

TEST(StressFile, many_clients_lock_and_write_one_file_and_lose_nothing_while_a_store_fails) {
    ServedVolume volume({.grace_seconds = 1});
    Client first(volume.target(), "the first client");
    ASSERT_EQ(first.make_directory(first.share(), "work"), ok);
    Facts facts;
    Bytes directory;
    ASSERT_EQ(first.lookup(first.share(), "work", facts, &directory), ok);
    auto file = first.open(directory, "shared");
    first.set_size(file.handle, file.stateid, tail_begin);
    const auto verifier = first.commit(file.handle);
    Totals totals{};
    std::vector<Bytes> ranges(clients);
    {
        Administrator administrator(volume);
        Crowd crowd;
        crowd.start(clients, "client", [&](int i) {
            FileClient client(volume, directory, i, totals);
            client.play();
            ranges[static_cast<std::size_t>(i)] = client.range();
        });
        crowd.start(old_clients, "old client", [&](int i) { play_old_client(volume, directory, i, totals); });
        crowd.start(1, "bit rot", [&](int) { damage(volume.store_folder(rotten_store)); });
        crowd.start(1, "disk", [&](int) { lose_a_store(volume, totals); });
        crowd.join();
    }
    EXPECT_EQ(first.commit(file.handle), verifier) << "data were given up";
    expect_counters(first, file, totals);
    EXPECT_TRUE(wait_until_whole(volume));
    first.close(file);
    first.session().destroy();

    ASSERT_TRUE(volume.stop());
    volume.start();
    Client second(volume.target(), "the second client");
    file = second.open(directory, "shared");
    expect_counters(second, file, totals);
    expect_ranges(second, file, ranges);
    second.close(file);
    second.session().destroy();
    EXPECT_TRUE(volume.stop());
}

}  // namespace strata::stress

// SPDX-License-Identifier: Apache-2.0
// Clients that come and go, most of them without a word, while others work; and the server's end under load.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

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
using namespace std::chrono_literals;

constexpr int workers = 8, visitors = 12, visits = 16, callers = 3, calls_max = 10'000;
constexpr int lease_seconds = 2;
constexpr int sitters = 3, seats = 25, connections_max = 90;
constexpr auto sitting_time = 300ms;
constexpr int connect_tries_max = 10;
constexpr std::uint32_t slots = 8;
constexpr std::uint32_t contested_ranges = 6;
constexpr auto lock_pause = 20ms;
constexpr int lock_tries_max = 3000;  // a minute: leases of those who left with the lock are long over then

// What somebody who left without a word held comes free when its lease is over.
void lock_contested(const std::function<std::uint32_t()>& lock) {
    for (int i = 0; i < lock_tries_max; ++i) {
        if (lock() == ok) return;
        std::this_thread::sleep_for(lock_pause);
    }
    bench::fail("a lock whose owner is gone does not come free");
}

// Works until the server ends, which may be in the middle of anything.
void work(const ServedVolume& volume, View directory, int number, const std::atomic<bool>& stopping, std::atomic<std::uint64_t>& done) {
    const std::string name = "worker" + std::to_string(number);
    try {
        Client client(volume.target(), name);
        Choice choice(static_cast<std::uint64_t>(number) + 1);
        const auto file = client.open(directory, name);
        const Bytes data(5000, static_cast<std::byte>(number));
        Stateid lock;
        for (;; ++done) {
            const auto at = choice.below(50) * 5000ULL;
            client.write(file.handle, file.stateid, at, data, choice.below(8) == 0);
            if (client.read(file.handle, file.stateid, at, 5000) != data) bench::fail("READ: not what was written");
            if (client.lock(file, {at, 5000}, lock) != ok) bench::fail("LOCK: denied where nobody else locks");
            client.unlock(file, {at, 5000}, lock);
            if (choice.below(10) == 0) client.commit(file.handle);
            client.create_file(directory, name + "-second");
            if (client.remove(directory, name + "-second") != ok) bench::fail("REMOVE: a client's own file is not there");
        }
    } catch (const bench::Failure&) {
        if (!stopping) throw;
    }
}

// A connection that has not spoken yet may be closed in favour of another while the server has as many as it may have.
template <class Make>
auto persistently(Make make) {
    for (int i = 1; i < connect_tries_max; ++i) {
        try {
            return make();
        } catch (const bench::Failure&) {
        }
        std::this_thread::sleep_for(lock_pause);
    }
    return make();
}

// Holds connections that say nothing, so that the others come to the server's bound.
void sit(const bench::Target& target, int number, const std::atomic<bool>& leaving) {
    std::this_thread::sleep_for(number * sitting_time / sitters);
    while (!leaving) {
        std::vector<std::unique_ptr<bench::Socket>> sockets;
        for (int i = 0; i < seats; ++i) sockets.push_back(std::make_unique<bench::Socket>(target.address));
        std::this_thread::sleep_for(sitting_time);
    }
}

// Connects again and again, also in the moment in which the server stops to listen.
void call_until_nobody_listens(const bench::Target& target) {
    try {
        for (int i = 0; i < calls_max; ++i) const bench::Socket socket(target.address);
    } catch (const bench::Failure&) {
        return;
    }
}

class Visitor {
public:
    Visitor(const ServedVolume& volume, View directory, int number)
        : target_(volume.target()),
          directory_(directory.begin(), directory.end()),
          number_(number),
          choice_(static_cast<std::uint64_t>(number) + 100) {}

    void play() {
        for (visit_ = 0; visit_ < visits; ++visit_) {
            contested_ = {choice_.below(contested_ranges) * 8ULL, 8};
            switch (choice_.below(8)) {
                case 0: say_nothing(); break;
                case 1: say_half(); break;
                case 2: lock_and_leave(); break;
                case 3: lock_and_destroy(); break;
                case 4: destroy_from_elsewhere(); break;
                case 5: start_anew(); break;
                case 6: lose_connection(); break;
                default: lock_and_leave_v40(); break;
            }
        }
    }

private:
    std::string name() const { return "visitor" + std::to_string(number_) + "." + std::to_string(visit_); }

    void say_nothing() { const bench::Socket socket(target_.address); }

    // A record mark that promises more than comes.
    void say_half() {
        bench::Socket socket(target_.address);
        Bytes start(4 + choice_.below(200));
        bench::store_u32(start.data(), 0x80000000U | (500 + choice_.below(1 << 20)));
        socket.send(start);
    }

    void lock_and_leave() {
        const auto client = persistently([&] { return std::make_unique<Client>(target_, name()); });
        const auto file = client->open(directory_, "contested");
        Stateid lock;
        lock_contested([&] { return client->lock(file, contested_, lock); });
        client->write(file.handle, lock, contested_.offset, Bytes(8), false);
    }

    void lock_and_leave_v40() {
        const auto client = persistently([&] { return std::make_unique<ClientV40>(target_, name()); });
        client->open(directory_, "contested");
        lock_contested([&] { return client->lock(contested_); });
        client->write(contested_.offset, Bytes(8));
        if (choice_.below(2) == 0) client->close();
    }

    void lock_and_destroy() {
        const auto client = persistently([&] { return std::make_unique<Client>(target_, name()); });
        const auto file = client->open(directory_, "contested");
        Stateid lock;
        lock_contested([&] { return client->lock(file, contested_, lock); });
        client->unlock(file, contested_, lock);
        client->close(file);
        client->session().destroy();
    }

    // The session ends by one connection while another one has a request under way in it.
    void destroy_from_elsewhere() {
        const auto client = persistently([&] { return std::make_unique<Client>(target_, name()); });
        const auto second = persistently([&] { return std::make_unique<bench::Session>(target_, client->session(), 1, 2); });
        Crowd crowd;
        std::atomic<bool> destroying{false};
        crowd.start(1, "second connection of " + name(), [&](int) {
            try {
                for (int i = 0; i < 200; ++i) second->call(Ops().putfh(directory_).readdir(0, 0, 4096, {0x00100800, 0}));
            } catch (const bench::Failure&) {
                if (!destroying) throw;
            }
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(choice_.below(20)));
        destroying = true;
        client->session().destroy();
        crowd.join();
    }

    // The same client once more, as after its restart: the old instance's opens and locks end.
    void start_anew() {
        const auto client = persistently([&] { return std::make_unique<Client>(target_, name()); });
        const auto file = client->open(directory_, "contested");
        Stateid lock;
        lock_contested([&] { return client->lock(file, contested_, lock); });
        const auto again = persistently([&] { return std::make_unique<Client>(target_, name()); });
        const auto reopened = again->open(directory_, "contested");
        Stateid relocked;
        lock_contested([&] { return again->lock(reopened, contested_, relocked); });
        again->unlock(reopened, contested_, relocked);
        again->close(reopened);
        again->session().destroy();
    }

    // Many requests at once, and nobody to take the replies: the next connection asks for them again, with the same sequence numbers.
    void lose_connection() {
        const auto client = persistently([&] { return std::make_unique<Client>(target_, name()); });
        const auto file = client->open(directory_, "left" + std::to_string(number_));
        const auto requests = writes_on_all_slots(client->session(), file);
        send_all(client->session().fd(), requests);
        if (choice_.below(2) == 0) return;
        ::shutdown(client->session().fd(), SHUT_RDWR);
        const auto second = persistently([&] { return std::make_unique<bench::Session>(target_, client->session(), 0, 8); });
        send_all(second->fd(), requests);
        for (std::uint32_t i = 0; i < slots; ++i) {
            const auto reply = receive(second->fd());
            bench::XdrReader in(reply);
            in.u32();  // xid
            bench::read_rpc_reply(in);
            const auto status = bench::read_compound_head(in).status;
            if (status != ok && status != bench::nfs4err_delay) bench::fail("a request that is sent again: " + bench::status_text(status));
        }
    }

    static Bytes writes_on_all_slots(bench::Session& session, const bench::OpenFile& file) {
        const Bytes data(20'000);
        Bytes requests;
        for (std::uint32_t slot = 0; slot < slots; ++slot) {
            Ops ops;
            ops.putfh(file.handle).write_head(file.stateid, slot * data.size(), bench::unstable4, 20'000).append(data).commit();
            Bytes prefix(session.prefix().size());
            const auto sequence = slot == 0 ? session.sequence(0) : 1;
            session.prefix().emit(
                prefix.data(),
                {.xid = slot + 1, .ops = ops.count(), .sequence = sequence, .slot = slot, .cache_this = true, .body = ops.size()});
            requests.insert(requests.end(), prefix.begin(), prefix.end());
            requests.insert(requests.end(), ops.bytes().begin(), ops.bytes().end());
        }
        return requests;
    }

    static void send_all(int fd, View bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) bench::fail("send");
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
        }
    }

    static Bytes receive(int fd) {
        Bytes mark(4);
        if (::recv(fd, mark.data(), mark.size(), MSG_WAITALL) != 4) bench::fail("no reply to a request that was sent again");
        Bytes record(bench::load_u32(mark.data()) & 0x7fffffffU);
        const auto got = ::recv(fd, record.data(), record.size(), MSG_WAITALL);
        if (got != static_cast<ssize_t>(record.size())) bench::fail("half a reply");
        return record;
    }

    const bench::Target& target_;
    Bytes directory_;
    int number_;
    int visit_ = 0;
    Lock contested_;  // the range that this visit is about
    Choice choice_;
};

}  // namespace

TEST(StressConnections, clients_come_and_go_while_others_work_and_the_server_ends_in_time_under_load) {
    ServedVolume volume({.lease_seconds = lease_seconds, .grace_seconds = 1, .connections_max = connections_max});
    Bytes directory;
    {
        Client first(volume.target(), "the first client");
        ASSERT_EQ(first.make_directory(first.share(), "work"), ok);
        Facts facts;
        ASSERT_EQ(first.lookup(first.share(), "work", facts, &directory), ok);
        first.close(first.open(directory, "contested"));
        first.session().destroy();
    }
    std::atomic<bool> stopping{false};
    std::atomic<std::uint64_t> done{0};
    Crowd working;
    working.start(workers, "worker", [&](int i) { work(volume, directory, i, stopping, done); });
    {
        Administrator administrator(volume);
        Crowd crowd;
        std::atomic<bool> leaving{false};
        Crowd sitting;
        sitting.start(sitters, "sitter", [&](int i) { sit(volume.target(), i, leaving); });
        crowd.start(visitors, "visitor", [&](int i) { Visitor(volume, directory, i).play(); });
        crowd.join();
        leaving = true;
        sitting.join();
    }
    EXPECT_GT(done, 0u);
    stopping = true;
    working.start(callers, "caller", [&](int) { call_until_nobody_listens(volume.target()); });
    EXPECT_TRUE(volume.stop());
    working.join();
}

}  // namespace strata::stress

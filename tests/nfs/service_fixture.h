// SPDX-License-Identifier: Apache-2.0
// ServiceTest: the whole NFS service over a file system in memory, on virtual time, spoken to over simulated connections.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "nfs/server.h"
#include "nfs/wire/attributes.h"
#include "server/vfs/file_state.h"
#include "tests/sim/memory_file_system.h"
#include "tests/sim/world.h"

namespace strata::nfs {

using ByteVector = std::vector<std::byte>;

// Operation codes that tests name.
namespace op {
constexpr std::uint32_t access = 3, close = 4, commit = 5, create = 6, getattr = 9, getfh = 10, lock = 12, lockt = 13, locku = 14,
                        lookup = 15, open = 18, open_confirm = 20, open_downgrade = 21, putfh = 22, putrootfh = 24, read = 25, remove = 28,
                        renew = 30, restorefh = 31, savefh = 32, setclientid = 35, setclientid_confirm = 36, write = 38,
                        release_lockowner = 39, bind_conn = 41, exchange_id = 42, create_session = 43, destroy_session = 44,
                        free_stateid = 45, sequence = 53, test_stateid = 55, destroy_clientid = 57, reclaim_complete = 58;
}

// Builds the operations of a COMPOUND.
class Ops {
public:
    explicit Ops(std::uint32_t minor_version = 1);

    Ops& add(std::uint32_t code, const std::function<void(XdrWriter&)>& arguments = nullptr);
    Ops& sequence(const SessionId& session, std::uint32_t sequence, std::uint32_t slot = 0, bool cache_this = false,
                  std::uint32_t highest = 0);
    Ops& putrootfh() { return add(op::putrootfh); }
    Ops& lookup(std::string_view name);
    Ops& putfh(const ByteVector& handle);
    Ops& getfh() { return add(op::getfh); }
    Ops& write(const Stateid& stateid, std::uint64_t offset, std::string_view data);
    Ops& read(const Stateid& stateid, std::uint64_t offset, std::uint32_t count);
    Ops& remove(std::string_view name);

    // COMPOUND4args.
    ByteVector arguments(std::string_view tag = "") const;
    std::uint32_t minor_version() const { return minor_; }

private:
    BufferPool pool_{8 << 20};
    std::uint32_t minor_;
    std::uint32_t count_ = 0;
    XdrWriter out_{pool_};
};

// A reply as a client sees it: read result by result.
class Answers {
public:
    Answers() = default;
    explicit Answers(ByteVector record);

    bool arrived() const { return arrived_; }
    std::uint32_t xid = 0;
    std::uint32_t accept_stat = 0xffffffff;  // 0: success
    std::uint32_t auth_stat = 0;             // of a rejected call
    NfsStatus status = NfsStatus::serverfault;
    std::uint32_t count = 0;  // results

    // The next result has this code: its status. Its body is next in `in()` if it is ok.
    NfsStatus next(std::uint32_t code);
    XdrReader& in() { return *in_; }
    const ByteVector& bytes() const { return bytes_; }

private:
    ByteVector bytes_;
    Slice record_;
    std::optional<XdrReader> in_;
    bool arrived_ = false;
};

struct User {
    std::uint32_t uid = 0, gid = 0;
};

// One simulated connection's client end.
class Wire {
public:
    Wire(sim::World& world, std::unique_ptr<ByteStream> stream) : world_(world), stream_(std::move(stream)) {}

    void send(const ByteVector& bytes);
    void send_call(std::uint32_t xid, const ByteVector& arguments, User user = {});
    // The next record. Empty: the server closed, or nothing came within `limit` of virtual time.
    std::optional<ByteVector> receive(Duration limit = 10s);
    Answers call(const Ops& ops, User user = {});
    Answers answer(Duration limit = 10s);
    // The server has closed, or does within `limit`.
    bool closed(Duration limit = 1s);
    void close() { stream_->close(); }
    std::uint32_t last_xid() const { return xid_; }

    static ByteVector call_record(std::uint32_t xid, const ByteVector& arguments, User user, std::uint32_t procedure = 1,
                                  std::uint32_t program = 100003, std::uint32_t version = 4);

private:
    Task<std::optional<ByteVector>> receive_record(Instant deadline);

    sim::World& world_;
    std::unique_ptr<ByteStream> stream_;
    ByteVector received_;
    std::uint32_t xid_ = 100;
};

// A 4.1 client with a session: sequences are its own.
struct TestClient {
    TestClient(Wire& w, std::string n, User u = {}) : wire(&w), name(std::move(n)), user(u) {}
    Wire* wire;
    std::string name;
    User user;
    std::uint64_t verifier = 7;
    ClientId id = 0;
    std::uint32_t create_sequence = 1;
    std::uint32_t exchange_flags = 0;
    std::uint32_t max_response = 2u << 20;
    SessionId session{};
    std::vector<std::uint32_t> slots = std::vector<std::uint32_t>(64, 0);

    NfsStatus exchange_id(std::uint32_t flags = 0);
    NfsStatus create_session();
    // EXCHANGE_ID, CREATE_SESSION and, unless reclaims are to follow, RECLAIM_COMPLETE. Fails the test if one fails.
    void establish(bool reclaim_complete = true);
    // SEQUENCE with the slot's next sequence, then what `more` adds. The answers stand behind SEQUENCE's.
    Answers call(const std::function<void(Ops&)>& more, bool cache_this = false, std::uint32_t slot = 0);
    NfsStatus reclaim_complete();
};

constexpr std::uint32_t no_create = 0, unchecked = 0, guarded = 1;

// OPEN's arguments behind the code.
struct OpenRequest {
    std::uint32_t seqid = 0;
    std::uint32_t access = 3, deny = 0;
    ClientId client = 0;
    std::string owner = "owner";
    bool create = false;
    std::uint32_t how = unchecked;
    std::uint32_t mode = 0644;
    std::optional<std::uint64_t> size;
    std::uint64_t verifier = 0;
    std::uint32_t claim = 0;
    std::string name;
    void write(XdrWriter& out) const;
};
struct OpenResult {
    NfsStatus status = NfsStatus::serverfault;
    Stateid stateid;
    std::uint32_t flags = 0;
    ByteVector handle;
};

struct LockRequest {
    std::uint32_t type = 2;  // write
    bool reclaim = false;
    std::uint64_t offset = 0, length = UINT64_MAX;
    bool new_owner = true;
    Stateid stateid;
    std::string owner = "locker";
    ClientId client = 0;
    std::uint32_t open_seqid = 0, lock_seqid = 0;
    void write(XdrWriter& out) const;
};

class ServiceTest : public testing::Test {
protected:
    ServiceTest();
    ~ServiceTest() override;

    void start();
    // As kill -9: what was in memory is gone, the files and the records stay.
    void restart();
    Wire& connect();

    OpenResult open(TestClient& client, const OpenRequest& request);
    NfsStatus close(TestClient& client, const OpenResult& open);
    // The status, and the stateid if it is ok.
    NfsStatus lock(TestClient& client, const ByteVector& handle, const LockRequest& request, Stateid* stateid = nullptr);
    NfsStatus write(TestClient& client, const ByteVector& handle, const Stateid& stateid, std::string_view data);
    NfsStatus read(TestClient& client, const ByteVector& handle, const Stateid& stateid);
    void pass(Duration time) { world.run_for(time); }

    sim::World world{1};
    sim::MemoryFileSystem fs{world.clock()};
    sim::MemoryRecordStore records;
    vfs::ShareTable shares;
    vfs::LockLimits lock_limits;
    std::unique_ptr<vfs::FileStateTable> files;
    BufferPool pool{64 << 20};
    Config config;
    std::unique_ptr<Server> server;
    std::vector<std::unique_ptr<Wire>> wires;
};

}  // namespace strata::nfs

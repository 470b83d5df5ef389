// SPDX-License-Identifier: Apache-2.0
// ServiceTest: the client's side of the protocol, as little of it as tests need.
#include "tests/nfs/service_fixture.h"

#include <stdexcept>
#include <utility>

namespace strata::nfs {

namespace {

ByteVector bytes_of(XdrWriter& out) {
    ByteVector bytes;
    const auto reply = out.take();
    reply.for_each_piece([&bytes](Bytes piece) { bytes.insert(bytes.end(), piece.begin(), piece.end()); });
    return bytes;
}

void append(ByteVector& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

}  // namespace

Ops::Ops(std::uint32_t minor_version) : minor_(minor_version) {}

Ops& Ops::add(std::uint32_t code, const std::function<void(XdrWriter&)>& arguments) {
    out_.u32(code);
    if (arguments) arguments(out_);
    ++count_;
    return *this;
}

Ops& Ops::sequence(const SessionId& session, std::uint32_t sequence, std::uint32_t slot, bool cache_this, std::uint32_t highest) {
    return add(op::sequence, [&](XdrWriter& w) {
        w.write(session);
        w.u32(sequence);
        w.u32(slot);
        w.u32(std::max(highest, slot));
        w.boolean(cache_this);
    });
}

Ops& Ops::lookup(std::string_view name) {
    return add(op::lookup, [&](XdrWriter& w) { w.text(name); });
}

Ops& Ops::putfh(const ByteVector& handle) {
    return add(op::putfh, [&](XdrWriter& w) { w.opaque(Bytes(handle)); });
}

Ops& Ops::write(const Stateid& stateid, std::uint64_t offset, std::string_view data) {
    return add(op::write, [&](XdrWriter& w) {
        w.write(stateid);
        w.u64(offset);
        w.u32(2);
        w.text(data);
    });
}

Ops& Ops::read(const Stateid& stateid, std::uint64_t offset, std::uint32_t count) {
    return add(op::read, [&](XdrWriter& w) {
        w.write(stateid);
        w.u64(offset);
        w.u32(count);
    });
}

Ops& Ops::remove(std::string_view name) {
    return add(op::remove, [&](XdrWriter& w) { w.text(name); });
}

ByteVector Ops::arguments(std::string_view tag) const {
    BufferPool pool(1 << 20);
    XdrWriter head(pool);
    head.text(tag);
    head.u32(minor_);
    head.u32(count_);
    auto bytes = bytes_of(head);
    append(bytes, out_.head_since({}));
    return bytes;
}

Answers::Answers(ByteVector record) : bytes_(std::move(record)), arrived_(true) {
    record_ = allocate_heap(std::max<std::size_t>(bytes_.size(), 1));
    std::memcpy(record_.writable().data(), bytes_.data(), bytes_.size());
    record_ = record_.sub(0, bytes_.size());
    in_.emplace(record_);
    auto& r = *in_;
    xid = r.u32();
    r.u32();  // a reply
    const auto denied = r.u32();
    if (denied != 0) {
        auth_stat = r.u32() == 1 ? r.u32() : 0;
        return;
    }
    r.u32();
    r.opaque(400);
    accept_stat = r.u32();
    if (accept_stat != 0 || r.remaining() == 0) return;
    r.read(status);
    r.text(tag_size_max);
    count = r.u32();
}

NfsStatus Answers::next(std::uint32_t code) {
    if (!in_) return NfsStatus::serverfault;
    const auto found = in_->u32();
    if (found != code)
        throw std::runtime_error("result of operation " + std::to_string(found) + " where " + std::to_string(code) + " was expected");
    NfsStatus result{};
    in_->read(result);
    return result;
}

ByteVector Wire::call_record(std::uint32_t xid, const ByteVector& arguments, User user, std::uint32_t procedure, std::uint32_t program,
                             std::uint32_t version) {
    BufferPool pool(4 << 20);
    XdrWriter credential(pool);
    credential.u32(0);
    credential.text("test");
    credential.u32(user.uid);
    credential.u32(user.gid);
    credential.u32(0);
    const auto body = bytes_of(credential);
    XdrWriter out(pool);
    const auto mark = out.hole();
    for (const auto v : {xid, 0u, 2u, program, version, procedure, 1u}) out.u32(v);
    out.opaque(Bytes(body));
    out.u32(0);
    out.u32(0);
    out.raw(arguments);
    out.patch(mark, static_cast<std::uint32_t>(out.size() - 4) | 0x80000000u);
    return bytes_of(out);
}

void Wire::send(const ByteVector& bytes) {
    const std::span<const std::byte> piece(bytes);
    (void)world_.run(stream_->write_all(std::span(&piece, 1), Instant::max()));
}

void Wire::send_call(std::uint32_t xid, const ByteVector& arguments, User user) { send(call_record(xid, arguments, user)); }

Task<std::optional<ByteVector>> Wire::receive_record(Instant deadline) {
    for (;;) {
        if (received_.size() >= 4) {
            const auto size = load_be32(received_.data()) & 0x7fffffffu;
            if (received_.size() >= 4 + size) {
                ByteVector record(received_.begin() + 4, received_.begin() + 4 + size);
                received_.erase(received_.begin(), received_.begin() + 4 + size);
                co_return record;
            }
        }
        std::byte chunk[4096];
        const auto count = co_await stream_->read_some(chunk, deadline);
        if (!count || *count == 0) co_return std::nullopt;
        received_.insert(received_.end(), chunk, chunk + *count);
    }
}

std::optional<ByteVector> Wire::receive(Duration limit) { return world_.run(receive_record(world_.clock().now() + limit)); }

Answers Wire::answer(Duration limit) {
    auto record = receive(limit);
    return record ? Answers(std::move(*record)) : Answers();
}

Answers Wire::call(const Ops& ops, User user) {
    send_call(++xid_, ops.arguments(), user);
    return answer();
}

bool Wire::closed(Duration limit) {
    std::byte one[1];
    const auto count = world_.run(stream_->read_some(one, world_.clock().now() + limit));
    return count ? *count == 0 : !(count.error() == Errc::timed_out);
}

NfsStatus TestClient::exchange_id(std::uint32_t flags) {
    Ops ops;
    ops.add(op::exchange_id, [&](XdrWriter& w) {
        w.write(to_verifier(verifier));
        w.text(name);
        w.u32(flags);
        w.u32(0);
        w.u32(0);
    });
    auto answers = wire->call(ops, user);
    const auto status = answers.next(op::exchange_id);
    if (status == NfsStatus::ok) {
        id = answers.in().u64();
        create_sequence = answers.in().u32();
        exchange_flags = answers.in().u32();
    }
    return status;
}

NfsStatus TestClient::create_session() {
    Ops ops;
    ops.add(op::create_session, [&](XdrWriter& w) {
        w.u64(id);
        w.u32(create_sequence);
        w.u32(0);
        for (int channel = 0; channel < 2; ++channel) {
            for (const auto v : {0u, 2u << 20, max_response, 4096u, 32u, 16u, 0u}) w.u32(v);
        }
        w.u32(0x40000000);
        w.u32(0);
    });
    auto answers = wire->call(ops, user);
    const auto status = answers.next(op::create_session);
    if (status == NfsStatus::ok) {
        answers.in().read(session);
        ++create_sequence;
        slots.assign(slots.size(), 0);
    }
    return status;
}

NfsStatus TestClient::reclaim_complete() {
    return call([](Ops& ops) { ops.add(op::reclaim_complete, [](XdrWriter& w) { w.boolean(false); }); }).next(op::reclaim_complete);
}

void TestClient::establish(bool complete) {
    EXPECT_EQ(exchange_id(), NfsStatus::ok);
    EXPECT_EQ(create_session(), NfsStatus::ok);
    if (complete) EXPECT_EQ(reclaim_complete(), NfsStatus::ok);
}

Answers TestClient::call(const std::function<void(Ops&)>& more, bool cache_this, std::uint32_t slot) {
    Ops ops;
    ops.sequence(session, ++slots[slot], slot, cache_this);
    more(ops);
    auto answers = wire->call(ops, user);
    if (answers.arrived() && answers.next(op::sequence) == NfsStatus::ok) {
        answers.in().fixed(16);
        for (int i = 0; i < 5; ++i) answers.in().u32();
    }
    return answers;
}

void OpenRequest::write(XdrWriter& out) const {
    out.u32(seqid);
    out.u32(access);
    out.u32(deny);
    out.u64(client);
    out.text(owner);
    out.u32(create ? 1 : 0);
    if (create) {
        out.u32(how);
        if (how >= 2) out.write(to_verifier(verifier));
        if (how != 2) {
            BufferPool pool(1 << 20);
            XdrWriter values(pool);
            AttributeMask mask{Attribute::mode};
            if (size) {
                mask.set(Attribute::size);
                values.u64(*size);
            }
            values.u32(mode);
            write_mask(out, mask);
            out.opaque(Bytes(bytes_of(values)));
        }
    }
    out.u32(claim);
    if (claim == 0) out.text(name);
    if (claim == 1) out.u32(0);
}

void LockRequest::write(XdrWriter& out) const {
    out.u32(type);
    out.boolean(reclaim);
    out.u64(offset);
    out.u64(length);
    out.boolean(new_owner);
    if (new_owner) {
        out.u32(open_seqid);
        out.write(stateid);
        out.u32(lock_seqid);
        out.u64(client);
        out.text(owner);
    } else {
        out.write(stateid);
        out.u32(lock_seqid);
    }
}

ServiceTest::ServiceTest() {
    const auto root = Credentials::superuser();
    Context ctx{.clock = &world.clock(), .caller = &root};
    vfs::ShareList list;
    for (const auto* name : {"data", "docs"}) {
        vfs::CreateRequest request;
        request.type = vfs::FileType::directory;
        request.attributes.mode = 0777;
        request.new_domain = static_cast<vfs::DomainId>(list.size() + 1);
        vfs::Share share;
        share.name = name;
        share.root = world.run(fs.create(ctx, fs.root(), name, request))->entry.id;
        share.domain = request.new_domain;
        share.squash = vfs::Squash::none;
        share.read_only = share.name == "docs";
        list.push_back(std::move(share));
    }
    shares.replace(std::move(list));
    config.lease = 10s;
    config.grace = 20s;
}

ServiceTest::~ServiceTest() {
    for (auto& wire : wires) wire->close();
    if (server != nullptr) EXPECT_TRUE(world.run(server->stop(world.clock().now() + 5s)));
    server.reset();
}

void ServiceTest::start() {
    files = std::make_unique<vfs::FileStateTable>(lock_limits);
    server = std::make_unique<Server>(config, world.runtime(), Parts{&fs, &shares, files.get(), &records, &pool});
    ASSERT_TRUE(world.run(server->start()));
}

void ServiceTest::restart() {
    for (auto& wire : wires) wire->close();
    EXPECT_TRUE(world.run(server->stop(world.clock().now() + 1s)));
    server.reset();
    start();
}

Wire& ServiceTest::connect() {
    auto [ours, theirs] = world.network().pair();
    server->serve(std::move(theirs));
    wires.push_back(std::make_unique<Wire>(world, std::move(ours)));
    return *wires.back();
}

OpenResult ServiceTest::open(TestClient& client, const OpenRequest& request) {
    auto answers = client.call([&](Ops& ops) {
        ops.putrootfh().lookup("data");
        ops.add(op::open, [&](XdrWriter& w) { request.write(w); });
        ops.getfh();
    });
    OpenResult result;
    if (answers.next(op::putrootfh) != NfsStatus::ok || answers.next(op::lookup) != NfsStatus::ok) return result;
    result.status = answers.next(op::open);
    if (result.status != NfsStatus::ok) return result;
    auto& in = answers.in();
    in.read(result.stateid);
    in.boolean();
    in.u64();
    in.u64();
    result.flags = in.u32();
    read_mask(in);
    if (in.u32() == 3 && in.u32() == 2) in.boolean();
    EXPECT_EQ(answers.next(op::getfh), NfsStatus::ok);
    const auto handle = in.opaque(fh_size_max);
    result.handle.assign(handle.begin(), handle.end());
    return result;
}

NfsStatus ServiceTest::close(TestClient& client, const OpenResult& opened) {
    auto answers = client.call([&](Ops& ops) {
        ops.putfh(opened.handle).add(op::close, [&](XdrWriter& w) {
            w.u32(0);
            w.write(opened.stateid);
        });
    });
    const auto put = answers.next(op::putfh);
    return put == NfsStatus::ok ? answers.next(op::close) : put;
}

NfsStatus ServiceTest::lock(TestClient& client, const ByteVector& handle, const LockRequest& request, Stateid* stateid) {
    auto answers = client.call([&](Ops& ops) { ops.putfh(handle).add(op::lock, [&](XdrWriter& w) { request.write(w); }); });
    const auto put = answers.next(op::putfh);
    if (put != NfsStatus::ok) return put;
    const auto status = answers.next(op::lock);
    if (status == NfsStatus::ok && stateid != nullptr) answers.in().read(*stateid);
    return status;
}

NfsStatus ServiceTest::write(TestClient& client, const ByteVector& handle, const Stateid& stateid, std::string_view data) {
    auto answers = client.call([&](Ops& ops) { ops.putfh(handle).write(stateid, 0, data); });
    const auto put = answers.next(op::putfh);
    return put == NfsStatus::ok ? answers.next(op::write) : put;
}

NfsStatus ServiceTest::read(TestClient& client, const ByteVector& handle, const Stateid& stateid) {
    auto answers = client.call([&](Ops& ops) { ops.putfh(handle).read(stateid, 0, 100); });
    const auto put = answers.next(op::putfh);
    return put == NfsStatus::ok ? answers.next(op::read) : put;
}

}  // namespace strata::nfs

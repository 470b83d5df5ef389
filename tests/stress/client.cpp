// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs behind the calls (RFC 8881, section 18).
#include "tests/stress/client.h"

#include <algorithm>
#include <utility>

#include "tests/bench/failure.h"

namespace strata::stress {

namespace {

using bench::Op;
using bench::XdrReader;
using bench::XdrWriter;

constexpr bench::Bitmap facts_attributes{0x0010001a, 0x00000008};  // type, change, size, fileid | numlinks
constexpr bench::Bitmap entry_attributes{0x00100802, 0};           // type, rdattr_error, fileid
constexpr bench::Bitmap size_attribute{0x00000010, 0};
constexpr bench::Bitmap mode_attribute{0, 0x00000002};
constexpr std::uint32_t write_lock = 2, access_both_no_delegation = 3 | 0x0400;
constexpr std::uint32_t entries_max = 100'000;  // of one listing: more is one that never ends

void put_bitmap(XdrWriter& out, const bench::Bitmap& bitmap) {
    out.u32(static_cast<std::uint32_t>(bitmap.size()));
    for (const auto word : bitmap) out.u32(word);
}

// OPEN of a name, UNCHECKED4 with mode 0644 or of an existing file alone.
void put_open(Ops& ops, std::uint64_t clientid, std::string_view owner, std::string_view name, bool create) {
    XdrWriter out = ops.op(Op::open);
    out.u32(0);
    out.u32(access_both_no_delegation);
    out.u32(0);  // deny nothing
    out.u64(clientid);
    out.text(owner);
    out.u32(create ? 1 : 0);
    if (create) {
        out.u32(0);  // UNCHECKED4
        put_bitmap(out, mode_attribute);
        out.u32(4);
        out.u32(0644);
    }
    out.u32(0);  // CLAIM_NULL
    out.text(name);
}

void put_write(Ops& ops, const Stateid& stateid, std::uint64_t offset, View data, bool stable) {
    ops.write_head(stateid, offset, stable ? bench::file_sync4 : bench::unstable4, static_cast<std::uint32_t>(data.size())).append(data);
}

// change_info4. Where it is said to be atomic, nothing else can be between: a change that did happen shows.
void read_change(XdrReader& in) {
    const bool atomic = in.u32() != 0;
    const std::uint64_t before = in.u64();
    const std::uint64_t after = in.u64();
    bench::require(in.ok() && (!atomic || after >= before), "change_info4 goes backwards");
}

Facts read_facts(XdrReader& in) {
    bench::require(in.u32() == 2 && in.u32() == facts_attributes[0] && in.u32() == facts_attributes[1], "GETATTR: not what was asked for");
    XdrReader values(in.opaque());
    Facts facts;
    facts.type = values.u32();
    facts.change = values.u64();
    facts.size = values.u64();
    facts.fileid = values.u64();
    facts.links = values.u32();
    bench::require(values.ok(), "GETATTR: cut short");
    return facts;
}

}  // namespace

std::uint32_t status_of(XdrReader& in, Op op, std::initializer_list<std::uint32_t> allowed) {
    const std::uint32_t got = in.u32();
    const std::uint32_t status = in.u32();
    bench::require(in.ok() && got == static_cast<std::uint32_t>(op), "another operation's result, or none");
    if (status != ok && std::ranges::find(allowed, status) == allowed.end())
        bench::fail(bench::op_text(got) + ": " + bench::status_text(status));
    return status;
}

Client::Client(const bench::Target& target, std::string owner)
    : owner_(std::move(owner)), session_(target, owner_, 1, 8), share_(look_up_path(session_, target.path)) {}

std::uint32_t Client::create_file(View directory, std::string_view name) {
    Ops ops;
    ops.putfh(directory);
    put_open(ops, session_.clientid(), owner_, name, true);
    put_write(ops, bench::current_stateid, 0, bench::view_of("contents"), false);
    ops.close(bench::current_stateid);
    auto reply = session_.call(ops);
    if (const auto status = status_of(reply.results, Op::putfh, {err_stale})) return status;
    XdrReader ahead = reply.results;
    if (const auto status = status_of(ahead, Op::open, {err_noent, err_stale})) return status;
    bench::read_open(reply.results);
    bench::read_write(reply.results, 8);
    expect_op(reply.results, Op::close);
    return ok;
}

std::uint32_t Client::read_file(View directory, std::string_view name) {
    Ops ops;
    ops.putfh(directory);
    put_open(ops, session_.clientid(), owner_, name, false);
    ops.read(bench::current_stateid, 0, 100).close(bench::current_stateid);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    XdrReader ahead = reply.results;
    if (status_of(ahead, Op::open, {err_noent}) != ok) return err_noent;
    bench::read_open(reply.results);
    expect_op(reply.results, Op::read);
    reply.results.u32();  // eof
    const auto data = bench::text_of(reply.results.opaque());
    bench::require(data.empty() || data == "contents", "READ: a file holds what nobody wrote");
    expect_op(reply.results, Op::close);
    return ok;
}

std::uint32_t Client::make_directory(View directory, std::string_view name) {
    auto reply = session_.call(Ops().putfh(directory).create_directory(name));
    expect_op(reply.results, Op::putfh);
    return status_of(reply.results, Op::create, {err_exist});
}

std::uint32_t Client::remove(View directory, std::string_view name) {
    Ops ops;
    ops.putfh(directory).op(Op::remove).text(name);
    auto reply = session_.call(ops);
    if (const auto status = status_of(reply.results, Op::putfh, {err_stale})) return status;
    const auto status = status_of(reply.results, Op::remove, {err_noent, err_notempty, err_stale});
    if (status == ok) read_change(reply.results);
    return status;
}

std::uint32_t Client::rename(View from, std::string_view old_name, View to, std::string_view new_name) {
    Ops ops;
    ops.putfh(from).op(Op::savefh);
    XdrWriter out = ops.putfh(to).op(Op::rename);
    out.text(old_name);
    out.text(new_name);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::savefh);
    expect_op(reply.results, Op::putfh);
    const auto status = status_of(reply.results, Op::rename, {err_noent, err_exist, err_notempty});
    if (status == ok) {
        read_change(reply.results);
        read_change(reply.results);
    }
    return status;
}

std::uint32_t Client::link(View from, std::string_view old_name, View to, std::string_view new_name) {
    Ops ops;
    ops.putfh(from).lookup(old_name).op(Op::savefh);
    ops.putfh(to).op(Op::link).text(new_name);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    if (const auto status = status_of(reply.results, Op::lookup, {err_noent})) return status;
    expect_op(reply.results, Op::savefh);
    expect_op(reply.results, Op::putfh);
    const auto status = status_of(reply.results, Op::link, {err_noent, err_exist, err_stale});
    if (status == ok) read_change(reply.results);
    return status;
}

std::uint32_t Client::lookup(View directory, std::string_view name, Facts& facts, Bytes* handle) {
    auto reply = session_.call(Ops().putfh(directory).lookup(name).getfh().getattr(facts_attributes));
    expect_op(reply.results, Op::putfh);
    if (const auto status = status_of(reply.results, Op::lookup, {err_noent})) return status;
    const Bytes found = bench::read_getfh(reply.results);
    const auto status = status_of(reply.results, Op::getattr, {err_stale});
    if (status == ok) facts = read_facts(reply.results);
    if (handle != nullptr) *handle = found;
    return status;
}

Bytes Client::parent(View directory) {
    Ops ops;
    ops.putfh(directory).op(Op::lookupp);
    auto reply = session_.call(ops.getfh());
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::lookupp);
    return bench::read_getfh(reply.results);
}

std::map<std::string, Entry> Client::list(View directory, std::uint32_t page_bytes) {
    std::map<std::string, Entry> entries;
    std::uint64_t cookie = 0;
    bench::Verifier verifier = 0;
    for (bool end = false; !end;) {
        auto reply = session_.call(Ops().putfh(directory).readdir(cookie, verifier, page_bytes, entry_attributes));
        XdrReader& in = reply.results;
        expect_op(in, Op::putfh);
        expect_op(in, Op::readdir);
        verifier = in.u64();
        while (in.u32() != 0) {
            cookie = in.u64();
            const std::string name(bench::text_of(in.opaque()));
            const std::uint32_t words = in.u32();
            for (std::uint32_t i = 0; i < words && in.ok(); ++i) in.u32();
            XdrReader values(in.opaque());
            Entry& entry = entries[name];
            ++entry.times;
            entry.type = values.u32();
            values.u32();  // rdattr_error
            entry.fileid = values.u64();
            bench::require(in.ok() && values.ok(), "READDIR: cut short");
            bench::require(entries.size() < entries_max, "READDIR: without an end");
        }
        end = in.u32() != 0;
        bench::require(in.ok(), "READDIR: cut short");
    }
    return entries;
}

Facts Client::facts(View handle) {
    auto reply = session_.call(Ops().putfh(handle).getattr(facts_attributes));
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::getattr);
    return read_facts(reply.results);
}

bench::OpenFile Client::open(View directory, std::string_view name) {
    Ops ops;
    ops.putfh(directory);
    put_open(ops, session_.clientid(), owner_, name, true);
    auto reply = session_.call(ops.getfh());
    expect_op(reply.results, Op::putfh);
    bench::OpenFile file;
    file.stateid = bench::read_open(reply.results);
    file.handle = bench::read_getfh(reply.results);
    return file;
}

void Client::close(const bench::OpenFile& file) {
    auto reply = session_.call(Ops().putfh(file.handle).close(file.stateid));
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::close);
}

Bytes Client::read(View handle, const Stateid& stateid, std::uint64_t offset, std::uint32_t count) {
    auto reply = session_.call(Ops().putfh(handle).read(stateid, offset, count));
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::read);
    const bool end = reply.results.u32() != 0;
    const View data = reply.results.opaque();
    bench::require(reply.results.ok() && data.size() <= count, "READ: more than was asked for");
    bench::require(end || data.size() == count, "READ: fewer bytes, and not at the end");
    return {data.begin(), data.end()};
}

bench::Verifier Client::write(View handle, const Stateid& stateid, std::uint64_t offset, View data, bool stable) {
    Ops ops;
    ops.putfh(handle);
    put_write(ops, stateid, offset, data, stable);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    return bench::read_write(reply.results, static_cast<std::uint32_t>(data.size()));
}

bench::Verifier Client::commit(View handle) {
    auto reply = session_.call(Ops().putfh(handle).commit());
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::commit);
    return reply.results.u64();
}

void Client::set_size(View handle, const Stateid& stateid, std::uint64_t size) {
    Ops ops;
    XdrWriter out = ops.putfh(handle).op(Op::setattr);
    put_stateid(out, stateid);
    put_bitmap(out, size_attribute);
    out.u32(8);
    out.u64(size);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::setattr);
}

void Client::deallocate(View handle, const Stateid& stateid, std::uint64_t offset, std::uint64_t length) {
    Ops ops;
    XdrWriter out = ops.putfh(handle).op(Op::deallocate);
    put_stateid(out, stateid);
    out.u64(offset);
    out.u64(length);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::deallocate);
}

void Client::clone(const bench::OpenFile& from, const bench::OpenFile& to, std::uint64_t offset, std::uint64_t length) {
    Ops ops;
    ops.putfh(from.handle).op(Op::savefh);
    XdrWriter out = ops.putfh(to.handle).op(Op::clone);
    put_stateid(out, from.stateid);
    put_stateid(out, to.stateid);
    out.u64(offset);
    out.u64(offset);
    out.u64(length);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::savefh);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::clone);
}

std::uint32_t Client::lock(const bench::OpenFile& file, Lock range, Stateid& held) {
    const bool new_owner = held.other == Stateid{}.other;
    Ops ops;
    XdrWriter out = ops.putfh(file.handle).op(Op::lock);
    out.u32(write_lock);
    out.u32(0);  // no reclaim
    out.u64(range.offset);
    out.u64(range.length);
    out.u32(new_owner ? 1 : 0);
    if (new_owner) {
        out.u32(0);
        put_stateid(out, file.stateid);
        out.u32(0);
        out.u64(session_.clientid());
        out.text(owner_);
    } else {
        put_stateid(out, held);
        out.u32(0);
    }
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    const auto status = status_of(reply.results, Op::lock, {err_denied});
    if (status == ok) held = bench::read_stateid(reply.results);
    return status;
}

void Client::unlock(const bench::OpenFile& file, Lock range, Stateid& held) {
    Ops ops;
    XdrWriter out = ops.putfh(file.handle).op(Op::locku);
    out.u32(write_lock);
    out.u32(0);
    put_stateid(out, held);
    out.u64(range.offset);
    out.u64(range.length);
    auto reply = session_.call(ops);
    expect_op(reply.results, Op::putfh);
    expect_op(reply.results, Op::locku);
    held = bench::read_stateid(reply.results);
}

}  // namespace strata::stress

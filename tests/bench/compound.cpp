// SPDX-License-Identifier: Apache-2.0
// Encoding of requests and decoding of replies (RFC 8881, section 18; RFC 5531).
#include "tests/bench/compound.h"

#include <string>

#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::uint32_t nfs_program = 100003;
constexpr std::uint32_t share_access_write = 2;
constexpr std::uint32_t share_access_both = 3;
constexpr std::uint32_t share_access_want_no_delegation = 0x0400;
constexpr std::uint32_t guarded4 = 1;

void put_bitmap(XdrWriter& out, const Bitmap& bitmap) {
    out.u32(static_cast<std::uint32_t>(bitmap.size()));
    for (const std::uint32_t word : bitmap) out.u32(word);
}

// fattr4 with nothing but a mode (attribute 33).
void put_mode(XdrWriter& out, std::uint32_t mode) {
    put_bitmap(out, {0, 1U << (33 - 32)});
    out.u32(4);
    out.u32(mode);
}

void put_open_head(XdrWriter& out, std::uint32_t access, std::uint64_t clientid, std::string_view owner) {
    out.u32(0);  // seqid: unused since 4.1
    out.u32(access | share_access_want_no_delegation);
    out.u32(0);  // deny nothing
    out.u64(clientid);
    out.text(owner);
}

}  // namespace

void put_stateid(XdrWriter& out, const Stateid& stateid) {
    out.u32(stateid.seqid);
    out.fixed(stateid.other);
}

XdrWriter Ops::op(Op code) {
    XdrWriter out(bytes_);
    out.u32(static_cast<std::uint32_t>(code));
    ++count_;
    return out;
}

Ops& Ops::putrootfh() {
    op(Op::putrootfh);
    return *this;
}

Ops& Ops::putfh(View handle) {
    op(Op::putfh).opaque(handle);
    return *this;
}

Ops& Ops::getfh() {
    op(Op::getfh);
    return *this;
}

Ops& Ops::getattr(const Bitmap& attributes) {
    XdrWriter out = op(Op::getattr);
    put_bitmap(out, attributes);
    return *this;
}

Ops& Ops::lookup(std::string_view name) {
    op(Op::lookup).text(name);
    return *this;
}

Ops& Ops::open_new(std::uint64_t clientid, std::string_view owner, std::string_view name) {
    XdrWriter out = op(Op::open);
    put_open_head(out, share_access_write, clientid, owner);
    out.u32(1);  // OPEN4_CREATE
    out.u32(guarded4);
    put_mode(out, 0644);
    out.u32(0);  // CLAIM_NULL
    out.text(name);
    return *this;
}

Ops& Ops::open_existing(std::uint64_t clientid, std::string_view owner, std::string_view name) {
    XdrWriter out = op(Op::open);
    put_open_head(out, share_access_both, clientid, owner);
    out.u32(0);  // OPEN4_NOCREATE
    out.u32(0);  // CLAIM_NULL
    out.text(name);
    return *this;
}

Ops& Ops::close(const Stateid& stateid) {
    XdrWriter out = op(Op::close);
    out.u32(0);  // seqid: unused since 4.1
    put_stateid(out, stateid);
    return *this;
}

Ops& Ops::read(const Stateid& stateid, std::uint64_t offset, std::uint32_t count) {
    XdrWriter out = op(Op::read);
    put_stateid(out, stateid);
    out.u64(offset);
    out.u32(count);
    return *this;
}

Ops& Ops::write_head(const Stateid& stateid, std::uint64_t offset, std::uint32_t stable, std::uint32_t count) {
    XdrWriter out = op(Op::write);
    put_stateid(out, stateid);
    out.u64(offset);
    out.u32(stable);
    out.u32(count);
    return *this;
}

Ops& Ops::commit() {
    XdrWriter out = op(Op::commit);
    out.u64(0);
    out.u32(0);  // to the end of the file
    return *this;
}

Ops& Ops::create_directory(std::string_view name) {
    XdrWriter out = op(Op::create);
    out.u32(nf4dir);
    out.text(name);
    put_mode(out, 0755);
    return *this;
}

Ops& Ops::readdir(std::uint64_t cookie, Verifier verifier, std::uint32_t maxcount, const Bitmap& attributes) {
    XdrWriter out = op(Op::readdir);
    out.u64(cookie);
    out.u64(verifier);
    out.u32(maxcount);  // dircount: as much as fits
    out.u32(maxcount);
    put_bitmap(out, attributes);
    return *this;
}

Ops& Ops::reclaim_complete() {
    op(Op::reclaim_complete).u32(0);
    return *this;
}

Ops& Ops::append(View bytes) {
    XdrWriter(bytes_).fixed(bytes);
    return *this;
}

void Prefix::call_header(std::uint32_t procedure, const Credential* credential) {
    XdrWriter out(bytes_);
    out.u32(0);  // record mark
    out.u32(0);  // xid
    out.u32(0);  // CALL
    out.u32(2);  // RPC version
    out.u32(nfs_program);
    out.u32(4);
    out.u32(procedure);
    if (credential) {
        Bytes body;
        XdrWriter sys(body);
        sys.u32(0);  // stamp
        sys.text("nfs_load");
        sys.u32(credential->uid);
        sys.u32(credential->gid);
        sys.u32(0);  // no further groups
        out.u32(1);  // AUTH_SYS
        out.opaque(body);
    } else {
        out.u32(0);  // AUTH_NONE
        out.u32(0);
    }
    out.u32(0);  // verifier: AUTH_NONE
    out.u32(0);
}

Prefix Prefix::null_call() {
    Prefix prefix;
    prefix.call_header(0, nullptr);
    return prefix;
}

Prefix Prefix::bare(const Credential& credential, std::uint32_t minor_version) {
    Prefix prefix;
    prefix.call_header(1, &credential);
    XdrWriter out(prefix.bytes_);
    out.u32(0);  // no tag
    out.u32(minor_version);
    prefix.ops_at_ = prefix.bytes_.size();
    out.u32(0);
    return prefix;
}

Prefix Prefix::sequenced(const Credential& credential, const SessionId& session, std::uint32_t highest_slot, std::uint32_t minor_version) {
    Prefix prefix = bare(credential, minor_version);
    XdrWriter out(prefix.bytes_);
    out.u32(static_cast<std::uint32_t>(Op::sequence));
    out.fixed(session);
    prefix.sequence_at_ = prefix.bytes_.size();
    out.u32(0);  // sequence
    out.u32(0);  // slot
    out.u32(highest_slot);
    out.u32(0);  // cache this
    return prefix;
}

void read_rpc_reply(XdrReader& in) {
    const std::uint32_t direction = in.u32();
    const std::uint32_t reply_stat = in.u32();
    if (direction != 1 || reply_stat != 0) [[unlikely]]
        fail("the call was denied or the record is not a reply");
    in.u32();     // flavour of the verifier
    in.opaque();  // verifier
    const std::uint32_t accept_stat = in.u32();
    if (!in.ok() || accept_stat != 0) [[unlikely]]
        fail("the call was not accepted: accept_stat " + std::to_string(accept_stat));
}

ReplyHead read_compound_head(XdrReader& in) {
    ReplyHead head;
    head.status = in.u32();
    in.opaque();  // tag
    head.results = in.u32();
    require(in.ok(), "a COMPOUND reply is cut short");
    return head;
}

bool read_sequence(XdrReader& in, const SessionId& session, std::uint32_t slot, std::uint32_t sequence) {
    const std::uint32_t op = in.u32();
    const std::uint32_t status = in.u32();
    require(in.ok() && op == static_cast<std::uint32_t>(Op::sequence), "the first result is not SEQUENCE's");
    if (status == nfs4err_delay) return false;
    if (status != nfs4_ok) [[unlikely]]
        fail("SEQUENCE: " + status_text(status));
    const View id = in.fixed(session.size());
    const std::uint32_t got_sequence = in.u32();
    const std::uint32_t got_slot = in.u32();
    in.u32();  // highest slot
    in.u32();  // target highest slot
    in.u32();  // status flags
    require(in.ok(), "SEQUENCE's result is cut short");
    require(std::memcmp(id.data(), session.data(), session.size()) == 0, "SEQUENCE answered for another session");
    require(got_slot == slot, "SEQUENCE answered for another slot");
    require(got_sequence == sequence, "SEQUENCE answered with another sequence number");
    return true;
}

void expect_op(XdrReader& in, Op op) {
    const std::uint32_t got = in.u32();
    const std::uint32_t status = in.u32();
    require(in.ok(), "a reply is cut short");
    if (status != nfs4_ok) [[unlikely]]
        fail(op_text(got) + ": " + status_text(status));
    if (got != static_cast<std::uint32_t>(op)) [[unlikely]] {
        fail("the result of " + op_text(got) + " came where that of " + op_text(static_cast<std::uint32_t>(op)) + " belongs");
    }
}

Stateid read_stateid(XdrReader& in) {
    Stateid stateid;
    stateid.seqid = in.u32();
    const View other = in.fixed(stateid.other.size());
    require(in.ok(), "a stateid is cut short");
    std::memcpy(stateid.other.data(), other.data(), other.size());
    return stateid;
}

Bytes read_getfh(XdrReader& in) {
    expect_op(in, Op::getfh);
    const View handle = in.opaque();
    require(in.ok() && !handle.empty() && handle.size() <= 128, "GETFH: not a file handle");
    return {handle.begin(), handle.end()};
}

Stateid read_open(XdrReader& in) {
    expect_op(in, Op::open);
    const Stateid stateid = read_stateid(in);
    in.u32();  // change_info: atomic
    in.u64();
    in.u64();
    in.u32();  // rflags
    const std::uint32_t words = in.u32();
    for (std::uint32_t i = 0; i < words && in.ok(); ++i) in.u32();  // attributes set
    const std::uint32_t delegation = in.u32();
    if (delegation == 3) {  // OPEN_DELEGATE_NONE_EXT: why not
        const std::uint32_t why = in.u32();
        if (why == 1 || why == 2) in.u32();  // WND4_CONTENTION, WND4_RESOURCE
    } else {
        require(delegation == 0, "OPEN gave a delegation that was not wanted");
    }
    require(in.ok(), "OPEN: the result is cut short");
    return stateid;
}

void read_create(XdrReader& in) {
    expect_op(in, Op::create);
    in.u32();  // change_info: atomic
    in.u64();
    in.u64();
    const std::uint32_t words = in.u32();
    for (std::uint32_t i = 0; i < words && in.ok(); ++i) in.u32();  // attributes set
    require(in.ok(), "CREATE: the result is cut short");
}

Verifier read_write(XdrReader& in, std::uint32_t count) {
    expect_op(in, Op::write);
    const std::uint32_t written = in.u32();
    const std::uint32_t committed = in.u32();
    const Verifier verifier = in.u64();
    require(in.ok() && written == count, "WRITE: not all bytes were taken");
    require(committed <= file_sync4, "WRITE: not a stable_how");
    return verifier;
}

Attributes read_getattr(XdrReader& in) {
    expect_op(in, Op::getattr);
    require(in.u32() == 2 && in.u32() == linux_attributes[0] && in.u32() == linux_attributes[1],
            "GETATTR: not all attributes that a Linux client asks for came back");
    XdrReader values(in.opaque());
    require(in.ok() && values.left() >= 120, "GETATTR: too few bytes for the attributes");
    Attributes attributes;
    attributes.type = values.u32();
    values.u64();  // change
    attributes.size = values.u64();
    values.u64();  // fsid
    values.u64();
    attributes.fileid = values.u64();
    return attributes;
}

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// Requests and replies: the RPC call with its SEQUENCE, ready to be copied and patched, and the operations behind it.
#pragma once

#include <cstdint>
#include <string_view>

#include "tests/bench/nfs4.h"
#include "tests/bench/xdr.h"

namespace strata::bench {

struct Credential {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

// The operations of one COMPOUND, without its SEQUENCE, encoded once and patched afterwards.
class Ops {
public:
    Ops& putrootfh();
    Ops& putfh(View handle);
    Ops& getfh();
    Ops& getattr(const Bitmap& attributes);
    Ops& lookup(std::string_view name);

    // A new regular file of mode 0644 (GUARDED4: an existing one is an error), opened for writing, no delegation wanted.
    Ops& open_new(std::uint64_t clientid, std::string_view owner, std::string_view name);

    // An existing file, opened for reading and writing.
    Ops& open_existing(std::uint64_t clientid, std::string_view owner, std::string_view name);
    Ops& close(const Stateid& stateid);
    Ops& read(const Stateid& stateid, std::uint64_t offset, std::uint32_t count);

    // The arguments of WRITE up to the data, of which `count` bytes must follow.
    Ops& write_head(const Stateid& stateid, std::uint64_t offset, std::uint32_t stable, std::uint32_t count);
    Ops& commit();
    Ops& create_directory(std::string_view name);
    Ops& readdir(std::uint64_t cookie, Verifier verifier, std::uint32_t maxcount, const Bitmap& attributes);
    Ops& reclaim_complete();
    Ops& append(View bytes);

    // Begins an operation that has no encoder here; its arguments are what the caller writes next.
    XdrWriter op(Op code);

    [[nodiscard]] View bytes() const { return bytes_; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }

    void clear() {
        bytes_.clear();
        count_ = 0;
    }

    // Overwrite fields at an offset that size() gave while the operations were encoded.
    void patch_u64(std::size_t at, std::uint64_t value) { store_u64(bytes_.data() + at, value); }
    void patch(std::size_t at, View bytes) { std::memcpy(bytes_.data() + at, bytes.data(), bytes.size()); }

private:
    Bytes bytes_;
    std::uint32_t count_ = 0;
};

// The constant beginning of each request on a connection: record mark, call header, COMPOUND header and SEQUENCE.
class Prefix {
public:
    // NULL: the whole request.
    static Prefix null_call();

    // COMPOUND without SEQUENCE, for EXCHANGE_ID and its like, and for all of NFSv4.0.
    static Prefix bare(const Credential& credential, std::uint32_t minor_version = 1);

    // COMPOUND that begins with SEQUENCE. `highest_slot`: the highest slot this client uses.
    static Prefix sequenced(const Credential& credential, const SessionId& session, std::uint32_t highest_slot,
                            std::uint32_t minor_version = 1);

    [[nodiscard]] std::size_t size() const { return bytes_.size(); }

    struct Fields {
        std::uint32_t xid;
        std::uint32_t ops;       // without SEQUENCE
        std::uint32_t sequence;  // sa_sequenceid
        std::uint32_t slot;
        bool cache_this;
        std::size_t body;  // bytes that follow the prefix, payload included
    };

    // Copies the prefix to `to` (size() bytes) with these fields.
    void emit(std::byte* to, const Fields& fields) const {
        std::memcpy(to, bytes_.data(), bytes_.size());
        store_u32(to, 0x80000000U | static_cast<std::uint32_t>(bytes_.size() - 4 + fields.body));
        store_u32(to + 4, fields.xid);
        if (ops_at_ == 0) return;
        store_u32(to + ops_at_, fields.ops + (sequence_at_ != 0 ? 1 : 0));
        if (sequence_at_ == 0) return;
        store_u32(to + sequence_at_, fields.sequence);
        store_u32(to + sequence_at_ + 4, fields.slot);
        store_u32(to + sequence_at_ + 12, fields.cache_this ? 1 : 0);
    }

private:
    void call_header(std::uint32_t procedure, const Credential* credential);

    Bytes bytes_;
    std::size_t ops_at_ = 0;
    std::size_t sequence_at_ = 0;
};

// The part of a reply before the results of the operations. The reader stands at the first of them.
struct ReplyHead {
    std::uint32_t status = 0;   // of the COMPOUND
    std::uint32_t results = 0;  // of which SEQUENCE is one
};

// Reads up to accept_stat of a reply whose xid the caller has read. Throws Failure if the call was not accepted.
void read_rpc_reply(XdrReader& in);

// Reads status, tag and the number of results.
ReplyHead read_compound_head(XdrReader& in);

// Reads SEQUENCE's result and checks session, slot and sequence. False: SEQUENCE answered NFS4ERR_DELAY and the slot did not move.
bool read_sequence(XdrReader& in, const SessionId& session, std::uint32_t slot, std::uint32_t sequence);

// Reads one result's header; throws Failure unless it is `op` with NFS4_OK.
void expect_op(XdrReader& in, Op op);

Stateid read_stateid(XdrReader& in);
void put_stateid(XdrWriter& out, const Stateid& stateid);

// The results of operations, each with its header.
Bytes read_getfh(XdrReader& in);
Stateid read_open(XdrReader& in);
void read_create(XdrReader& in);
Verifier read_write(XdrReader& in, std::uint32_t count);

// GETATTR of linux_attributes; throws Failure unless every attribute came.
struct Attributes {
    std::uint32_t type = 0;
    std::uint64_t size = 0;
    std::uint64_t fileid = 0;
};
Attributes read_getattr(XdrReader& in);

}  // namespace strata::bench

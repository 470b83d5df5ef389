// SPDX-License-Identifier: Apache-2.0
// XDR (RFC 4506): a bounded reader over a received record and a writer into a pooled reply buffer.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <boost/container/small_vector.hpp>

#include "server/base/buffer.h"

namespace strata::nfs {

using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline std::uint32_t load_be32(const std::byte* p) {
    std::uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}
inline std::uint64_t load_be64(const std::byte* p) {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}
inline void store_be32(std::byte* p, std::uint32_t v) {
    v = __builtin_bswap32(v);
    std::memcpy(p, &v, sizeof v);
}
inline void store_be64(std::byte* p, std::uint64_t v) {
    v = __builtin_bswap64(v);
    std::memcpy(p, &v, sizeof v);
}
constexpr std::size_t xdr_pad(std::size_t n) { return (4 - n % 4) % 4; }

// opaque<max> and utf8 strings as members of an arguments struct: views into the request, valid as long as it is.
template <std::size_t Max>
struct Opaque {
    Bytes bytes;
};
template <std::size_t Max>
struct Text {
    std::string_view text;
};

// Reads one record. Nothing is copied: opaque fields are views, payloads are counted slices. The first field that does not fit or is out
// of its domain makes the reader fail for good: every later read gives zero or nothing, and ok() is false (NFS4ERR_BADXDR).
// Not thread-safe; the record must outlive the reader and its views.
class XdrReader {
public:
    // `record`: the whole record; reading starts at `offset`.
    explicit XdrReader(const Slice& record, std::size_t offset = 0)
        : record_(&record), at_(record.data() + offset), end_(record.data() + record.size()) {}

    bool ok() const { return !failed_; }
    void fail() {
        failed_ = true;
        at_ = end_;
    }
    std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
    std::size_t position() const { return static_cast<std::size_t>(at_ - record_->data()); }
    // What has not been read yet.
    Bytes rest() const { return {at_, end_}; }
    // The bytes from an earlier position() up to here.
    Bytes since(std::size_t position) const { return {record_->data() + position, at_}; }

    std::uint32_t u32() {
        if (remaining() < 4) return fail(), 0;
        auto v = load_be32(at_);
        at_ += 4;
        return v;
    }
    std::uint64_t u64() {
        if (remaining() < 8) return fail(), 0;
        auto v = load_be64(at_);
        at_ += 8;
        return v;
    }
    bool boolean() {
        auto v = u32();
        if (v > 1) fail();
        return v == 1;
    }
    // Fixed-length opaque.
    Bytes fixed(std::size_t size) {
        const auto padded = size + xdr_pad(size);
        if (padded < size || remaining() < padded) return fail(), Bytes{};
        Bytes b(at_, size);
        at_ += padded;
        return b;
    }
    // Variable-length opaque of at most `max` bytes.
    Bytes opaque(std::size_t max) {
        const std::size_t size = u32();
        if (size > max) return fail(), Bytes{};
        return fixed(size);
    }
    std::string_view text(std::size_t max) { return as_text(opaque(max)); }
    // Variable-length opaque as a slice that keeps the record's buffer alive: a WRITE's data.
    Slice payload(std::size_t max) {
        const auto b = opaque(max);
        return b.empty() ? Slice() : record_->sub(static_cast<std::size_t>(b.data() - record_->data()), b.size());
    }
    // The number of elements of a counted array; fails if even elements of `element_size` bytes cannot be in what remains.
    std::uint32_t count(std::size_t element_size) {
        const auto n = u32();
        if (std::uint64_t{n} * element_size > remaining()) return fail(), 0;
        return n;
    }

    void read(std::uint32_t& v) { v = u32(); }
    void read(std::uint64_t& v) { v = u64(); }
    void read(std::int64_t& v) { v = static_cast<std::int64_t>(u64()); }
    void read(bool& v) { v = boolean(); }
    template <class E>
        requires std::is_enum_v<E>
    void read(E& v) {
        v = static_cast<E>(u32());
    }
    template <std::size_t N>
    void read(std::array<std::byte, N>& v) {
        const auto b = fixed(N);
        if (b.size() == N) std::memcpy(v.data(), b.data(), N);
    }
    template <std::size_t Max>
    void read(Opaque<Max>& v) {
        v.bytes = opaque(Max);
    }
    template <std::size_t Max>
    void read(Text<Max>& v) {
        v.text = text(Max);
    }
    // A struct lists its members once, in wire order, in `auto fields() { return std::tie(...); }`.
    template <class T>
        requires requires(T& t) { t.fields(); }
    void read(T& v) {
        std::apply([this](auto&... member) { (this->read(member), ...); }, v.fields());
    }

private:
    const Slice* record_;
    const std::byte* at_;
    const std::byte* end_;
    bool failed_ = false;
};

// What a finished writer hands over: header bytes with chains spliced in at positions. Sent as one gathered write.
struct Reply {
    struct Attachment {
        std::size_t position = 0;  // in `head`
        BufferChain chain;
    };
    Slice head;
    boost::container::small_vector<Attachment, 1> attachments;

    std::size_t size() const {
        std::size_t n = head.size();
        for (const auto& a : attachments) n += a.chain.size();
        return n;
    }
    // Calls visit(Bytes) for each piece in order.
    template <class F>
    void for_each_piece(F&& visit) const {
        std::size_t at = 0;
        for (const auto& a : attachments) {
            if (a.position > at) visit(head.span().subspan(at, a.position - at));
            at = a.position;
            for (const auto& slice : a.chain.slices()) visit(slice.span());
        }
        if (head.size() > at) visit(head.span().subspan(at));
    }
};

// Writes a reply into one pooled buffer that grows by need; file data are attached by reference, not copied.
class XdrWriter {
public:
    explicit XdrWriter(BufferPool& pool) : pool_(&pool) {}
    XdrWriter(XdrWriter&&) = default;
    XdrWriter& operator=(XdrWriter&&) = default;
    XdrWriter(const XdrWriter&) = delete;
    XdrWriter& operator=(const XdrWriter&) = delete;

    // Bytes written so far, attachments included.
    std::size_t size() const { return used_ + attached_; }

    // A place in the reply to come back to: to drop what follows, or to fill in a number known later.
    struct Mark {
        std::size_t used = 0, attached = 0, attachments = 0;
    };
    Mark mark() const { return {used_, attached_, attachments_.size()}; }
    void rewind(const Mark& m) {
        used_ = m.used;
        attached_ = m.attached;
        while (attachments_.size() > m.attachments) attachments_.pop_back();
    }
    // Makes room for `bytes` more, so that a long reply grows once.
    void reserve(std::size_t bytes) {
        if (buffer_.size() - used_ < bytes) grow(bytes);
    }
    // A u32 to be filled by patch().
    std::size_t hole() {
        const auto at = used_;
        u32(0);
        return at;
    }
    void patch(std::size_t hole, std::uint32_t value) { store_be32(base_ + hole, value); }

    void u32(std::uint32_t v) {
        reserve(4);
        store_be32(base_ + used_, v);
        used_ += 4;
    }
    void u64(std::uint64_t v) {
        reserve(8);
        store_be64(base_ + used_, v);
        used_ += 8;
    }
    void boolean(bool v) { u32(v ? 1 : 0); }
    void fixed(Bytes bytes) {
        const auto pad = xdr_pad(bytes.size());
        reserve(bytes.size() + pad);
        if (!bytes.empty()) std::memcpy(base_ + used_, bytes.data(), bytes.size());
        if (pad != 0) std::memset(base_ + used_ + bytes.size(), 0, pad);
        used_ += bytes.size() + pad;
    }
    void opaque(Bytes bytes) {
        u32(static_cast<std::uint32_t>(bytes.size()));
        fixed(bytes);
    }
    void text(std::string_view text) { opaque(as_bytes(text)); }
    // Variable-length opaque whose bytes stay where they are until sent.
    void opaque(BufferChain chain) {
        const auto size = chain.size();
        u32(static_cast<std::uint32_t>(size));
        if (size == 0) return;
        attached_ += size;
        attachments_.push_back({used_, std::move(chain)});
        static constexpr std::byte zeros[4] = {};
        raw({zeros, xdr_pad(size)});
    }
    // Bytes as they are, no length and no padding.
    void raw(Bytes bytes) {
        reserve(bytes.size());
        if (!bytes.empty()) std::memcpy(base_ + used_, bytes.data(), bytes.size());
        used_ += bytes.size();
    }

    void write(std::uint32_t v) { u32(v); }
    void write(std::uint64_t v) { u64(v); }
    void write(std::int64_t v) { u64(static_cast<std::uint64_t>(v)); }
    void write(bool v) { boolean(v); }
    template <class E>
        requires std::is_enum_v<E>
    void write(E v) {
        u32(static_cast<std::uint32_t>(v));
    }
    template <std::size_t N>
    void write(const std::array<std::byte, N>& v) {
        fixed(v);
    }
    template <std::size_t Max>
    void write(const Opaque<Max>& v) {
        opaque(v.bytes);
    }
    template <std::size_t Max>
    void write(const Text<Max>& v) {
        text(v.text);
    }
    template <class T>
        requires requires(T& t) { t.fields(); }
    void write(const T& v) {
        // fields() ties references so that one list serves both directions; nothing is changed through them here.
        std::apply([this](const auto&... member) { (this->write(member), ...); }, const_cast<T&>(v).fields());
    }

    // The bytes written from `m` on, attachments left out: what a reply cache copies.
    Bytes head_since(const Mark& m) const { return {base_ + m.used, used_ - m.used}; }
    // Copies the bytes written from `m` on, attachments included, to `out`.
    template <class Container>
    void copy_since(const Mark& m, Container& out) const {
        std::size_t at = m.used;
        auto put = [&out](Bytes b) { out.insert(out.end(), b.begin(), b.end()); };
        for (std::size_t i = m.attachments; i < attachments_.size(); ++i) {
            put({base_ + at, attachments_[i].position - at});
            at = attachments_[i].position;
            for (const auto& slice : attachments_[i].chain.slices()) put(slice.span());
        }
        put({base_ + at, used_ - at});
    }

    // Hands over what was written before `m` and not handed over yet; marks and holes behind `m` stay valid, so a reply can be under way
    // there. The slices are shared: the bytes before `m` must not change any more.
    Reply take_until(const Mark& m) {
        Reply reply;
        if (m.used > taken_.used) reply.head = buffer_.sub(taken_.used, m.used - taken_.used);
        for (std::size_t i = taken_.attachments; i < m.attachments; ++i) {
            reply.attachments.push_back({attachments_[i].position - taken_.used, attachments_[i].chain});
        }
        taken_ = m;
        return reply;
    }
    // Bytes that take_until(mark()) would hand over.
    std::size_t untaken() const { return size() - taken_.used - taken_.attached; }
    // Empty, without a buffer. Everything has been taken, or is given up.
    void clear() {
        buffer_ = Slice();
        base_ = nullptr;
        used_ = attached_ = 0;
        attachments_.clear();
        taken_ = {};
    }
    // The finished reply; the writer is empty again.
    Reply take() {
        auto reply = take_until(mark());
        clear();
        return reply;
    }
    // Bytes of the buffer that are left before it grows.
    std::size_t spare() const { return buffer_.size() - used_; }

private:
    void grow(std::size_t bytes);

    BufferPool* pool_;
    Slice buffer_;
    std::byte* base_ = nullptr;
    std::size_t used_ = 0, attached_ = 0;
    boost::container::small_vector<Reply::Attachment, 1> attachments_;
    Mark taken_;
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// fattr4: the table of attributes, and the loops that walk it.
//
//   fattr4 := bitmap4 opaque<>        the opaque holds the values, in the order of their bits
#include "nfs/wire/attributes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "nfs/wire/acl.h"
#include "server/vfs/acl.h"

namespace strata::nfs {

namespace {

// Encoders write at `p`, at most value_size_max bytes, and return the place behind. acl alone has none: its length has no bound.
using Encoder = std::byte* (*)(const AttributeSource&, std::byte* p);
using Decoder = NfsStatus (*)(XdrReader&, vfs::SetAttributes&);

constexpr std::size_t value_size_max = 16;
constexpr std::uint32_t mode_bits = 07777;

std::byte* put32(std::byte* p, std::uint32_t v) {
    store_be32(p, v);
    return p + 4;
}
std::byte* put64(std::byte* p, std::uint64_t v) {
    store_be64(p, v);
    return p + 8;
}
std::byte* put_time(std::byte* p, const Timestamp& t) { return put32(put64(p, static_cast<std::uint64_t>(t.seconds)), t.nanoseconds); }
std::byte* put_mask(std::byte* p, const AttributeMask& mask) {
    const std::uint32_t count = mask.words[2] != 0 ? 3 : 2;
    p = put32(p, count);
    for (std::uint32_t i = 0; i < count; ++i) p = put32(p, mask.words[i]);
    return p;
}
// A number as a counted string, padded: one digit or ten, it is at most value_size_max bytes.
std::byte* put_decimal(std::byte* p, std::uint32_t v) {
    char* const text = reinterpret_cast<char*>(p) + 4;
    const auto size = static_cast<std::size_t>(std::to_chars(text, text + 12, v).ptr - text);
    put32(p, static_cast<std::uint32_t>(size));
    const auto pad = xdr_pad(size);
    std::memset(p + 4 + size, 0, pad);
    return p + 4 + size + pad;
}

template <std::uint32_t Value>
std::byte* constant32(const AttributeSource&, std::byte* p) {
    return put32(p, Value);
}
template <std::uint64_t Value>
std::byte* constant64(const AttributeSource&, std::byte* p) {
    return put64(p, Value);
}
constexpr Encoder yes = constant32<1>, no = constant32<0>;

template <auto Member>
std::byte* number64(const AttributeSource& s, std::byte* p) {
    return put64(p, s.object.*Member);
}
template <auto Member>
std::byte* number32(const AttributeSource& s, std::byte* p) {
    return put32(p, s.object.*Member);
}
template <auto Member>
std::byte* decimal(const AttributeSource& s, std::byte* p) {
    return put_decimal(p, s.object.*Member);
}
template <auto Member>
std::byte* time(const AttributeSource& s, std::byte* p) {
    return put_time(p, s.object.*Member);
}
template <auto Member>
std::byte* space(const AttributeSource& s, std::byte* p) {
    return put64(p, s.space.*Member);
}

std::byte* put_supported(const AttributeSource& s, std::byte* p) { return put_mask(p, supported_attributes(s.minor_version)); }
std::byte* put_exclusive_create(const AttributeSource& s, std::byte* p) {
    auto mask = settable_attributes(s.minor_version);
    mask.words[0] &= ~(1u << static_cast<std::uint32_t>(Attribute::size));
    return put_mask(p, mask);
}
std::byte* put_type(const AttributeSource& s, std::byte* p) {
    constexpr FileType4 types[] = {FileType4::reg,  FileType4::reg,  FileType4::dir, FileType4::lnk,
                                   FileType4::fifo, FileType4::sock, FileType4::blk, FileType4::chr};
    return put32(p, static_cast<std::uint32_t>(types[static_cast<std::size_t>(s.object.type)]));
}
std::byte* put_fsid(const AttributeSource& s, std::byte* p) { return put64(put64(p, s.fsid.major), s.fsid.minor); }
std::byte* put_lease(const AttributeSource& s, std::byte* p) { return put32(p, s.lease_seconds); }
std::byte* put_filehandle(const AttributeSource& s, std::byte* p) {
    static_assert(handle_size % 4 == 0);
    p = put32(p, handle_size);
    std::memcpy(p, s.handle.data(), handle_size);
    return p + handle_size;
}
std::byte* put_fileid(const AttributeSource& s, std::byte* p) { return put64(p, s.object.id.inode); }
std::byte* put_mounted_on(const AttributeSource& s, std::byte* p) { return put64(p, s.mounted_on_fileid); }
std::byte* put_rawdev(const AttributeSource& s, std::byte* p) { return put32(put32(p, s.object.device.major), s.object.device.minor); }
std::byte* put_time_delta(const AttributeSource&, std::byte* p) { return put_time(p, {0, 1}); }

NfsStatus read_time(XdrReader& in, Timestamp& t) {
    t.seconds = static_cast<std::int64_t>(in.u64());
    t.nanoseconds = in.u32();
    return t.nanoseconds < 1'000'000'000 ? NfsStatus::ok : NfsStatus::inval;
}
// settime4: the server's clock or the client's time.
NfsStatus read_settime(XdrReader& in, std::optional<Timestamp>& t, bool& now) {
    constexpr std::uint32_t set_to_server_time = 0, set_to_client_time = 1;
    const auto how = in.u32();
    if (how == set_to_server_time) return now = true, NfsStatus::ok;
    if (how != set_to_client_time) return NfsStatus::badxdr;
    return read_time(in, t.emplace());
}

NfsStatus set_size(XdrReader& in, vfs::SetAttributes& set) {
    set.size = in.u64();
    return NfsStatus::ok;
}
NfsStatus set_acl(XdrReader& in, vfs::SetAttributes& set) {
    auto acl = std::make_shared<vfs::Acl>();
    const auto status = read_acl(in, *acl);
    set.acl = std::move(acl);
    return status;
}
NfsStatus set_mode(XdrReader& in, vfs::SetAttributes& set) {
    set.mode = in.u32();
    return *set.mode <= mode_bits ? NfsStatus::ok : NfsStatus::inval;
}
NfsStatus set_owner(XdrReader& in, vfs::SetAttributes& set) { return parse_owner(in.text(opaque_limit), set.uid.emplace()); }
NfsStatus set_owner_group(XdrReader& in, vfs::SetAttributes& set) { return parse_owner(in.text(opaque_limit), set.gid.emplace()); }
NfsStatus set_time_access(XdrReader& in, vfs::SetAttributes& set) { return read_settime(in, set.access_time, set.access_time_now); }
NfsStatus set_time_modify(XdrReader& in, vfs::SetAttributes& set) { return read_settime(in, set.modify_time, set.modify_time_now); }
NfsStatus set_time_create(XdrReader& in, vfs::SetAttributes& set) { return read_time(in, set.birth_time.emplace()); }

constexpr std::uint8_t v0_up = 7, v1_up = 6, v2_up = 4;

struct Row {
    Attribute attribute;
    std::uint8_t minors;  // bit 0: minor version 0, and so on
    Encoder encode;       // null: cannot be asked for (acl: is asked for, but encoded apart)
    Decoder decode;       // null: cannot be set
};

using A = Attribute;
using O = vfs::Attributes;
using S = vfs::Space;

constexpr Row rows[] = {
    {A::supported_attrs, v0_up, put_supported, nullptr},
    {A::type, v0_up, put_type, nullptr},
    {A::fh_expire_type, v0_up, constant32<0>, nullptr},  // FH4_PERSISTENT
    {A::change, v0_up, number64<&O::change>, nullptr},
    {A::size, v0_up, number64<&O::size>, set_size},
    {A::link_support, v0_up, yes, nullptr},
    {A::symlink_support, v0_up, yes, nullptr},
    {A::named_attr, v0_up, no, nullptr},
    {A::fsid, v0_up, put_fsid, nullptr},
    {A::unique_handles, v0_up, yes, nullptr},
    {A::lease_time, v0_up, put_lease, nullptr},
    {A::rdattr_error, v0_up, constant32<0>, nullptr},
    {A::acl, v0_up, nullptr, set_acl},
    {A::aclsupport, v0_up, constant32<3>, nullptr},  // ALLOW and DENY
    {A::cansettime, v0_up, yes, nullptr},
    {A::case_insensitive, v0_up, no, nullptr},
    {A::case_preserving, v0_up, yes, nullptr},
    {A::chown_restricted, v0_up, yes, nullptr},
    {A::filehandle, v0_up, put_filehandle, nullptr},
    {A::fileid, v0_up, put_fileid, nullptr},
    {A::files_avail, v0_up, space<&S::free_files>, nullptr},
    {A::files_free, v0_up, space<&S::free_files>, nullptr},
    {A::files_total, v0_up, space<&S::total_files>, nullptr},
    {A::homogeneous, v0_up, yes, nullptr},
    {A::maxfilesize, v0_up, constant64<vfs::file_size_max>, nullptr},
    {A::maxlink, v0_up, constant32<vfs::link_count_max>, nullptr},
    {A::maxname, v0_up, constant32<vfs::name_size_max>, nullptr},
    {A::maxread, v0_up, constant64<io_size_max>, nullptr},
    {A::maxwrite, v0_up, constant64<io_size_max>, nullptr},
    {A::mode, v0_up, number32<&O::mode>, set_mode},
    {A::no_trunc, v0_up, yes, nullptr},
    {A::numlinks, v0_up, number32<&O::link_count>, nullptr},
    {A::owner, v0_up, decimal<&O::uid>, set_owner},
    {A::owner_group, v0_up, decimal<&O::gid>, set_owner_group},
    {A::rawdev, v0_up, put_rawdev, nullptr},
    {A::space_avail, v0_up, space<&S::available_bytes>, nullptr},
    {A::space_free, v0_up, space<&S::free_bytes>, nullptr},
    {A::space_total, v0_up, space<&S::total_bytes>, nullptr},
    {A::space_used, v0_up, number64<&O::allocated>, nullptr},
    {A::time_access, v0_up, time<&O::access_time>, nullptr},
    {A::time_access_set, v0_up, nullptr, set_time_access},
    {A::time_create, v0_up, time<&O::birth_time>, set_time_create},
    {A::time_delta, v0_up, put_time_delta, nullptr},
    {A::time_metadata, v0_up, time<&O::change_time>, nullptr},
    {A::time_modify, v0_up, time<&O::modify_time>, nullptr},
    {A::time_modify_set, v0_up, nullptr, set_time_modify},
    {A::mounted_on_fileid, v0_up, put_mounted_on, nullptr},
    {A::suppattr_exclcreat, v1_up, put_exclusive_create, nullptr},
    {A::fs_charset_cap, v1_up, constant32<2>, nullptr},  // ALLOWS_ONLY_UTF8
    {A::clone_blksize, v2_up, constant32<clone_block_size>, nullptr},
    {A::change_attr_type, v2_up, constant32<0>, nullptr},  // NFS4_CHANGE_TYPE_IS_MONOTONIC_INCR
    {A::xattr_support, v2_up, yes, nullptr},
};
static_assert(std::ranges::is_sorted(rows, {}, &Row::attribute));

constexpr auto by_bit = [] {
    std::array<const Row*, AttributeMask::bits> table{};
    for (const Row& row : rows) table[static_cast<std::size_t>(row.attribute)] = &row;
    return table;
}();

template <class Condition>
constexpr AttributeMask mask_where(Condition condition) {
    AttributeMask mask;
    for (const Row& row : rows) {
        if (condition(row)) mask.set(row.attribute);
    }
    return mask;
}
constexpr auto known_in = [](std::uint32_t minor) { return mask_where([=](const Row& r) { return (r.minors >> minor & 1) != 0; }); };
constexpr std::array supported = {known_in(0), known_in(1), known_in(2)};
constexpr AttributeMask settable = mask_where([](const Row& r) { return r.decode != nullptr; });
constexpr AttributeMask encodable = mask_where([](const Row& r) { return r.encode != nullptr; });

// Every value that has a bound, together: what the buffer of one object must hold.
constexpr std::size_t values_size_max = std::size(rows) * value_size_max + handle_size;

// The sets that the Linux client asks for all day, each compiled into straight code: an inode's attributes, the same with what READDIR
// adds, and what it checks its cache with after a WRITE or CLOSE.
constexpr AttributeMask linux_inode{A::type,       A::change,      A::size,          A::fsid,        A::fileid,
                                    A::mode,       A::numlinks,    A::owner,         A::owner_group, A::rawdev,
                                    A::space_used, A::time_access, A::time_metadata, A::time_modify, A::mounted_on_fileid};
constexpr AttributeMask linux_directory_entry = linux_inode | AttributeMask{A::rdattr_error, A::filehandle};
constexpr AttributeMask linux_cache_check{A::change, A::size, A::space_used, A::time_metadata, A::time_modify};
static_assert(linux_inode == AttributeMask{0x0010011a, 0x00b0a23a});

template <AttributeMask Mask>
std::byte* put_known(const AttributeSource& source, std::byte* p) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (
            [&] {
                if constexpr (Mask.has(static_cast<std::uint32_t>(I))) p = by_bit[I]->encode(source, p);
            }(),
            ...);
    }(std::make_index_sequence<AttributeMask::bits>());
    return p;
}

std::byte* put_values(const AttributeSource& source, const AttributeMask& mask, std::byte* p) {
    if (mask == linux_inode) return put_known<linux_inode>(source, p);
    if (mask == linux_cache_check) return put_known<linux_cache_check>(source, p);
    if (mask == linux_directory_entry) return put_known<linux_directory_entry>(source, p);
    mask.for_each([&](std::uint32_t bit) { p = by_bit[bit]->encode(source, p); });
    return p;
}

void write_values(XdrWriter& out, const AttributeMask& mask, const AttributeSource& source) {
    std::array<std::byte, values_size_max> buffer;
    const auto flush = [&](const AttributeMask& part) {
        std::byte* const end = put_values(source, part & encodable, buffer.data());
        out.raw({buffer.data(), end});
    };
    if (!mask.has(A::acl)) return flush(mask);
    constexpr std::uint32_t below_acl = (1u << static_cast<std::uint32_t>(A::acl)) - 1;
    flush({mask.words[0] & below_acl, 0, 0});
    const bool directory = source.object.type == vfs::FileType::directory;
    if (source.object.acl != nullptr) {
        write_acl(out, *source.object.acl);
    } else {
        write_acl(out, vfs::acl_of_mode(source.object.mode, directory));
    }
    flush({mask.words[0] & ~below_acl, mask.words[1], mask.words[2]});
}

}  // namespace

AttributeMask supported_attributes(std::uint32_t minor_version) { return supported[std::min<std::size_t>(minor_version, 2)]; }
AttributeMask settable_attributes(std::uint32_t minor_version) { return supported_attributes(minor_version) & settable; }

void write_attributes(XdrWriter& out, const AttributeMask& wanted, const AttributeSource& source) {
    constexpr AttributeMask readable = encodable | AttributeMask{A::acl};
    const auto mask = wanted & supported_attributes(source.minor_version) & readable;
    write_mask(out, mask);
    const auto size_at = out.hole();
    const auto before = out.size();
    write_values(out, mask, source);
    out.patch(size_at, static_cast<std::uint32_t>(out.size() - before));
}

void write_attribute_error(XdrWriter& out, NfsStatus error) {
    write_mask(out, {A::rdattr_error});
    out.u32(4);
    out.u32(static_cast<std::uint32_t>(error));
}

NfsStatus read_settable(XdrReader& in, std::uint32_t minor_version, AttributeChange& change) {
    change.mask = read_mask(in);
    const Slice values = in.payload(in.remaining());
    if (!in.ok()) return NfsStatus::badxdr;
    if (!change.mask.within(supported_attributes(minor_version))) return NfsStatus::attrnotsupp;
    if (!change.mask.within(settable)) return NfsStatus::inval;
    XdrReader reader(values);
    auto status = NfsStatus::ok;
    change.mask.for_each([&](std::uint32_t bit) {
        if (status == NfsStatus::ok && reader.ok()) status = by_bit[bit]->decode(reader, change.set);
    });
    if (!reader.ok()) return NfsStatus::badxdr;
    if (status == NfsStatus::ok && reader.remaining() != 0) return NfsStatus::badxdr;
    return status;
}

NfsStatus read_expected(XdrReader& in, std::uint32_t minor_version, ExpectedAttributes& expected) {
    expected.mask = read_mask(in);
    expected.values = in.opaque(in.remaining());
    if (!in.ok()) return NfsStatus::badxdr;
    if (expected.mask.intersects(set_only_attributes) || expected.mask.has(A::rdattr_error)) return NfsStatus::inval;
    return expected.mask.within(supported_attributes(minor_version)) ? NfsStatus::ok : NfsStatus::attrnotsupp;
}

bool equal_attributes(const ExpectedAttributes& expected, const AttributeSource& source, XdrWriter& scratch) {
    const auto start = scratch.mark();
    write_values(scratch, expected.mask, source);
    const auto ours = scratch.head_since(start);
    const bool equal = std::ranges::equal(ours, expected.values);
    scratch.rewind(start);
    return equal;
}

NfsStatus parse_owner(std::string_view text, std::uint32_t& id) {
    constexpr std::uint32_t root_id = 0, nobody_id = 65534, no_id = 0xffffffff;
    if (text.empty()) return NfsStatus::inval;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error == std::errc() && end == text.data() + text.size()) return id != no_id ? NfsStatus::ok : NfsStatus::badowner;
    const auto name = text.substr(0, text.find('@'));
    if (name.size() == text.size()) return NfsStatus::badowner;
    if (name == "root") return id = root_id, NfsStatus::ok;
    if (name == "nobody") return id = nobody_id, NfsStatus::ok;
    return NfsStatus::badowner;
}

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// READDIR: RFC 8881, 18.23.
//
//   READDIR4resok := cookieverf(8) entry* 0 eof
//   entry         := 1 cookie(8) name fattr4
//
// Cookies never become invalid, so the verifier is always zero. dircount is a hint that we do not need: maxcount bounds the page.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "nfs/compound.h"
#include "nfs/ops/attribute_source.h"
#include "nfs/ops/handlers.h"
#include "nfs/wire/attributes.h"

namespace strata::nfs {

namespace {

struct ReaddirArgs {
    std::uint64_t cookie = 0, verifier = 0;
    std::uint32_t dircount = 0, maxcount = 0;
    AttributeMask wanted;
};

constexpr std::size_t head_size = 8, tail_size = 8;  // the verifier; the end mark and eof
constexpr std::size_t first_reserve = 60 * 1024;     // a page of the usual size is not moved as it grows

// A page as it is filled.
struct Page {
    Compound& compound;
    XdrWriter& out;
    AttributeMask wanted;
    vfs::Space space;
    std::size_t limit = 0;  // of out.size()
    std::uint32_t entries = 0;
    bool full = false;

    bool fits() const { return out.size() + tail_size <= limit; }

    template <class Write>
    bool add(std::uint64_t cookie, std::string_view name, Write&& write_attrs) {
        const auto start = out.mark();
        out.u32(1);
        out.u64(cookie);
        out.text(name);
        write_attrs();
        if (!fits()) {
            out.rewind(start);
            full = true;
            return false;
        }
        ++entries;
        return true;
    }

    bool add(const vfs::DirectoryEntry& entry) {
        return add(entry.cookie, entry.name, [&] {
            const FileRef file{FileRef::Kind::file, compound.current.share, entry.id};
            auto source = attribute_source(compound, file, *entry.attributes, wanted);
            source.space = space;
            write_attributes(out, wanted, source);
        });
    }
};

Task<NfsStatus> fill_from_directory(Page& page, std::uint64_t cookie, bool& end) {
    auto& compound = page.compound;
    const auto dir = compound.current.id;
    if (page.wanted.intersects(space_attributes)) {
        const auto space = co_await compound.fs().space(compound.ctx, dir);
        if (!space) co_return to_status(space.error());
        page.space = *space;
    }
    const vfs::DirectoryVisitor visit = [&page](const vfs::DirectoryEntry& entry) { return page.add(entry); };
    const auto read = co_await compound.fs().read_directory(compound.ctx, dir, cookie, visit);
    if (!read) co_return to_status(read.error());
    end = read->end;
    co_return NfsStatus::ok;
}

// One share of the pseudo root: its attributes are those of its root. `status`: why the whole READDIR fails, if it does.
Task<bool> add_share(Page& page, std::uint64_t cookie, const vfs::Share& share, NfsStatus& status) {
    auto& compound = page.compound;
    const FileRef file{FileRef::Kind::file, &share, share.root};
    const auto object = co_await compound.fs().get_attributes(compound.ctx, share.root);
    if (!object) {
        if (!page.wanted.has(Attribute::rdattr_error)) {
            status = to_status(object.error());
            co_return false;
        }
        co_return page.add(cookie, share.name, [&] { write_attribute_error(page.out, to_status(object.error())); });
    }
    auto source = attribute_source(compound, file, *object, page.wanted);
    if (page.wanted.intersects(space_attributes)) {
        if (const auto space = co_await compound.fs().space(compound.ctx, share.root)) source.space = *space;
    }
    co_return page.add(cookie, share.name, [&] { write_attributes(page.out, page.wanted, source); });
}

Task<NfsStatus> fill_from_pseudo_root(Page& page, std::uint64_t cookie, bool& end) {
    struct Found {
        std::uint64_t cookie;
        const vfs::Share* share;
    };
    boost::container::small_vector<Found, 16> found;
    const auto& shares = *page.compound.shares;
    const auto listed = shares.read_pseudo_root(cookie, [&](const vfs::DirectoryEntry& entry) {
        found.push_back({entry.cookie, shares.find(entry.name)});
        return true;
    });
    end = listed.end;
    auto status = NfsStatus::ok;
    for (const auto& item : found) {
        if (!co_await add_share(page, item.cookie, *item.share, status)) {
            end = false;
            break;
        }
    }
    co_return status;
}

NfsStatus check(const ReaddirArgs& args) {
    if (args.wanted.intersects(set_only_attributes)) return NfsStatus::inval;
    if (args.cookie == 1 || args.cookie == 2) return NfsStatus::bad_cookie;
    if (args.cookie != 0 && args.verifier != 0) return NfsStatus::not_same;
    return args.maxcount < head_size + tail_size ? NfsStatus::toosmall : NfsStatus::ok;
}

}  // namespace

Task<NfsStatus> op_readdir(Compound& compound, XdrReader& in, XdrWriter& out) {
    ReaddirArgs args;
    args.cookie = in.u64();
    args.verifier = in.u64();
    args.dircount = in.u32();
    args.maxcount = in.u32();
    args.wanted = read_mask(in);
    if (!in.ok()) co_return NfsStatus::badxdr;
    if (const auto status = check(args); status != NfsStatus::ok) co_return status;

    // One byte is left: a reply that uses up its room counts as one that did not fit.
    const auto room = compound.room(out);
    const auto size = std::min<std::size_t>(args.maxcount, room > 0 ? room - 1 : 0);
    Page page{.compound = compound, .out = out, .wanted = args.wanted, .space = {}, .limit = out.size() + size};
    out.reserve(std::min(size, first_reserve));
    out.u64(0);
    bool end = false;
    const auto status = compound.current.is_pseudo_root() ? co_await fill_from_pseudo_root(page, args.cookie, end)
                                                          : co_await fill_from_directory(page, args.cookie, end);
    if (status != NfsStatus::ok) co_return status;
    if (page.full && page.entries == 0) co_return NfsStatus::toosmall;
    out.u32(0);
    out.boolean(end);
    co_return NfsStatus::ok;
}

}  // namespace strata::nfs

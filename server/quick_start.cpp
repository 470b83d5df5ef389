// SPDX-License-Identifier: Apache-2.0
// Quick start: shares from specs, contradictions, mount commands.
#include "server/quick_start.h"

#include <algorithm>

#include <fmt/format.h>

namespace strata {

namespace {

constexpr std::string_view share_table = "share";
constexpr std::uint32_t default_mode = 0755;

Error contradiction(const std::string& share, std::string_view what, const std::string& wanted, const std::string& stored) {
    return {Errc::config,
            fmt::format("share \"{}\" exists with {}={}, but the command line or file says {}={}: change the share or drop the option",
                        share, what, stored, what, wanted)};
}

std::string networks(const vfs::Share& share) {
    std::vector<std::string> names;
    for (const auto& n : share.clients) names.push_back(n.to_string());
    return names.empty() ? std::string("(everybody)") : fmt::format("{}", fmt::join(names, "+"));
}

// Every option that the spec names agrees with what is stored.
Result<> agree(const vfs::ShareSpec& spec, const vfs::Share& stored, const vfs::Attributes& root) {
    const auto given = [&](std::string_view key) { return spec.given.contains(key); };
    const std::string& name = stored.name;
    if (given("ro") && !stored.read_only) return fail(contradiction(name, "ro", "yes", "no"));
    if (given("squash") && spec.share.squash != stored.squash) {
        return fail(contradiction(name, "squash", std::string(to_string(spec.share.squash)), std::string(to_string(stored.squash))));
    }
    if (given("client") && networks(spec.share) != networks(stored)) {
        return fail(contradiction(name, "client", networks(spec.share), networks(stored)));
    }
    if (given("comment") && spec.share.comment != stored.comment) {
        return fail(contradiction(name, "comment", spec.share.comment, stored.comment));
    }
    if (given("owner") && (*spec.uid != root.uid || *spec.gid != root.gid)) {
        return fail(contradiction(name, "owner", fmt::format("{}:{}", *spec.uid, *spec.gid), fmt::format("{}:{}", root.uid, root.gid)));
    }
    if (given("mode") && *spec.mode != root.mode) {
        return fail(contradiction(name, "mode", fmt::format("{:04o}", *spec.mode), fmt::format("{:04o}", root.mode)));
    }
    return {};
}

Task<Result<vfs::Share>> make_share(const Context& ctx, vfs::FileSystem& fs, vfs::RecordStore& records, const vfs::ShareSpec& spec,
                                    Owner owner, vfs::DomainId domain) {
    vfs::CreateRequest request;
    request.type = vfs::FileType::directory;
    request.new_domain = domain;
    request.attributes.mode = spec.mode.value_or(default_mode);
    request.attributes.uid = spec.uid.value_or(owner.uid);
    request.attributes.gid = spec.gid.value_or(owner.gid);
    vfs::Share share = spec.share;
    auto made = co_await fs.create(ctx, fs.root(), share.name, request);
    if (made) {
        share.root = made->entry.id;
        share.domain = domain;
    } else if (made.error() == Errc::exists) {
        // A crash between the directory and its record: the directory is taken over.
        CO_TRY(there, co_await fs.lookup(ctx, fs.root(), share.name));
        share.root = there.id;
        share.domain = there.attributes.domain;
    } else {
        co_return fail(std::move(made.error()));
    }
    CO_CHECK_OK(co_await records.put(ctx, share_table, share.name, share.serialize()));
    CO_CHECK_OK(co_await fs.settle(ctx));
    co_return share;
}

bool anybody_may_write(const vfs::Attributes& root) { return (root.mode & 0002) != 0; }

}  // namespace

Task<Result<vfs::ShareList>> ensure_shares(const Context& ctx, vfs::FileSystem& fs, vfs::RecordStore& records,
                                           const std::vector<vfs::ShareSpec>& specs, Owner owner) {
    vfs::ShareList shares;
    vfs::DomainId next_domain = 1;
    CO_TRY(rows, co_await records.scan(ctx, share_table));
    for (const auto& [name, text] : rows) {
        CO_TRY(share, vfs::Share::parse(text));
        next_domain = std::max(next_domain, share.domain + 1);
        shares.push_back(share);
    }
    for (const auto& spec : specs) {
        const auto it = std::ranges::find(shares, spec.share.name, &vfs::Share::name);
        if (it != shares.end()) {
            CO_TRY(root, co_await fs.get_attributes(ctx, it->root));
            CO_CHECK_OK(agree(spec, *it, root));
            continue;
        }
        CO_TRY(share, co_await make_share(ctx, fs, records, spec, owner, next_domain));
        next_domain = std::max(next_domain, share.domain) + 1;
        shares.push_back(share);
    }
    co_return shares;
}

Task<Result<std::string>> mount_hints(const Context& ctx, vfs::FileSystem& fs, const vfs::ShareList& shares, const Endpoint& nfs) {
    const bool everywhere = nfs.address_string() == "0.0.0.0" || nfs.address_string() == "::";
    const std::string host = everywhere ? "SERVER" : nfs.v6 ? fmt::format("[{}]", nfs.address_string()) : nfs.address_string();
    const std::string port = nfs.port == 2049 ? "" : fmt::format(" -o port={}", nfs.port);
    std::string text;
    for (const auto& share : shares) {
        text += fmt::format("mount: sudo mount -t nfs4{} {}:/{} /mnt\n", port, host, share.name);
        CO_TRY(root, co_await fs.get_attributes(ctx, share.root));
        const bool root_squashed = share.squash == vfs::Squash::root || (share.squash == vfs::Squash::automatic && !nfs.is_loopback());
        if (share.read_only) {
            text += fmt::format("hint: share {} is read-only\n", share.name);
        } else if (!anybody_may_write(root) && root.uid == 0 && (root_squashed || share.squash == vfs::Squash::all)) {
            text += fmt::format(
                "hint: share {} belongs to root and clients' root is squashed, so nobody could write: give it an owner or a mode when it "
                "is made, as in --share {}:owner=1000:1000 or --share {}:mode=0777\n",
                share.name, share.name, share.name);
        } else if (!anybody_may_write(root)) {
            text += fmt::format("hint: in share {} only uid {}{} can write at the top\n", share.name, root.uid,
                                root_squashed || root.uid == 0 ? "" : " and root");
        }
    }
    co_return text;
}

}  // namespace strata

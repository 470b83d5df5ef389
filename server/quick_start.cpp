// SPDX-License-Identifier: Apache-2.0
// Quick start: shares from specs, contradictions, mount commands.
#include "server/quick_start.h"

#include <algorithm>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <fmt/format.h>

namespace strata {

namespace {

constexpr std::string_view share_table = "share";
constexpr std::uint32_t default_mode = 0755;

Error contradiction(const std::string& share, std::string_view what, const std::string& wanted, const std::string& stored,
                    const char* by_client = nullptr) {
    return {Errc::config,
            fmt::format("share \"{}\" exists with {}={}, but the command line or file says {}={}: leave the option out{}", share, what,
                        stored, what, wanted, by_client ? fmt::format(", and {} the top of the mounted share", by_client) : "")};
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
    // What clients made of owner and mode since is their affair: only another wish than at first contradicts.
    const auto owner = [](std::uint32_t uid, std::uint32_t gid) { return fmt::format("{}:{}", uid, gid); };
    if (given("owner")) {
        const auto wanted = owner(*spec.uid, *spec.gid), now = owner(root.uid, root.gid);
        if (wanted != now && wanted != owner(stored.made_uid, stored.made_gid))
            return fail(contradiction(name, "owner", wanted, now, "chown"));
    }
    if (given("mode") && *spec.mode != root.mode && *spec.mode != stored.made_mode) {
        return fail(contradiction(name, "mode", fmt::format("{:04o}", *spec.mode), fmt::format("{:04o}", root.mode), "chmod"));
    }
    return {};
}

// Past every domain that a directory of the root has: one whose record was never written may be among them.
Task<Result<vfs::DomainId>> next_free_domain(const Context& ctx, vfs::FileSystem& fs, const vfs::ShareList& shares) {
    vfs::DomainId next = 1;
    for (const auto& share : shares) next = std::max(next, share.domain + 1);
    std::uint64_t cookie = 0;
    const vfs::DirectoryVisitor visit = [&](const vfs::DirectoryEntry& entry) {
        cookie = entry.cookie;
        if (entry.attributes != nullptr) next = std::max(next, entry.attributes->domain + 1);
        return true;
    };
    for (;;) {
        CO_TRY(page, co_await fs.read_directory(ctx, fs.root(), cookie, visit));
        if (page.end) co_return next;
    }
}

// A crash came between the directory and its record: the directory is taken over, and becomes what is asked for now.
Task<Result<vfs::Entry>> take_over(const Context& ctx, vfs::FileSystem& fs, const std::string& name, const vfs::SetAttributes& wanted) {
    CO_TRY(there, co_await fs.lookup(ctx, fs.root(), name));
    CO_TRY(root, co_await fs.get_attributes(ctx, fs.root()));
    if (there.attributes.type != vfs::FileType::directory || there.attributes.domain == root.domain) {
        co_return fail(Errc::config, fmt::format("share \"{}\": the volume has something of that name which is no share", name));
    }
    CO_TRY(now, co_await fs.set_attributes(ctx, there.id, wanted, false));
    there.attributes = now;
    co_return there;
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
    share.made_mode = *request.attributes.mode;
    share.made_uid = *request.attributes.uid;
    share.made_gid = *request.attributes.gid;
    auto made = co_await fs.create(ctx, fs.root(), share.name, request);
    if (made) {
        share.root = made->entry.id;
        share.domain = domain;
    } else if (made.error() == Errc::exists) {
        CO_TRY(there, co_await take_over(ctx, fs, share.name, request.attributes));
        share.root = there.id;
        share.domain = there.attributes.domain;
    } else {
        co_return fail(made.error().code, fmt::format("share \"{}\" cannot be made: {}", share.name, to_string(made.error())));
    }
    CO_CHECK_OK(co_await records.put(ctx, share_table, share.name, share.serialize()));
    CO_CHECK_OK(co_await fs.settle(ctx));
    co_return share;
}

Task<Result<vfs::ShareList>> stored_shares(const Context& ctx, vfs::RecordStore& records) {
    vfs::ShareList shares;
    CO_TRY(rows, co_await records.scan(ctx, share_table));
    for (const auto& [name, text] : rows) {
        auto share = vfs::Share::parse(text);
        if (!share) co_return fail(share.error().code, fmt::format("the record of share \"{}\": {}", name, share.error().detail));
        shares.push_back(std::move(*share));
    }
    co_return shares;
}

Task<Result<vfs::Attributes>> root_of(const Context& ctx, vfs::FileSystem& fs, const vfs::Share& share) {
    auto root = co_await fs.get_attributes(ctx, share.root);
    if (!root) co_return fail(root.error().code, fmt::format("the directory of share \"{}\": {}", share.name, to_string(root.error())));
    co_return root;
}

// As a word of a shell's command line.
std::string shell_word(const std::string& text) {
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:[]%+=@,";
    if (text.find_first_not_of(plain) == std::string::npos) return text;
    std::string word = "'";
    for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return word + "'";
}

bool is_everywhere(const Endpoint& nfs) { return nfs.address_string() == "0.0.0.0" || nfs.address_string() == "::"; }

// Who can make files at the top, as far as the mode tells; empty: everybody.
std::vector<std::string> writers(const vfs::Share& share, const vfs::Attributes& root, bool root_squashed) {
    std::vector<std::string> who;
    if ((root.mode & 0002) != 0) return who;
    if (share.squash == vfs::Squash::all) {
        const bool owns = root.uid == share.anonymous_uid && (root.mode & 0200) != 0;
        const bool belongs = root.gid == share.anonymous_gid && (root.mode & 0020) != 0;
        return owns || belongs ? std::vector<std::string>{} : std::vector<std::string>{"nobody"};
    }
    if ((root.mode & 0200) != 0 && root.uid != 0) who.push_back(fmt::format("uid {}", root.uid));
    if ((root.mode & 0020) != 0 && root.gid != 0) who.push_back(fmt::format("gid {}", root.gid));
    if (!root_squashed) who.emplace_back("root");
    if (who.empty()) who.emplace_back("nobody");
    return who;
}

// Its own options cannot change a share that is there. Root on this machine can, unless it is squashed here too.
std::string hint(const vfs::Share& share, const vfs::Attributes& root, bool root_squashed, const Endpoint& nfs) {
    if (share.read_only) return fmt::format("hint: share {} is read-only\n", share.name);
    const auto who = writers(share, root, root_squashed);
    if (who.empty()) return "";
    const std::string text = fmt::format("hint: at the top of share {} only {} can write", share.name, fmt::join(who, " and "));
    if (who.front() != "nobody") return text + "\n";
    const std::string why =
        fmt::format("hint: at the top of share {} nobody can write: it belongs to {}:{} with mode {:04o}, and clients' {} squashed",
                    share.name, root.uid, root.gid, root.mode, share.squash == vfs::Squash::all ? "users are" : "root is");
    if (share.squash == vfs::Squash::automatic && is_everywhere(nfs)) {
        return fmt::format("{}; on this machine root is not: mount it here from {} and chown or chmod /mnt\n", why,
                           shell_word(fmt::format("{}:/{}", nfs.v6 ? "[::1]" : "127.0.0.1", share.name)));
    }
    return fmt::format("{}; make another share with an owner or a mode, as in --share NAME:owner=1000:1000 or --share NAME:mode=0777\n",
                       why);
}

}  // namespace

Task<Result<vfs::ShareList>> ensure_shares(const Context& ctx, vfs::FileSystem& fs, vfs::RecordStore& records,
                                           const std::vector<vfs::ShareSpec>& specs, Owner owner) {
    CO_TRY(shares, co_await stored_shares(ctx, records));
    CO_TRY(next_domain, co_await next_free_domain(ctx, fs, shares));
    for (const auto& spec : specs) {
        const auto same = [&](const vfs::Share& share) { return vfs::same_share_name(share.name, spec.share.name); };
        const auto it = std::ranges::find_if(shares, same);
        if (it == shares.end()) {
            CO_TRY(share, co_await make_share(ctx, fs, records, spec, owner, next_domain));
            if (share.domain == next_domain) ++next_domain;
            shares.push_back(share);
            continue;
        }
        if (it->name != spec.share.name) {
            co_return fail(Errc::config,
                           fmt::format("share \"{}\" exists as \"{}\": names must differ in more than case", spec.share.name, it->name));
        }
        CO_TRY(root, co_await root_of(ctx, fs, *it));
        CO_CHECK_OK(agree(spec, *it, root));
    }
    std::ranges::sort(shares, {}, &vfs::Share::name);
    co_return shares;
}

Task<Result<std::string>> mount_hints(const Context& ctx, vfs::FileSystem& fs, const vfs::ShareList& shares, const Endpoint& nfs,
                                      const std::string& machine) {
    if (shares.empty()) co_return std::string("hint: there is no share to mount yet: start it with --share NAME to make one\n");
    const std::string own = nfs.v6 ? fmt::format("[{}]", nfs.address_string()) : nfs.address_string();
    const std::string host = !is_everywhere(nfs) ? own : machine.empty() ? "SERVER" : machine;
    const std::string port = nfs.port == 2049 ? "" : fmt::format(" -o port={}", nfs.port);
    std::string text;
    for (const auto& share : shares) {
        text += fmt::format("mount: sudo mount -t nfs4{} {} /mnt\n", port, shell_word(fmt::format("{}:/{}", host, share.name)));
        CO_TRY(root, co_await root_of(ctx, fs, share));
        const bool root_squashed = share.squash == vfs::Squash::all || share.squash == vfs::Squash::root ||
                                   (share.squash == vfs::Squash::automatic && !nfs.is_loopback());
        text += hint(share, root, root_squashed, nfs);
    }
    if (host == "SERVER") text += "hint: SERVER is a name or address of this machine\n";
    co_return text;
}

std::string default_address() {
    // Connecting a datagram socket only chooses the route. The addresses are those kept for documentation.
    for (const char* there : {"192.0.2.1:9", "[2001:db8::1]:9"}) {
        boost::asio::io_context io(1);
        boost::asio::ip::udp::socket socket(io);
        boost::system::error_code error;
        const auto endpoint = *Endpoint::parse(there);
        const auto address = boost::asio::ip::make_address(endpoint.address_string(), error);
        if (!error) socket.connect({address, endpoint.port}, error);
        if (error) continue;
        const auto local = socket.local_endpoint(error).address();
        if (error || local.is_unspecified() || local.is_loopback()) continue;
        return local.is_v6() ? fmt::format("[{}]", local.to_string()) : local.to_string();
    }
    return "";
}

}  // namespace strata

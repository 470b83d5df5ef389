// SPDX-License-Identifier: Apache-2.0
// Shares: who is admitted, who becomes whom, and their record in the settings database.
#include "server/vfs/share.h"

#include <charconv>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace strata::vfs {

namespace {

constexpr int share_version = 1;
constexpr std::array<std::string_view, 4> squash_names{"auto", "none", "root", "all"};

template <class N>
std::optional<N> number(std::string_view text, int base = 10) {
    N value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::optional<Squash> squash_of(std::string_view name) {
    const auto it = std::ranges::find(squash_names, name);
    if (it == squash_names.end()) return std::nullopt;
    return static_cast<Squash>(it - squash_names.begin());
}

Result<> check_share_name(std::string_view name) {
    if (name.empty() || name.size() > 80) return fail(Errc::config, "a share's name has 1 to 80 bytes");
    if (name == "." || name == ".." || name.find_first_of("/\\:") != std::string_view::npos) {
        return fail(Errc::config, fmt::format("share name \"{}\": '/', '\\' and ':' cannot stand in it", name));
    }
    return {};
}

}  // namespace

bool Network::contains(const Endpoint& address) const {
    if (address.v6 != base.v6) return false;
    for (int bit = 0; bit < prefix; ++bit) {
        const int shift = 7 - bit % 8;
        if (((address.address[bit / 8] ^ base.address[bit / 8]) >> shift) & 1) return false;
    }
    return true;
}

std::string Network::to_string() const { return fmt::format("{}/{}", base.address_string(), prefix); }

Result<Network> Network::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto host = text.substr(0, slash);
    const bool v6 = host.find(':') != std::string_view::npos;
    auto base = Endpoint::parse(v6 ? fmt::format("[{}]:0", host) : fmt::format("{}:0", host));
    if (!base) return fail(Errc::invalid_argument, fmt::format("\"{}\" is not an address or network such as 192.0.2.0/24", text));
    Network network{*base, base->v6 ? 128 : 32};
    if (slash != std::string_view::npos) {
        const auto prefix = number<int>(text.substr(slash + 1));
        if (!prefix || *prefix < 0 || *prefix > network.prefix) {
            return fail(Errc::invalid_argument, fmt::format("\"{}\": the prefix length is 0 to {}", text, network.prefix));
        }
        network.prefix = *prefix;
    }
    return network;
}

std::string_view to_string(Squash squash) { return squash_names[static_cast<std::size_t>(squash)]; }

bool Share::admits(const Endpoint& client) const {
    if (clients.empty()) return true;
    return std::ranges::any_of(clients, [&](const Network& n) { return n.contains(client); });
}

Credentials Share::apply_squash(Credentials who, const Endpoint& client) const {
    Squash effective = squash;
    if (effective == Squash::automatic) effective = client.is_loopback() ? Squash::none : Squash::root;
    if (effective == Squash::none) return who;
    if (effective == Squash::all) return {.uid = anonymous_uid, .gid = anonymous_gid, .groups = {}};
    if (who.uid == 0) who.uid = anonymous_uid;
    if (who.gid == 0) who.gid = anonymous_gid;
    for (auto& group : who.groups) {
        if (group == 0) group = anonymous_gid;
    }
    return who;
}

std::string Share::serialize() const {
    boost::json::array networks;
    for (const auto& n : clients) networks.emplace_back(n.to_string());
    boost::json::object object{{"version", share_version},
                               {"name", name},
                               {"inode", root.inode},
                               {"generation", root.generation},
                               {"domain", domain},
                               {"comment", comment},
                               {"read_only", read_only},
                               {"clients", std::move(networks)},
                               {"squash", squash_names[static_cast<std::size_t>(squash)]},
                               {"anonymous_uid", anonymous_uid},
                               {"anonymous_gid", anonymous_gid}};
    return boost::json::serialize(object);
}

Result<Share> Share::parse(std::string_view text) {
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
    if (error || !value.is_object()) return fail(Errc::bad_message, "a share's record is not a JSON object");
    try {
        const auto& o = value.as_object();
        if (o.at("version").to_number<int>() != share_version) return fail(Errc::bad_version, "a share's record is of an unknown version");
        Share share;
        share.name = o.at("name").as_string();
        share.root = {o.at("inode").to_number<std::uint64_t>(), o.at("generation").to_number<std::uint32_t>()};
        share.domain = o.at("domain").to_number<DomainId>();
        share.comment = o.at("comment").as_string();
        share.read_only = o.at("read_only").as_bool();
        for (const auto& n : o.at("clients").as_array()) {
            TRY(network, Network::parse(n.as_string()));
            share.clients.push_back(network);
        }
        const auto squash = squash_of(o.at("squash").as_string());
        if (!squash) return fail(Errc::bad_message, "a share's record has an unknown squash");
        share.squash = *squash;
        share.anonymous_uid = o.at("anonymous_uid").to_number<std::uint32_t>();
        share.anonymous_gid = o.at("anonymous_gid").to_number<std::uint32_t>();
        return share;
    } catch (const std::exception& e) {  // Boost.JSON's way to tell of a missing key or a wrong type
        return fail(Errc::bad_message, fmt::format("a share's record: {}", e.what()));
    }
}

namespace {

Result<> apply_option(ShareSpec& spec, std::string_view key, std::string_view value, std::string_view whole) {
    const auto bad = [&](std::string_view expected) {
        return fail(Errc::config, fmt::format("--share {}: {}={}: expected {}", whole, key, value, expected));
    };
    if (key == "ro" && value.empty()) {
        spec.share.read_only = true;
    } else if (key == "owner") {
        const auto colon = value.find(':');
        const auto uid = number<std::uint32_t>(value.substr(0, colon));
        const auto gid = colon == std::string_view::npos ? uid : number<std::uint32_t>(value.substr(colon + 1));
        if (!uid || !gid) return bad("UID:GID in numbers");
        spec.uid = uid;
        spec.gid = gid;
    } else if (key == "mode") {
        const auto mode = number<std::uint32_t>(value, 8);
        if (!mode || *mode > 07777) return bad("an octal mode such as 0770");
        spec.mode = mode;
    } else if (key == "squash") {
        const auto squash = squash_of(value);
        if (!squash) return bad("auto, none, root or all");
        spec.share.squash = *squash;
    } else if (key == "client") {
        TRY(network, Network::parse(value));
        spec.share.clients.push_back(network);
    } else if (key == "comment") {
        spec.share.comment = value;
    } else {
        return fail(Errc::config,
                    fmt::format("--share {}: unknown option \"{}\" (known: owner, mode, ro, squash, client, comment)", whole, key));
    }
    spec.given.insert(std::string(key));
    return {};
}

}  // namespace

Result<ShareSpec> ShareSpec::parse(std::string_view text) {
    ShareSpec spec;
    const auto colon = text.find(':');
    spec.share.name = text.substr(0, colon);
    CHECK_OK(check_share_name(spec.share.name));
    if (colon == std::string_view::npos) return spec;
    std::string_view rest = text.substr(colon + 1);
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        const std::string_view option = rest.substr(0, comma);
        const auto equals = option.find('=');
        const std::string_view value = equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
        CHECK_OK(apply_option(spec, option.substr(0, equals), value, text));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    return spec;
}

std::shared_ptr<const ShareList> ShareTable::snapshot() const {
    std::lock_guard lock(mutex_);
    return shares_;
}

void ShareTable::replace(ShareList shares) {
    std::ranges::sort(shares, {}, &Share::name);
    auto fresh = std::make_shared<const ShareList>(std::move(shares));
    std::lock_guard lock(mutex_);
    shares_ = std::move(fresh);
    ++version_;
}

std::uint64_t ShareTable::version() const {
    std::lock_guard lock(mutex_);
    return version_;
}

}  // namespace strata::vfs

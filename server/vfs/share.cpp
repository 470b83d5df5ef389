// SPDX-License-Identifier: Apache-2.0
// Shares: who is admitted, who becomes whom, and their record in the settings database.
#include "server/vfs/share.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "server/vfs/utf8.h"

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

constexpr std::size_t share_name_size_max = 80;
constexpr std::size_t comment_size_max = 256;

Result<> check_share_name(std::string_view name) {
    if (name.empty() || name.size() > share_name_size_max) {
        return fail(Errc::config, fmt::format("a share's name has 1 to {} bytes, not {}", share_name_size_max, name.size()));
    }
    if (!is_line_of_text(name)) return fail(Errc::config, "a share's name is UTF-8 without control characters");
    if (name == "." || name == ".." || name.find_first_of("/\\:") != std::string_view::npos) {
        return fail(Errc::config, fmt::format("share name \"{}\": '/', '\\' and ':' cannot stand in it", name));
    }
    return {};
}

// Clears what lies past the prefix, so that equal networks compare equal.
void mask(Network& network) {
    const int bytes = network.base.v6 ? 16 : 4;
    for (int i = 0; i < bytes; ++i) {
        const int kept = std::clamp(network.prefix - 8 * i, 0, 8);
        network.base.address[i] &= static_cast<std::uint8_t>(0xff00 >> kept);
    }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

bool same_share_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

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
    mask(network);
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
                               {"anonymous_gid", anonymous_gid},
                               {"made_uid", made_uid},
                               {"made_gid", made_gid},
                               {"made_mode", made_mode}};
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
            const auto network = Network::parse(n.as_string());
            if (!network) return fail(Errc::bad_message, fmt::format("a share's record: {}", network.error().detail));
            share.clients.push_back(*network);
        }
        const auto squash = squash_of(o.at("squash").as_string());
        if (!squash) return fail(Errc::bad_message, "a share's record has an unknown squash");
        share.squash = *squash;
        share.anonymous_uid = o.at("anonymous_uid").to_number<std::uint32_t>();
        share.anonymous_gid = o.at("anonymous_gid").to_number<std::uint32_t>();
        share.made_uid = o.at("made_uid").to_number<std::uint32_t>();
        share.made_gid = o.at("made_gid").to_number<std::uint32_t>();
        share.made_mode = o.at("made_mode").to_number<std::uint32_t>();
        if (auto named = check_share_name(share.name); !named) return fail(Errc::bad_message, named.error().detail);
        if (share.root == FileId{}) return fail(Errc::bad_message, "a share's record names no directory");
        return share;
    } catch (const std::exception& e) {  // Boost.JSON's way to tell of a missing key or a wrong type
        return fail(Errc::bad_message, fmt::format("a share's record: {}", e.what()));
    }
}

namespace {

// uid 4294967295 is how system calls say "leave it as it is": nobody has it.
std::optional<std::uint32_t> id_number(std::string_view text) {
    const auto id = number<std::uint32_t>(text);
    return id == UINT32_MAX ? std::nullopt : id;
}

struct Option {
    std::string_view key, value;
    bool has_value = false;
};

Result<> apply_option(ShareSpec& spec, const Option& option) {
    const auto& [key, value, has_value] = option;
    const auto bad = [&](std::string_view expected) {
        return fail(Errc::config, fmt::format("{}={}: expected {}", option.key, option.value, expected));
    };
    if (key == "ro") {
        if (has_value) return fail(Errc::config, fmt::format("ro={}: ro takes no value", value));
        spec.share.read_only = true;
    } else if (key == "owner") {
        const auto colon = value.find(':');
        const auto uid = id_number(value.substr(0, colon));
        const auto gid = colon == std::string_view::npos ? uid : id_number(value.substr(colon + 1));
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
        const auto network = Network::parse(value);
        if (!network) return bad("an address, or a network such as 192.0.2.0/24");
        spec.share.clients.push_back(*network);
    } else if (key == "comment") {
        // The record is JSON, which would not be read again with anything else in it.
        if (value.size() > comment_size_max || !is_line_of_text(value)) {
            return fail(Errc::config,
                        fmt::format("comment: expected at most {} bytes of UTF-8 without control characters", comment_size_max));
        }
        spec.share.comment = value;
    } else {
        return fail(Errc::config, fmt::format("unknown option \"{}\" (known: owner, mode, ro, squash, client, comment)", key));
    }
    const bool first = spec.given.insert(std::string(key)).second;
    if (!first && key != "client") return fail(Errc::config, fmt::format("{} is given twice", key));
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
        const std::string_view words = rest.substr(0, comma);
        const auto equals = words.find('=');
        Option option{words.substr(0, equals), {}, equals != std::string_view::npos};
        if (option.has_value) option.value = words.substr(equals + 1);
        CHECK_OK(apply_option(spec, option));
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

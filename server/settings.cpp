// SPDX-License-Identifier: Apache-2.0
// What can be set, how a value is checked, and which name is nearest to a wrong one.
#include "server/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace strata {

namespace {

constexpr std::size_t shown_max = 120;    // bytes of a name or value in a message
constexpr std::size_t compared_max = 64;  // bytes of a wrong name that are compared with the known ones
constexpr std::size_t folder_size_max = 4000;

template <class N>
Result<> set_number(N& target, std::string_view text, N low, N high) {
    N value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
        return fail(Errc::config, fmt::format("{} is not a number from {} to {}", in_quotes(text), low, high));
    }
    target = value;
    return {};
}

Result<> check_folder(std::string_view text) {
    if (text.empty()) return fail(Errc::config, "a folder was expected, not an empty text");
    if (text.size() > folder_size_max) return fail(Errc::config, fmt::format("a folder's path has at most {} bytes", folder_size_max));
    if (text.find('\0') != std::string_view::npos) return fail(Errc::config, "no folder's path has a zero byte");
    return {};
}

Result<> set_data(Config& config, std::string_view text) {
    CHECK_OK(check_folder(text));
    config.data = text;
    return {};
}

Result<> add_store(Config& config, std::string_view text) {
    CHECK_OK(check_folder(text));
    config.stores.emplace_back(text);
    return {};
}

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};

Result<> set_level(Config& config, std::string_view text) {
    const auto it = std::ranges::find(level_names, text);
    if (it == level_names.end()) return fail(Errc::config, fmt::format("{} is not debug, info, warning or error", in_quotes(text)));
    config.log_level = static_cast<LogLevel>(it - level_names.begin());
    return {};
}

Result<> set_policy(Config& config, std::string_view text) {
    TRY(policy, cluster::Policy::parse(text.substr(0, shown_max)));
    config.policy = policy;
    return {};
}

Result<> add_share(Config& config, std::string_view text) {
    TRY(spec, vfs::ShareSpec::parse(text));
    for (const auto& other : config.shares) {
        if (other.share.name == spec.share.name) return fail(Errc::config, fmt::format("share \"{}\" is given twice", spec.share.name));
        if (vfs::same_share_name(other.share.name, spec.share.name)) {
            return fail(Errc::config, fmt::format("shares \"{}\" and \"{}\" differ in case only", other.share.name, spec.share.name));
        }
    }
    config.shares.push_back(std::move(spec));
    return {};
}

Result<> set_listen(Config& config, std::string_view text) {
    TRY(endpoint, Endpoint::parse(text.substr(0, shown_max)));
    config.nfs = endpoint;
    return {};
}

using Kind = Setting::Kind;

constexpr Setting settings[] = {
    {"--data", "data", "DIR", "folder of this node's state; made if missing", Kind::text, set_data},
    {"--store", "stores", "DIR", "folder of one chunk store, best on a disk of its own; repeat it (default: DIR/stores/0)", Kind::texts,
     add_store},
    {"--policy", "policy", "P", "single, mirror-N or ec-K+M for new data (default: by the number of stores)", Kind::text, set_policy},
    {"--share", "shares", "SPEC", "NAME[:owner=UID:GID,mode=0770,ro,squash=auto|none|root|all,client=CIDR]; repeat it", Kind::texts,
     add_share},
    {"--nfs", "nfs.listen", "ADDR:PORT", "where NFS listens (default: 127.0.0.1:12049)", Kind::text, set_listen},
    {"--nfs-lease", "nfs.lease_seconds", "N", "NFS lease (default: 60)", Kind::number,
     [](Config& c, std::string_view v) { return set_number(c.nfs_lease_seconds, v, 1, 3600); }},
    {"--nfs-grace", "nfs.grace_seconds", "N", "grace period after a restart (default: the lease)", Kind::number,
     [](Config& c, std::string_view v) { return set_number(c.nfs_grace_seconds, v, 0, 3600); }},
    {"--nfs-connections", "nfs.connections_max", "N",
     "connections before accepting pauses (default: 110000; fewer if the limit of open files is low)", Kind::number,
     [](Config& c, std::string_view v) { return set_number(c.nfs_connections_max, v, 1u, 1'000'000u); }},
    {"--threads", "limits.threads", "N", "io threads (default: one a core)", Kind::number,
     [](Config& c, std::string_view v) { return set_number(c.threads, v, 0, 256); }},
    {"--memory", "limits.memory_mib", "MIB", "memory for buffers and caches (default: a quarter of the machine's)", Kind::number,
     [](Config& c, std::string_view v) { return set_number<std::uint64_t>(c.memory_mib, v, 0, 1 << 24); }},
    {"--segment-mib", "limits.segment_mib", "MIB", "size of a chunk store's segments (default: 256, less on small disks)", Kind::number,
     [](Config& c, std::string_view v) { return set_number<std::uint64_t>(c.segment_mib, v, 8, 4096); }},
    {"--log-level", "log.level", "L", "debug, info, warning or error (default: info)", Kind::text, set_level},
};

// Letters to insert, remove or replace.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

std::string_view section_of(const Setting& setting) {
    const auto dot = setting.key.find('.');
    return dot == std::string_view::npos ? std::string_view() : setting.key.substr(0, dot);
}

template <class Name>
std::string_view nearest(std::string_view wrong, Name name_of) {
    wrong = wrong.substr(0, compared_max);
    std::string_view best;
    std::size_t least = SIZE_MAX;
    for (const auto& setting : settings) {
        const std::string_view name = name_of(setting);
        if (name.empty()) continue;
        if (const auto changes = distance(wrong, name); changes < least) {
            least = changes;
            best = name;
        }
    }
    return best;
}

}  // namespace

std::span<const Setting> all_settings() { return settings; }

std::string_view nearest_flag(std::string_view name) { return nearest(name, std::mem_fn(&Setting::flag)); }

// A key without its section, or in the wrong one, is found by its last part.
std::string_view nearest_key(std::string_view name) {
    const auto dot = name.rfind('.');
    const auto last = dot == std::string_view::npos ? name : name.substr(dot + 1);
    for (const auto& setting : settings) {
        if (!section_of(setting).empty() && setting.key.substr(section_of(setting).size() + 1) == last) return setting.key;
    }
    return nearest(name, std::mem_fn(&Setting::key));
}

bool is_section(std::string_view name) {
    return !name.empty() && std::ranges::any_of(settings, [&](const Setting& s) { return section_of(s) == name; });
}

std::string_view nearest_section(std::string_view name) { return nearest(name, section_of); }

std::string in_quotes(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, shown_max)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (text.size() > shown_max ? "...\"" : "\"");
}

}  // namespace strata

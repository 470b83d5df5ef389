// SPDX-License-Identifier: Apache-2.0
// Flags and TOML keys: one table of settings serves both, so neither can have what the other lacks.
#include "server/config.h"

#include <charconv>
#include <fstream>
#include <functional>
#include <sstream>

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace strata {

namespace {

struct Setting {
    std::string_view flag;
    std::string_view key;       // dotted
    std::string_view argument;  // as help shows it
    std::string_view help;
    bool repeated;  // a TOML array of strings
    Result<> (*set)(Config&, std::string_view);
};

template <class N>
Result<> set_number(N& target, std::string_view text, N low, N high) {
    N value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
        return fail(Errc::config, fmt::format("\"{}\" is not a number from {} to {}", text, low, high));
    }
    target = value;
    return {};
}

Result<> set_path(std::string& target, std::string_view text) {
    if (text.empty()) return fail(Errc::config, "an empty path");
    target = text;
    return {};
}

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};

Result<> set_level(Config& c, std::string_view text) {
    const auto it = std::ranges::find(level_names, text);
    if (it == level_names.end()) return fail(Errc::config, fmt::format("\"{}\" is not debug, info, warning or error", text));
    c.log_level = static_cast<LogLevel>(it - level_names.begin());
    return {};
}

Result<> set_policy(Config& c, std::string_view text) {
    TRY(policy, cluster::Policy::parse(text));
    c.policy = policy;
    return {};
}

Result<> add_share(Config& c, std::string_view text) {
    TRY(spec, vfs::ShareSpec::parse(text));
    for (const auto& other : c.shares) {
        if (other.share.name == spec.share.name) return fail(Errc::config, fmt::format("share \"{}\" is given twice", spec.share.name));
    }
    c.shares.push_back(std::move(spec));
    return {};
}

Result<> set_listen(Config& c, std::string_view text) {
    TRY(endpoint, Endpoint::parse(text));
    c.nfs = endpoint;
    return {};
}

const Setting settings[] = {
    {"--data", "data", "DIR", "folder of this node's state; made if missing", false,
     [](Config& c, std::string_view v) { return set_path(c.data, v); }},
    {"--store", "stores", "DIR", "folder of one chunk store, best on a disk of its own; repeat it (default: DIR/stores/0)", true,
     [](Config& c, std::string_view v) { return set_path(c.stores.emplace_back(), v); }},
    {"--policy", "policy", "P", "single, mirror-N or ec-K+M for new data (default: by the number of stores)", false, set_policy},
    {"--share", "shares", "SPEC", "NAME[:owner=UID:GID,mode=0770,ro,squash=auto|none|root|all,client=CIDR]; repeat it", true, add_share},
    {"--nfs", "nfs.listen", "ADDR:PORT", "where NFS listens (default: 127.0.0.1:12049)", false, set_listen},
    {"--nfs-lease", "nfs.lease_seconds", "N", "NFS lease (default: 60)", false,
     [](Config& c, std::string_view v) { return set_number(c.nfs_lease_seconds, v, 1, 3600); }},
    {"--nfs-grace", "nfs.grace_seconds", "N", "grace period after a restart (default: the lease)", false,
     [](Config& c, std::string_view v) { return set_number(c.nfs_grace_seconds, v, 0, 3600); }},
    {"--nfs-connections", "nfs.connections_max", "N", "connections before accepting pauses (default: 110000)", false,
     [](Config& c, std::string_view v) { return set_number(c.nfs_connections_max, v, 1u, 1'000'000u); }},
    {"--threads", "limits.threads", "N", "io threads (default: one a core)", false,
     [](Config& c, std::string_view v) { return set_number(c.threads, v, 0, 256); }},
    {"--memory", "limits.memory_mib", "MIB", "memory for buffers and caches (default: a quarter of the machine's)", false,
     [](Config& c, std::string_view v) { return set_number<std::uint64_t>(c.memory_mib, v, 0, 1 << 24); }},
    {"--segment-mib", "limits.segment_mib", "MIB", "size of a chunk store's segments (default: 256)", false,
     [](Config& c, std::string_view v) { return set_number<std::uint64_t>(c.segment_mib, v, 8, 4096); }},
    {"--log-level", "log.level", "L", "debug, info, warning or error (default: info)", false, set_level},
};

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

std::string_view nearest(std::string_view name, std::string_view Setting::* member) {
    const Setting* best = &settings[0];
    for (const auto& s : settings) {
        if (distance(name, s.*member) < distance(name, best->*member)) best = &s;
    }
    return best->*member;
}

std::string position(const std::string& file, const toml::source_region& at) {
    return fmt::format("{}:{}:{}", file, at.begin.line, at.begin.column);
}

Result<std::string> scalar_text(const toml::node& node, const std::string& where) {
    if (auto s = node.value_exact<std::string>()) return *s;
    if (auto i = node.value_exact<std::int64_t>()) return std::to_string(*i);
    return fail(Errc::config, fmt::format("{}: expected a string or a number", where));
}

Result<> set_from(const Setting& setting, const toml::node& node, const std::string& file, Config& config) {
    const std::string where = fmt::format("{}: {}", position(file, node.source()), setting.key);
    const auto one = [&](const toml::node& value) -> Result<> {
        TRY(text, scalar_text(value, where));
        if (auto done = setting.set(config, text); !done) return fail(Errc::config, fmt::format("{}: {}", where, done.error().detail));
        return {};
    };
    if (!setting.repeated) return one(node);
    const toml::array* list = node.as_array();
    if (list == nullptr) return fail(Errc::config, fmt::format("{}: expected an array of strings", where));
    for (const auto& item : *list) CHECK_OK(one(item));
    return {};
}

Result<> walk(const toml::table& table, const std::string& prefix, const std::string& file, Config& config) {
    for (const auto& [key, node] : table) {
        const std::string name = prefix + std::string(key.str());
        const auto it = std::ranges::find(settings, name, &Setting::key);
        if (it != std::end(settings)) {
            CHECK_OK(set_from(*it, node, file, config));
            continue;
        }
        const bool section = std::ranges::any_of(settings, [&](const Setting& s) { return s.key.starts_with(name + "."); });
        if (section && node.is_table()) {
            CHECK_OK(walk(*node.as_table(), name + ".", file, config));
            continue;
        }
        return fail(Errc::config, fmt::format("{}: unknown key \"{}\"; did you mean \"{}\"?", position(file, key.source()), name,
                                              nearest(name, &Setting::key)));
    }
    return {};
}

struct Flag {
    const Setting* setting;
    std::string value;
};

Result<Verb> verb_of(const std::vector<std::string>& words, CommandLine& out) {
    if (words.empty()) return Verb::serve;
    if (words[0] == "check" && words.size() == 1) return Verb::check;
    if (words[0] == "status" && words.size() == 1) return Verb::status;
    if (words[0] == "scrub" && words.size() == 1) return Verb::scrub;
    if (words[0] == "help" && words.size() == 1) return Verb::help;
    if (words[0] == "disk" && words.size() == 4 && words[1] == "replace") {
        out.operands = {words[2], words[3]};
        return Verb::disk_replace;
    }
    return fail(Errc::config, fmt::format("unknown command \"{}\"; see stratad --help", fmt::join(words, " ")));
}

}  // namespace

Result<> parse_toml(std::string_view text, const std::string& name, Config& config) {
    const toml::parse_result parsed = toml::parse(text, name);
    if (!parsed) {
        return fail(Errc::config, fmt::format("{}: {}", position(name, parsed.error().source()), parsed.error().description()));
    }
    return walk(parsed.table(), "", name, config);
}

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
    CommandLine out;
    out.config.nfs = *Endpoint::parse("127.0.0.1:12049");
    std::vector<Flag> flags;
    std::vector<std::string> words;
    std::string file;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string argument = arguments[i];
        if (argument == "--help" || argument == "-h") {
            out.verb = Verb::help;
            return out;
        }
        if (argument == "--version") {
            out.verb = Verb::version;
            return out;
        }
        if (!argument.starts_with("--")) {
            words.push_back(std::move(argument));
            continue;
        }
        std::optional<std::string> value;
        if (const auto equals = argument.find('='); equals != std::string::npos) {
            value = argument.substr(equals + 1);
            argument.resize(equals);
        }
        const auto it = std::ranges::find(settings, std::string_view(argument), &Setting::flag);
        if (it == std::end(settings) && argument != "--config") {
            return fail(Errc::config, fmt::format("unknown flag {}; did you mean {}?", argument, nearest(argument, &Setting::flag)));
        }
        if (!value && i + 1 < arguments.size()) value = arguments[++i];
        if (!value) return fail(Errc::config, fmt::format("{} needs a value", argument));
        if (it == std::end(settings)) {
            file = *value;
        } else {
            flags.push_back({it, *value});
        }
    }
    TRY(verb, verb_of(words, out));
    out.verb = verb;
    if (!file.empty()) {
        std::ifstream in(file);
        if (!in) return fail(Errc::config, fmt::format("--config {}: cannot be read", file));
        std::stringstream text;
        text << in.rdbuf();
        CHECK_OK(parse_toml(text.str(), file, out.config));
    }
    // A repeated flag replaces the file's list as a whole.
    for (const auto& flag : flags) {
        if (flag.setting->key == "stores") out.config.stores.clear();
        if (flag.setting->key == "shares") out.config.shares.clear();
    }
    for (const auto& flag : flags) {
        if (auto done = flag.setting->set(out.config, flag.value); !done) {
            return fail(Errc::config, fmt::format("{} {}: {}", flag.setting->flag, flag.value, done.error().detail));
        }
    }
    if (out.verb != Verb::help && out.config.data.empty())
        return fail(Errc::config, "--data DIR is needed: the folder of this node's state");
    return out;
}

std::string help_text() {
    std::string text =
        "stratad: serves files over NFSv4 from replicated or erasure-coded chunk stores\n\n"
        "  stratad --data DIR [flags]              serve; makes what is missing\n"
        "  stratad check --data DIR                verify offline that metadata, chunks and checksums agree; exit 1 if not\n"
        "  stratad status --data DIR               ask a running stratad about stores, redundancy and repair\n"
        "  stratad scrub --data DIR                ask a running stratad to verify every shard now\n"
        "  stratad disk replace OLD NEW --data DIR  give a running stratad an empty folder in place of a lost store\n\n"
        "  --config FILE.toml                  every flag below has its key in the file; flags win\n";
    for (const auto& s : settings) text += fmt::format("  {:<36}{} [{}]\n", fmt::format("{} {}", s.flag, s.argument), s.help, s.key);
    return text;
}

}  // namespace strata

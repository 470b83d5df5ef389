// SPDX-License-Identifier: Apache-2.0
// The command line, and what only both sources together can be checked for.
#include "server/config.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "server/settings.h"

namespace strata {

namespace {

constexpr std::size_t file_size_max = 1 << 20;  // bytes of a configuration file

// What the command line says, before anything is checked against anything else.
struct Arguments {
    struct Flag {
        const Setting* setting;
        std::string value;
    };
    std::vector<Flag> flags;
    std::vector<std::string> words;
    std::optional<std::string> file;
    std::optional<Verb> verb;  // of --help and --version, which end the reading
    std::vector<std::string> problems;
};

// "--flag=value" or "--flag value". What looks like the next flag is no value: "--data --share x" forgot one.
class ArgumentReader {
public:
    explicit ArgumentReader(const std::vector<std::string>& arguments) : arguments_(arguments) {}

    Arguments read() {
        while (next_ < arguments_.size() && !out_.verb) {
            const std::string& argument = arguments_[next_++];
            if (argument == "--help" || argument == "-h") {
                out_.verb = Verb::help;
            } else if (argument == "--version") {
                out_.verb = Verb::version;
            } else if (argument.starts_with("-")) {
                flag(argument);
            } else {
                out_.words.push_back(argument);
            }
        }
        return std::move(out_);
    }

private:
    void flag(const std::string& argument) {
        const auto equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        std::optional<std::string> value;
        if (equals != std::string::npos) {
            value = argument.substr(equals + 1);
        } else if (next_ < arguments_.size() && !arguments_[next_].starts_with("--")) {
            value = arguments_[next_++];
        }
        const auto it = std::ranges::find(all_settings(), std::string_view(name), &Setting::flag);
        if (it == all_settings().end() && name != "--config") {
            out_.problems.push_back(fmt::format("unknown flag {}; did you mean {}?", in_quotes(name), nearest_flag(name)));
        } else if (!value) {
            out_.problems.push_back(fmt::format("{} needs a value", name));
        } else if (it == all_settings().end()) {
            if (out_.file)
                out_.problems.push_back(fmt::format("--config is given twice: {} and {}", in_quotes(*out_.file), in_quotes(*value)));
            out_.file = *value;
        } else {
            out_.flags.push_back({&*it, *value});
        }
    }

    const std::vector<std::string>& arguments_;
    std::size_t next_ = 0;
    Arguments out_;
};

Result<std::string> read_config_file(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return fail(Errc::config, fmt::format("--config {}: is a folder", in_quotes(path)));
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(Errc::config, fmt::format("--config {}: cannot be read", in_quotes(path)));
    std::string text(file_size_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (in.bad()) return fail(Errc::config, fmt::format("--config {}: cannot be read", in_quotes(path)));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > file_size_max)
        return fail(Errc::config, fmt::format("--config {}: larger than {} bytes", in_quotes(path), file_size_max));
    return text;
}

void apply_flags(const std::vector<Arguments::Flag>& flags, Config& config, std::vector<std::string>& problems) {
    for (const auto& flag : flags) {
        if (flag.setting->key == "stores") config.stores.clear();
        if (flag.setting->key == "shares") config.shares.clear();
    }
    for (auto flag = flags.begin(); flag != flags.end(); ++flag) {
        const Setting& setting = *flag->setting;
        const auto earlier = std::ranges::find(flags.begin(), flag, flag->setting, &Arguments::Flag::setting);
        if (earlier != flag && setting.kind != Setting::Kind::texts) {
            problems.push_back(
                fmt::format("{} is given twice: {} and {}", setting.flag, in_quotes(earlier->value), in_quotes(flag->value)));
        } else if (auto done = setting.set(config, flag->value); !done) {
            problems.push_back(fmt::format("{} {}: {}", setting.flag, in_quotes(flag->value), done.error().detail));
        }
    }
}

std::optional<Verb> verb_of(const std::vector<std::string>& words) {
    constexpr std::array<std::pair<std::string_view, Verb>, 4> verbs{
        {{"check", Verb::check}, {"status", Verb::status}, {"scrub", Verb::scrub}, {"help", Verb::help}}};
    if (words.empty()) return Verb::serve;
    if (words.size() == 4 && words[0] == "disk" && words[1] == "replace") return Verb::disk_replace;
    const auto it = std::ranges::find(verbs, words[0], &std::pair<std::string_view, Verb>::first);
    if (it == verbs.end() || words.size() != 1) return std::nullopt;
    return it->second;
}

// By letters only: what is missing now may be mounted later, and a link may point elsewhere then.
std::string absolute_folder(const std::string& folder) {
    std::error_code error;
    auto path = std::filesystem::absolute(folder, error);
    if (error) path = folder;
    std::string text = path.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    return text;
}

void check_folders(Config& config, std::vector<std::string>& problems) {
    config.data = absolute_folder(config.data);
    for (auto& store : config.stores) store = absolute_folder(store);
    for (auto store = config.stores.begin(); store != config.stores.end(); ++store) {
        if (std::find(config.stores.begin(), store, *store) != store) {
            problems.push_back(fmt::format("store {} is given twice", in_quotes(*store)));
            continue;
        }
        if (*store == config.data) problems.push_back(fmt::format("{} cannot be both the data folder and a store", in_quotes(*store)));
        if (is_inside(config.data, *store)) {
            problems.push_back(fmt::format("the data folder {} lies inside the store {}", in_quotes(config.data), in_quotes(*store)));
        }
        for (const auto& other : config.stores) {
            if (is_inside(*store, other))
                problems.push_back(fmt::format("store {} lies inside store {}", in_quotes(*store), in_quotes(other)));
        }
    }
}

// A client that was away for a whole lease must still find the grace period open (RFC 8881, 8.4.2.1).
void check_grace(const Config& config, std::vector<std::string>& problems) {
    if (config.grace_seconds() >= config.nfs_lease_seconds) return;
    problems.push_back(fmt::format("nfs.grace_seconds ({}) is shorter than nfs.lease_seconds ({}): clients could not reclaim in time",
                                   config.nfs_grace_seconds, config.nfs_lease_seconds));
}

Result<CommandLine> failed(const std::vector<std::string>& problems) {
    return fail(Errc::config, fmt::format("{}", fmt::join(problems, "\n")));
}

}  // namespace

bool is_inside(std::string_view folder, std::string_view outer) {
    return folder.starts_with(outer) && (outer.ends_with('/') || (folder.size() > outer.size() && folder[outer.size()] == '/'));
}

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
    Arguments given = ArgumentReader(arguments).read();
    CommandLine out;
    auto& problems = given.problems;
    if (given.verb) {
        out.verb = *given.verb;
        return out;
    }
    const auto verb = verb_of(given.words);
    if (!verb)
        problems.push_back(
            fmt::format("unknown command {}; see stratad --help", in_quotes(fmt::format("{}", fmt::join(given.words, " ")))));
    out.verb = verb.value_or(Verb::serve);
    if (out.verb == Verb::help && problems.empty()) return out;
    if (given.file) {
        auto text = read_config_file(*given.file);
        const auto done = text ? parse_toml(*text, *given.file, out.config) : Result<>(fail(text.error()));
        if (!done) problems.push_back(done.error().detail);
    }
    apply_flags(given.flags, out.config, problems);
    if (out.config.data.empty() && problems.empty()) problems.emplace_back("--data DIR is needed: the folder of this node's state");
    if (!problems.empty()) return failed(problems);
    check_folders(out.config, problems);
    check_grace(out.config, problems);
    if (out.verb == Verb::disk_replace) out.operands = {absolute_folder(given.words[2]), absolute_folder(given.words[3])};
    if (!problems.empty()) return failed(problems);
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
    for (const auto& s : all_settings()) text += fmt::format("  {:<36}{} [{}]\n", fmt::format("{} {}", s.flag, s.argument), s.help, s.key);
    return text;
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
// The TOML side of the settings. Apart from the rest because its parser is slow to compile.
#include <algorithm>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "server/config.h"
#include "server/settings.h"

namespace strata {

namespace {

// Gathers what is wrong, all of it: who mends a file wants to know it in one go.
class Reader {
public:
    Reader(std::string file, Config& config) : file_(std::move(file)), config_(config) {}

    void read(const toml::table& table, const std::string& prefix) {
        for (const auto& [key, node] : table) {
            const std::string name = prefix + std::string(key.str());
            const auto it = std::ranges::find(all_settings(), std::string_view(name), &Setting::key);
            if (it != all_settings().end()) {
                set(*it, node);
            } else if (!is_section(name)) {
                unknown(name, key.source(), prefix.empty() && node.is_table());
            } else if (const auto* section = node.as_table()) {
                read(*section, name + ".");
            } else {
                wrong(key.source(), fmt::format("{} is a section: write [{}] and its keys below", in_quotes(name), name));
            }
        }
    }
    // In the order of the file.
    std::vector<std::string> problems() {
        std::ranges::sort(problems_, {}, [](const Problem& p) { return std::tuple(p.at.line, p.at.column, std::string_view(p.text)); });
        std::vector<std::string> lines;
        for (const auto& [at, text] : problems_) lines.push_back(text);
        return lines;
    }

private:
    struct Problem {
        toml::source_position at;
        std::string text;
    };
    void wrong(const toml::source_region& at, std::string_view what) {
        problems_.push_back({at.begin, fmt::format("{}:{}:{}: {}", file_, at.begin.line, at.begin.column, what)});
    }

    void unknown(const std::string& name, const toml::source_region& at, bool section) {
        const auto near = section ? nearest_section(name) : nearest_key(name);
        wrong(at, fmt::format("unknown {} {}; did you mean \"{}\"?", section ? "section" : "key", in_quotes(name), near));
    }

    void set_one(const Setting& setting, const toml::node& node, std::string_view text) {
        auto done = setting.set(config_, text);
        if (!done) wrong(node.source(), fmt::format("{}: {}", setting.key, done.error().detail));
    }

    void set_text(const Setting& setting, const toml::node& node, std::string_view expected) {
        const auto* text = node.as_string();
        if (text == nullptr) return wrong(node.source(), fmt::format("{}: expected {}", setting.key, expected));
        set_one(setting, node, text->get());
    }

    void set(const Setting& setting, const toml::node& node) {
        if (setting.kind == Setting::Kind::text) return set_text(setting, node, "a string");
        if (setting.kind == Setting::Kind::number) {
            const auto* number = node.as_integer();
            if (number == nullptr) return wrong(node.source(), fmt::format("{}: expected an integer", setting.key));
            return set_one(setting, node, std::to_string(number->get()));
        }
        const auto* list = node.as_array();
        if (list == nullptr) return wrong(node.source(), fmt::format("{}: expected an array of strings", setting.key));
        for (const auto& item : *list) set_text(setting, item, "an array of strings");
    }

    std::string file_;
    Config& config_;
    std::vector<Problem> problems_;
};

}  // namespace

Result<> parse_toml(std::string_view text, const std::string& name, Config& config) {
    // The parser throws; told not to, it goes on after a mistake.
    try {
        const toml::table table = toml::parse(text, name);
        Reader reader(name, config);
        reader.read(table, "");
        const auto problems = reader.problems();
        if (problems.empty()) return {};
        return fail(Errc::config, fmt::format("{}", fmt::join(problems, "\n")));
    } catch (const toml::parse_error& e) {
        const auto& at = e.source().begin;
        return fail(Errc::config, fmt::format("{}:{}:{}: {}", name, at.line, at.column, e.description()));
    }
}

}  // namespace strata

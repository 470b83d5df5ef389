// SPDX-License-Identifier: Apache-2.0
// The possible contents of a file.
#include "tests/sim/workloads/content_oracle.h"

#include <algorithm>

#include <fmt/format.h>

namespace strata::sim {

namespace {

void put(std::string& content, std::uint64_t offset, std::string_view bytes) {
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
    content.replace(offset, bytes.size(), bytes);
}

// Runs of bytes that differ, as "[from, to)", the first few.
std::string runs_that_differ(std::string_view a, std::string_view b) {
    constexpr int shown_max = 4;
    std::string text;
    const std::size_t end = std::max(a.size(), b.size());
    auto differs = [&](std::size_t i) { return i >= a.size() || i >= b.size() || a[i] != b[i]; };
    int shown = 0;
    for (std::size_t i = 0; i < end && shown < shown_max; ++i) {
        if (!differs(i)) continue;
        std::size_t to = i;
        while (to < end && differs(to)) ++to;
        text += fmt::format(" [{}, {})", i, to);
        ++shown;
        i = to;
    }
    return text.empty() ? " nowhere" : text;
}

}  // namespace

void ContentOracle::write(std::uint64_t offset, std::string_view bytes) {
    auto content = std::make_shared<std::string>(newest());
    put(*content, offset, bytes);
    possible_.push_back({std::move(content), possible_.back().position});
}

void ContentOracle::commit() {
    if (possible_.back().position <= acknowledged_) commit_all();
}

template <class Change>
void ContentOracle::reshape(std::uint64_t position, Change change) {
    const std::size_t before = possible_.size();
    for (std::size_t i = 0; i < before; ++i) {
        auto content = std::make_shared<std::string>(*possible_[i].content);
        change(*content);
        possible_.push_back({std::move(content), position});
    }
}

void ContentOracle::set_size(std::uint64_t size, std::uint64_t position) {
    reshape(position, [size](std::string& content) { content.resize(size); });
}

void ContentOracle::make_hole(std::uint64_t offset, std::uint64_t length, std::uint64_t position) {
    reshape(position, [=](std::string& content) {
        const std::size_t end = std::min<std::uint64_t>(content.size(), offset + length);
        if (offset < end)
            std::fill(content.begin() + static_cast<std::ptrdiff_t>(offset), content.begin() + static_cast<std::ptrdiff_t>(end), '\0');
    });
}

void ContentOracle::reserve(std::uint64_t offset, std::uint64_t length, std::uint64_t position) {
    reshape(position, [=](std::string& content) { content.resize(std::max<std::uint64_t>(content.size(), offset + length)); });
}

void ContentOracle::overlay(std::uint64_t offset, std::string_view bytes, std::uint64_t position) {
    const std::string copy(bytes);
    reshape(position, [&copy, offset](std::string& content) { put(content, offset, copy); });
}

void ContentOracle::acknowledge(std::uint64_t position) {
    acknowledged_ = std::max(acknowledged_, position);
    std::uint64_t newest_acknowledged = 0;
    for (const auto& p : possible_) {
        if (p.position <= position) newest_acknowledged = std::max(newest_acknowledged, p.position);
    }
    std::erase_if(possible_, [&](const Possible& p) { return p.position < newest_acknowledged; });
}

bool ContentOracle::adopt(std::string_view actual, bool* lost) {
    for (auto it = possible_.rbegin(); it != possible_.rend(); ++it) {
        if (*it->content != actual) continue;
        if (lost != nullptr) *lost = *it->content != newest();
        possible_ = {{it->content, 0}};
        return true;
    }
    return false;
}

bool ContentOracle::see(std::string_view actual) {
    for (auto it = possible_.rbegin(); it != possible_.rend(); ++it) {
        if (*it->content != actual) continue;
        // The change may not have happened: then it put an end to nothing, and the acknowledgement of a later one must not say so.
        const Possible seen{it->content, possible_.back().position};
        for (auto& possible : possible_) possible.position = seen.position;
        possible_.push_back(seen);
        return true;
    }
    return false;
}

std::string ContentOracle::difference(std::string_view actual) const {
    return fmt::format("{} bytes; of {} possible contents the oldest has {} bytes and differs at{}, the newest has {} and differs at{}",
                       actual.size(), possible_.size(), possible_.front().content->size(),
                       runs_that_differ(actual, *possible_.front().content), newest().size(), runs_that_differ(actual, newest()));
}

}  // namespace strata::sim

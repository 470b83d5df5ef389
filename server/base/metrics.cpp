// SPDX-License-Identifier: Apache-2.0
// The registry of counters and its text form.
#include "server/base/metrics.h"

namespace strata {

Counter& Metrics::counter(const std::string& name) {
    std::lock_guard lock(mutex_);
    auto [it, inserted] = by_name_.try_emplace(name, nullptr);
    if (inserted) it->second = &counters_.emplace_back();
    return *it->second;
}

std::string Metrics::text() const {
    std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& [name, counter] : by_name_) {
        auto labels = name.find('{');
        out += "strata_";
        // Scopes are dotted in the source; Prometheus allows no dots in a name.
        for (std::size_t i = 0; i < name.size(); ++i) out += i < labels && name[i] == '.' ? '_' : name[i];
        out += ' ';
        out += std::to_string(counter->value());
        out += '\n';
    }
    return out;
}

}  // namespace strata

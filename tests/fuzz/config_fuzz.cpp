// SPDX-License-Identifier: Apache-2.0
// Fuzz: the configuration file, flags, share specs, networks, and the records of shares and users. The first byte says which. What is taken
// is within its bounds and, where it has a text form, comes back from it; what is refused says why.
#include "server/config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/assert.h"
#include "server/vfs/share.h"
#include "server/vfs/user.h"

using namespace strata;

namespace {

void check_refusal(const Error& error) {
    STRATA_ASSERT(error == Errc::config);
    STRATA_ASSERT(!error.detail.empty());
}

void check_spec(const vfs::ShareSpec& spec) {
    STRATA_ASSERT(!spec.share.name.empty() && spec.share.name.size() <= 80);
    STRATA_ASSERT(!spec.mode || *spec.mode <= 07777);
    // What the command line takes can be stored and read again.
    vfs::Share share = spec.share;
    share.root = {2, 1};
    const auto again = vfs::Share::parse(share.serialize());
    STRATA_ASSERT(again.has_value());
    STRATA_ASSERT(again->serialize() == share.serialize());
}

void check_config(const Config& config) {
    STRATA_ASSERT(config.nfs_lease_seconds >= 1 && config.nfs_lease_seconds <= 3600);
    STRATA_ASSERT(config.nfs_grace_seconds >= 0 && config.nfs_connections_max >= 1);
    STRATA_ASSERT(config.threads >= 0 && config.threads <= 256);
    const auto listen = Endpoint::parse(config.nfs.to_string());
    STRATA_ASSERT(listen.has_value() && *listen == config.nfs);
    for (const auto& spec : config.shares) check_spec(spec);
}

void fuzz_toml(std::string_view text) {
    Config config;
    const auto done = parse_toml(text, "fuzz.toml", config);
    if (!done) check_refusal(done.error());
    check_config(config);
}

// Arguments are separated by zero bytes. A file of the machine is none of a fuzzer's business.
void fuzz_flags(std::string_view text) {
    std::vector<std::string> arguments;
    while (!text.empty()) {
        const auto end = std::min(text.find('\0'), text.size());
        arguments.emplace_back(text.substr(0, end));
        if (arguments.back().starts_with("--config")) return;
        text.remove_prefix(std::min(text.size(), end + 1));
    }
    const auto line = parse_command_line(arguments);
    if (line) {
        check_config(line->config);
    } else {
        check_refusal(line.error());
    }
}

void fuzz_share_spec(std::string_view text) {
    const auto spec = vfs::ShareSpec::parse(text);
    if (spec) {
        check_spec(*spec);
    } else {
        check_refusal(spec.error());
    }
}

void fuzz_network(std::string_view text) {
    const auto network = vfs::Network::parse(text);
    if (!network) return;
    const auto again = vfs::Network::parse(network->to_string());
    STRATA_ASSERT(again.has_value());
    STRATA_ASSERT(again->base == network->base && again->prefix == network->prefix);
    STRATA_ASSERT(network->contains(network->base));
}

template <class Record>
void fuzz_record(std::string_view text) {
    const auto record = Record::parse(text);
    if (!record) {
        STRATA_ASSERT(record.error() == Errc::bad_message || record.error() == Errc::bad_version);
        return;
    }
    const std::string written = record->serialize();
    const auto again = Record::parse(written);
    STRATA_ASSERT(again.has_value());
    STRATA_ASSERT(again->serialize() == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
        case 't': fuzz_toml(text); break;
        case 'f': fuzz_flags(text); break;
        case 's': fuzz_share_spec(text); break;
        case 'n': fuzz_network(text); break;
        case 'r': fuzz_record<vfs::Share>(text); break;
        case 'u': fuzz_record<vfs::User>(text); break;
        default: break;
    }
    return 0;
}

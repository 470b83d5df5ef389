// SPDX-License-Identifier: Apache-2.0
// Config: what stratad is started with: data folder, stores, listeners, limits, log. From flags and a TOML file, validated once.
//
// Shares and policies named here are made if they are missing; afterwards the settings database is the truth, and a contradiction is an
// error that names both values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/stripe/stripe.h"
#include "server/base/byte_stream.h"
#include "server/base/log.h"
#include "server/base/result.h"
#include "server/vfs/share.h"

namespace strata {

// For whoever tries it: this machine alone, and a port that needs no privilege.
constexpr Endpoint default_nfs_endpoint{.v6 = false, .address = {127, 0, 0, 1}, .port = 12049};

struct Config {
    std::string data;                             // --data DIR            data = "DIR"
    std::vector<std::string> stores;              // --store DIR           stores = ["DIR", ...]
    std::optional<cluster::Policy> policy;        // --policy P            policy = "ec-4+2"
    std::vector<vfs::ShareSpec> shares;           // --share SPEC          shares = ["NAME:owner=1000:1000,mode=0770"]
    Endpoint nfs = default_nfs_endpoint;          // --nfs ADDR:PORT       nfs.listen = "127.0.0.1:12049"
    int nfs_lease_seconds = 60;                   // --nfs-lease N         nfs.lease_seconds
    int nfs_grace_seconds = 0;                    // --nfs-grace N         nfs.grace_seconds; 0: as the lease
    std::uint32_t nfs_connections_max = 110'000;  // --nfs-connections N   nfs.connections_max
    int threads = 0;                              // --threads N           limits.threads; 0: one a core
    std::uint64_t memory_mib = 0;                 // --memory MIB          limits.memory_mib; 0: a quarter of the machine's
    std::uint64_t segment_mib = 0;                // --segment-mib N       limits.segment_mib: size of a store's segments; 0: by its disk
    LogLevel log_level = LogLevel::info;          // --log-level L         log.level = "debug|info|warning|error"

    int grace_seconds() const { return nfs_grace_seconds > 0 ? nfs_grace_seconds : nfs_lease_seconds; }
};

// What the command line asks for.
enum class Verb : std::uint8_t { serve, check, status, disk_replace, scrub, help, version };

struct CommandLine {
    Verb verb = Verb::serve;
    Config config;                      // its folders are absolute, without "." and ".." and '/' at the end
    std::vector<std::string> operands;  // disk replace: OLD NEW, likewise
};

// Parses flags and, if one is named, the TOML file; flags win over the file, and a repeated flag replaces the file's list as a whole.
// Relative folders, in the file too, start from the present folder.
// Errors: config, a line for each thing that is wrong: what, where (flag, or file:line:column) and which known name is nearest.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

// The TOML text alone, over what `config` holds. `name` is for messages. Errors: config, as above.
Result<> parse_toml(std::string_view text, const std::string& name, Config& config);

std::string help_text();

// Whether the folder lies below the other, by letters only. Both are absolute and end without '/'.
bool is_inside(std::string_view folder, std::string_view outer);

}  // namespace strata

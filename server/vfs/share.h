// SPDX-License-Identifier: Apache-2.0
// Share: what is exported, to whom and how. The table is a snapshot that requests read without a lock held.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/byte_stream.h"
#include "server/base/credentials.h"
#include "server/base/result.h"
#include "server/vfs/types.h"

namespace strata::vfs {

// A network in CIDR form; a bare address is /32 or /128. Bits of the address past the prefix are zero.
struct Network {
    Endpoint base;
    int prefix = 0;
    bool contains(const Endpoint& address) const;
    std::string to_string() const;
    static Result<Network> parse(std::string_view text);  // Errors: invalid_argument
};

enum class Squash : std::uint8_t {
    automatic,  // root_squash, except for clients on loopback
    none,       // no_root_squash
    root,       // uid 0 and gid 0 become anonymous
    all,        // everybody becomes anonymous
};

std::string_view to_string(Squash squash);  // as the command line spells it

// Names that SMB could not tell apart: equal but for the case of ASCII letters.
bool same_share_name(std::string_view a, std::string_view b);

struct Share {
    std::string name;  // 1..80 bytes UTF-8 without '/', '\\', ':' and control characters; unique without regard to case
    FileId root;       // a directory of the volume
    DomainId domain = 0;
    std::string comment;
    bool read_only = false;
    std::vector<Network> clients;  // empty: everybody who can reach a listener
    Squash squash = Squash::automatic;
    std::uint32_t anonymous_uid = 65534, anonymous_gid = 65534;
    // Owner and mode that the root was made with. Clients may have changed them since, and a command line that still names these values
    // contradicts nothing.
    std::uint32_t made_uid = 0, made_gid = 0, made_mode = 0;

    bool admits(const Endpoint& client) const;
    // What `who` from `client` acts as on this share.
    Credentials apply_squash(Credentials who, const Endpoint& client) const;
    // JSON with a version, for the settings database. Errors of parse: bad_message, bad_version.
    std::string serialize() const;
    static Result<Share> parse(std::string_view text);
};

// "NAME[:key=value,...]" of the command line: owner=UID:GID, mode=OCTAL, ro, squash=..., client=CIDR (repeatable), comment=...
// Each at most once, but for client.
struct ShareSpec {
    Share share;
    std::optional<std::uint32_t> uid, gid, mode;
    std::set<std::string, std::less<>> given;               // the keys that were named
    static Result<ShareSpec> parse(std::string_view text);  // Errors: config, naming the key
};

using ShareList = std::vector<Share>;  // sorted by name

class ShareTable {
public:
    std::shared_ptr<const ShareList> snapshot() const;
    void replace(ShareList shares);
    // Grows with each replace(): protocols cache what they derived by it.
    std::uint64_t version() const;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const ShareList> shares_ = std::make_shared<ShareList>();
    std::uint64_t version_ = 1;
};

}  // namespace strata::vfs

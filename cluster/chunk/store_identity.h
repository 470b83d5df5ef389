// SPDX-License-Identifier: Apache-2.0
// StoreIdentity: the file that makes a folder a store of one cluster. A folder without it is a missing store, never an empty one.
//
// Text, so that people can read it:
//   strata-store 1
//   uuid 0123...            32 hexadecimal digits
//   cluster 0123...
//   checksum 89abcdef       CRC-32C of all lines above
// and that three times over, so that one flipped bit does not cost a store.
#pragma once

#include <string>
#include <string_view>

#include "cluster/chunk/chunk_store.h"
#include "server/base/disk.h"
#include "server/base/random.h"
#include "server/base/result.h"

namespace strata::cluster {

constexpr std::string_view identity_path = "store.identity";
constexpr int identity_copies = 3;

struct StoreIdentity {
    Uuid uuid{};
    Uuid cluster{};
    friend bool operator==(const StoreIdentity&, const StoreIdentity&) = default;
};

// 32 lower-case hexadecimal digits.
std::string to_string(const Uuid& uuid);
// Errors: invalid_argument.
Result<Uuid> parse_uuid(std::string_view text);
// Version 4, variant 1.
Uuid random_uuid(Random& random);

std::string encode(const StoreIdentity& identity);
// Errors: corrupt, bad_version.
Result<StoreIdentity> decode_identity(std::string_view text);

// Errors: store_missing (no identity file: perhaps the disk is not mounted), corrupt, bad_version, io.
Result<StoreIdentity> read_identity(Disk& disk);

// Makes the folder a new, empty store of `cluster`; durable when it returns. Errors: exists (it is a store already, or holds segments
// whose identity was lost), no_space, io.
Result<StoreIdentity> format_store(Disk& disk, const Uuid& cluster, Random& random);

}  // namespace strata::cluster

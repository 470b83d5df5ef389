// SPDX-License-Identifier: Apache-2.0
// ReplicaManifest: which stores hold a volume's metadata. The same small file `meta/replicas` on each of them, and, as a witness, on the
// other stores: that is how a copy that was away for a while is recognised as stale.
//
// Invariant: a store listed in the newest manifest that was ever written holds every durable command. A manifest is written to all the
// members that it lists before what it says counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cluster/chunk/chunk_store.h"
#include "server/base/disk.h"
#include "server/base/result.h"

namespace strata::cluster {

struct ReplicaManifest {
    Uuid volume{};
    std::uint32_t number = 1;      // ChunkId::volume
    std::uint32_t epoch = 0;       // raised by each opening
    std::uint64_t generation = 0;  // raised by each change of the rest
    std::uint64_t nonce = 0;       // random: two with the same epoch and generation but not the same nonce are two histories
    std::uint32_t copies = 1;      // wanted
    bool clean = true;             // closed in order
    std::uint64_t change_floor = 0;
    std::vector<Uuid> members;

    bool lists(const Uuid& store) const;
    bool newer_than(const ReplicaManifest& other) const;
};

std::vector<std::byte> encode_manifest(const ReplicaManifest& manifest);
// Errors: corrupt, bad_version.
Result<ReplicaManifest> decode_manifest(std::span<const std::byte> bytes);

// Durable when it returns.
Result<> write_manifest(Disk& disk, const ReplicaManifest& manifest);
// Errors: not_found, corrupt, bad_version, io.
Result<ReplicaManifest> read_manifest(Disk& disk);

// 8-4-4-4-12 hexadecimal digits.
std::string uuid_text(const Uuid& uuid);

}  // namespace strata::cluster

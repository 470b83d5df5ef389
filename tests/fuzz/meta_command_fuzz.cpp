// SPDX-License-Identifier: Apache-2.0
// Fuzz: whatever the log hands to decode_command() is refused or gives the same bytes again.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "cluster/meta/rows.h"
#include "server/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto command = strata::cluster::decode_command(bytes);
    if (!command) return 0;
    STRATA_ASSERT(strata::cluster::encode(*command) == std::string(reinterpret_cast<const char*>(data), size));
    return 0;
}

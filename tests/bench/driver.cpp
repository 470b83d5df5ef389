// SPDX-License-Identifier: Apache-2.0
// The list of rows, in the order of the table that they fill.
#include "tests/bench/driver.h"

#include <string>

#include "tests/bench/failure.h"

namespace strata::bench {

namespace {

constexpr std::string_view names[] = {"null", "getattr", "lookup", "read4k", "write4k", "read1m", "write1m", "create", "mkdir", "readdir"};
constexpr std::uint64_t mib = 1U << 20;

DataShape shape_of(const Options& options, std::uint32_t unit, std::uint32_t file_mib, std::uint32_t commit_every) {
    return {.unit = unit,
            .random = unit < mib,
            .file_bytes = (options.file_mib != 0 ? options.file_mib : file_mib) * mib,
            .commit_every = options.commit_every != 0 ? options.commit_every : commit_every,
            .verify_every = options.verify_every};
}

}  // namespace

std::span<const std::string_view> row_names() { return names; }

std::unique_ptr<Row> make_row(std::string_view name, const Options& options) {
    if (name == "null") return make_null_row();
    if (name == "getattr") return make_getattr_row(options);
    if (name == "lookup") return make_lookup_row(options);
    if (name == "read4k") return make_read_row(shape_of(options, 4096, 64, 0));
    if (name == "write4k") return make_write_row(shape_of(options, 4096, 64, 8192));
    if (name == "read1m") return make_read_row(shape_of(options, mib, 64, 0));
    if (name == "write1m") return make_write_row(shape_of(options, mib, 256, 256));
    if (name == "create") return make_create_row();
    if (name == "mkdir") return make_mkdir_row();
    if (name == "readdir") return make_readdir_row(options);
    fail("no such row: " + std::string(name));
}

}  // namespace strata::bench

// SPDX-License-Identifier: Apache-2.0
// Reading, writing and making the identity of a store.
#include "cluster/chunk/store_identity.h"

#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "cluster/chunk/segment_files.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::string_view first_line_start = "strata-store ";
constexpr unsigned identity_format = 1;

// The value of the line "name VALUE\n" at the front of `text`, which moves behind it.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
    if (!text.starts_with(name)) return std::nullopt;
    const auto end = text.find('\n');
    if (end == std::string_view::npos || end < name.size()) return std::nullopt;
    const auto value = text.substr(name.size(), end - name.size());
    text.remove_prefix(end + 1);
    return value;
}

std::string body_of(const StoreIdentity& identity) {
    return fmt::format("{}{}\nuuid {}\ncluster {}\n", first_line_start, identity_format, to_string(identity.uuid),
                       to_string(identity.cluster));
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

std::string to_string(const Uuid& uuid) {
    std::string text;
    for (const auto b : uuid) text += fmt::format("{:02x}", b);
    return text;
}

Result<Uuid> parse_uuid(std::string_view text) {
    Uuid uuid{};
    if (text.size() != 2 * uuid.size()) return fail(Errc::invalid_argument, "a UUID has 32 hexadecimal digits");
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return fail(Errc::invalid_argument, "a UUID has 32 hexadecimal digits");
        uuid[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return uuid;
}

Uuid random_uuid(Random& random) {
    Uuid uuid{};
    random.fill(std::as_writable_bytes(std::span(uuid)));
    uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x40);
    uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
    return uuid;
}

std::string encode(const StoreIdentity& identity) {
    const std::string body = body_of(identity);
    return body + fmt::format("checksum {:08x}\n", crc32c(std::as_bytes(std::span(body))));
}

Result<StoreIdentity> decode_identity(std::string_view text) {
    const auto damaged = [] { return fail(Errc::corrupt, "the identity file of the store is damaged"); };
    std::string_view rest = text;
    const auto version = take_line(rest, first_line_start);
    if (!version) return damaged();
    if (*version != std::to_string(identity_format)) {
        const bool number = !version->empty() && version->size() < 6 && std::isdigit(static_cast<unsigned char>(version->front())) != 0;
        if (!number) return damaged();
        return fail(Errc::bad_version, fmt::format("the store has format {}; this release knows format {}", *version, identity_format));
    }
    const auto uuid_text = take_line(rest, "uuid ");
    const auto cluster_text = uuid_text ? take_line(rest, "cluster ") : std::nullopt;
    if (!cluster_text) return damaged();
    const auto uuid = parse_uuid(*uuid_text);
    const auto cluster = parse_uuid(*cluster_text);
    if (!uuid || !cluster) return damaged();
    const StoreIdentity identity{*uuid, *cluster};
    if (encode(identity) != text) return damaged();
    return identity;
}

namespace {

// Copies are of one length. Errors: of the first one.
Result<StoreIdentity> first_whole_copy(std::string_view text) {
    const std::size_t size = encode(StoreIdentity{}).size();
    auto first = decode_identity(text.substr(0, size));
    for (std::size_t at = size; !first && at < text.size(); at += size) {
        if (auto later = decode_identity(text.substr(at, size))) return later;
    }
    return first;
}

}  // namespace

Result<StoreIdentity> read_identity(Disk& disk) {
    auto bytes = read_file(disk, identity_path, 4096);
    if (!bytes) {
        if (bytes.error() == Errc::not_found) {
            return fail(Errc::store_missing, fmt::format("{} holds no store (perhaps the disk is not mounted)", disk.description()));
        }
        return fail(std::move(bytes.error()));
    }
    auto identity = first_whole_copy({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
    if (!identity) return fail(identity.error().code, disk.description() + ": " + identity.error().detail);
    return identity;
}

Result<StoreIdentity> format_store(Disk& disk, const Uuid& cluster, Random& random) {
    TRY(taken, disk.exists(identity_path));
    if (taken) return fail(Errc::exists, fmt::format("{} is a store already", disk.description()));
    TRY(has_segments, disk.exists(segment_folder));
    if (has_segments) {
        TRY(names, disk.list(segment_folder));
        if (!names.empty()) {
            return fail(Errc::exists, fmt::format("{} holds segments of a store whose identity file is gone", disk.description()));
        }
    }
    CHECK_OK(disk.make_folder(segment_folder));
    CHECK_OK(disk.sync_folder(""));
    const StoreIdentity identity{random_uuid(random), cluster};
    std::string text;
    for (int copy = 0; copy < identity_copies; ++copy) text += encode(identity);
    CHECK_OK(replace_file(disk, identity_path, std::as_bytes(std::span(text))));
    CHECK_OK(disk.sync_folder(""));
    return identity;
}

}  // namespace strata::cluster

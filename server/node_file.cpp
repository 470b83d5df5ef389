// SPDX-License-Identifier: Apache-2.0
// NodeFile: JSON with a version, replaced atomically.
#include "server/node_file.h"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace strata {

namespace {
constexpr int node_file_version = 1;
}

std::string to_text(const cluster::Uuid& uuid) {
    std::string text;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", uuid[i]);
    }
    return text;
}

Result<cluster::Uuid> parse_uuid(std::string_view text) {
    cluster::Uuid uuid{};
    std::size_t digits = 0;
    for (char c : text) {
        if (c == '-') continue;
        const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (value < 0 || digits == 32) return fail(Errc::bad_message, fmt::format("\"{}\" is not a UUID", text));
        uuid[digits / 2] = static_cast<std::uint8_t>(uuid[digits / 2] << 4 | value);
        ++digits;
    }
    if (digits != 32) return fail(Errc::bad_message, fmt::format("\"{}\" is not a UUID", text));
    return uuid;
}

Result<std::optional<NodeFile>> NodeFile::load(Disk& data) {
    TRY(there, data.exists(path));
    if (!there) return std::optional<NodeFile>();
    TRY(bytes, read_file(data, path));
    const std::string where = fmt::format("{}/{}", data.description(), path);
    boost::system::error_code error;
    const auto value = boost::json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, error);
    if (error) return fail(Errc::corrupt, fmt::format("{}: not JSON: {}", where, error.message()));
    try {
        const auto& o = value.as_object();
        if (o.at("version").to_number<int>() != node_file_version) {
            return fail(Errc::bad_version, fmt::format("{}: of a version that this release does not know", where));
        }
        NodeFile file;
        TRY(cluster_uuid, parse_uuid(o.at("cluster").as_string()));
        file.cluster = cluster_uuid;
        file.next_index = o.at("next_index").to_number<cluster::StoreIndex>();
        for (const auto& item : o.at("stores").as_array()) {
            const auto& s = item.as_object();
            TRY(identity, parse_uuid(s.at("identity").as_string()));
            file.stores.push_back({s.at("index").to_number<cluster::StoreIndex>(), identity, std::string(s.at("folder").as_string())});
        }
        return std::optional(std::move(file));
    } catch (const std::exception& e) {  // Boost.JSON's way to tell of a missing key or a wrong type
        return fail(Errc::corrupt, fmt::format("{}: {}", where, e.what()));
    }
}

Result<> NodeFile::save(Disk& data) const {
    boost::json::array list;
    for (const auto& s : stores) list.push_back({{"index", s.index}, {"identity", to_text(s.identity)}, {"folder", s.folder}});
    const boost::json::object object{
        {"version", node_file_version}, {"cluster", to_text(cluster)}, {"next_index", next_index}, {"stores", std::move(list)}};
    const std::string text = boost::json::serialize(object) + "\n";
    return replace_file(data, path, std::as_bytes(std::span(text)));
}

}  // namespace strata

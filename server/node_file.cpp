// SPDX-License-Identifier: Apache-2.0
// NodeFile: JSON with a version, replaced atomically.
#include "server/node_file.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cluster/chunk/store_identity.h"

namespace strata {

namespace {
constexpr int node_file_version = 1;
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
        TRY(cluster_uuid, cluster::parse_uuid(o.at("cluster").as_string()));
        file.cluster = cluster_uuid;
        file.policy = o.at("policy").as_string();
        for (const auto& item : o.at("stores").as_array()) {
            const auto& s = item.as_object();
            TRY(identity, cluster::parse_uuid(s.at("identity").as_string()));
            file.stores.push_back({identity, std::string(s.at("folder").as_string())});
        }
        return std::optional(std::move(file));
    } catch (const std::exception& e) {  // Boost.JSON's way to tell of a missing key or a wrong type
        return fail(Errc::corrupt, fmt::format("{}: {}", where, e.what()));
    }
}

Result<> NodeFile::save(Disk& data) const {
    boost::json::array list;
    for (const auto& s : stores) list.push_back({{"identity", cluster::to_string(s.identity)}, {"folder", s.folder}});
    const boost::json::object object{
        {"version", node_file_version}, {"cluster", cluster::to_string(cluster)}, {"policy", policy}, {"stores", std::move(list)}};
    const std::string text = boost::json::serialize(object) + "\n";
    return replace_file(data, path, std::as_bytes(std::span(text)));
}

}  // namespace strata

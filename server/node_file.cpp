// SPDX-License-Identifier: Apache-2.0
// NodeFile: JSON with a version, replaced atomically.
#include "server/node_file.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cluster/chunk/store_identity.h"
#include "cluster/stripe/stripe.h"

namespace strata {

namespace {
constexpr int node_file_version = 1;

Result<NodeFile> parse_node_file(std::string_view text) {
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
    if (error) return fail(Errc::corrupt, fmt::format("not JSON: {}", error.message()));
    try {
        const auto& o = value.as_object();
        if (o.at("version").to_number<int>() != node_file_version) {
            return fail(Errc::bad_version, "of a version that this release does not know");
        }
        NodeFile file;
        TRY(cluster_uuid, cluster::parse_uuid(o.at("cluster").as_string()));
        file.cluster = cluster_uuid;
        file.policy = o.at("policy").as_string();
        if (!file.policy.empty()) CHECK_OK(cluster::Policy::parse(file.policy));
        for (const auto& item : o.at("stores").as_array()) {
            const auto& s = item.as_object();
            TRY(identity, cluster::parse_uuid(s.at("identity").as_string()));
            const std::string folder(s.at("folder").as_string());
            const bool known = std::ranges::any_of(
                file.stores, [&](const NodeFile::Store& other) { return other.identity == identity || other.folder == folder; });
            if (known || folder.empty()) return fail(Errc::corrupt, fmt::format("the store \"{}\" cannot be so", folder));
            file.stores.push_back({identity, folder});
        }
        return file;
    } catch (const std::exception& e) {  // Boost.JSON's way to tell of a missing key or a wrong type
        return fail(Errc::corrupt, e.what());
    }
}

}  // namespace

Result<std::optional<NodeFile>> NodeFile::load(Disk& data) {
    TRY(there, data.exists(path));
    if (!there) return std::optional<NodeFile>();
    TRY(bytes, read_file(data, path));
    auto file = parse_node_file({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (file) return std::optional(std::move(*file));
    const std::string what = fmt::format("{}/{}: {}", data.description(), path, file.error().detail);
    if (file.error() == Errc::bad_version) return fail(Errc::bad_version, what);
    // The stores know all that it says.
    return fail(Errc::corrupt, what + "; move the file away and name every store with --store, and it is made anew");
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

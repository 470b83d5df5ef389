// SPDX-License-Identifier: Apache-2.0
// Node: from a row to what the protocols see.
#include "cluster/fs/node.h"

#include "cluster/fs/directory.h"
#include "cluster/fs/file_data.h"

namespace strata::cluster {

Node::Node(InodeRow r)
    : number(r.number), generation(r.generation), type(r.type), row(std::move(r)), durable_size(row.size), removed(row.link_count == 0) {
    if (type == vfs::FileType::directory) directory = std::make_unique<Directory>();
    if (!row.acl.empty()) {
        if (auto decoded = vfs::decode_acl(row.acl)) acl = std::make_shared<const vfs::Acl>(std::move(*decoded));
    }
}

Node::~Node() = default;

vfs::Attributes Node::attributes() const {
    vfs::Attributes a;
    a.id = {number, generation};
    a.type = type;
    a.mode = row.mode;
    a.uid = row.uid;
    a.gid = row.gid;
    a.link_count = row.link_count;
    a.domain = row.domain;
    a.size = row.size;
    a.allocated = row.allocated;
    a.change = row.change;
    a.access_time = row.access_time;
    a.modify_time = row.modify_time;
    a.change_time = row.change_time;
    a.birth_time = row.birth_time;
    a.device = row.device;
    a.dos_attributes = row.dos_attributes;
    a.acl = acl;
    a.has_xattrs = row.has_xattrs;
    return a;
}

InodeRow Node::durable_row() const {
    InodeRow r = row;
    if (type == vfs::FileType::regular) r.size = durable_size;
    return r;
}

std::size_t Node::weight() const {
    constexpr std::size_t extent_bytes = 160, xattr_bytes = 128;
    std::size_t bytes = node_bytes + row.inline_data.size() + row.acl.size();
    if (directory != nullptr) bytes += directory->bytes();
    if (data != nullptr) bytes += data->map.size() * extent_bytes;
    if (xattrs) {
        for (const auto& [name, value] : *xattrs) bytes += xattr_bytes + name.size() + value.size();
    }
    return bytes;
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// Client: what is there, against what may be there.
#include <fmt/format.h>

#include "tests/sim/workloads/client.h"

namespace strata::sim {

Task<Result<>> Client::facts_of(const Request& request, vfs::FileId id, const vfs::Attributes& attributes, FoundNames& found) {
    auto& object = found.objects[id];
    object.link_count = attributes.link_count;
    object.facts = {attributes.type, attributes.mode, {}, {}};
    if (attributes.type == vfs::FileType::symlink) {
        CO_TRY(target, co_await fs().read_link(request.ctx, id));
        object.facts.target = target;
    }
    if (!attributes.has_xattrs) co_return Result<>{};
    CO_TRY(names, co_await fs().list_xattrs(request.ctx, id));
    for (const auto& name : names) {
        CO_TRY(value, co_await fs().get_xattr(request.ctx, id, name));
        object.facts.xattrs[name] = value;
    }
    co_return Result<>{};
}

Task<Result<>> Client::walk_folder(const Request& request, vfs::FileId folder, FoundNames& found, std::vector<vfs::FileId>& folders) {
    std::vector<vfs::Attributes> all;
    for (std::uint64_t cookie = 0;;) {
        int room = 7;
        auto visit = [&](const vfs::DirectoryEntry& entry) {
            if (room-- == 0) return false;
            cookie = entry.cookie;
            found.entries[{folder, std::string(entry.name)}] = entry.id;
            all.push_back(*entry.attributes);
            return true;
        };
        CO_TRY(read, co_await fs().read_directory(request.ctx, folder, cookie, visit));
        if (read.end) break;
    }
    for (const auto& attributes : all) {
        CO_CHECK_OK(co_await facts_of(request, attributes.id, attributes, found));
        if (attributes.type == vfs::FileType::directory) folders.push_back(attributes.id);
    }
    co_return Result<>{};
}

Task<Result<FoundNames>> Client::walk(const Request& request) {
    FoundNames found;
    CO_TRY(root, co_await fs().lookup(request.ctx, fs().root(), fmt::format("c{}", number_)));
    found.root = root.id;
    CO_CHECK_OK(co_await facts_of(request, root.id, root.attributes, found));
    std::vector<vfs::FileId> folders{root.id};
    while (!folders.empty()) {
        const auto folder = folders.back();
        folders.pop_back();
        CO_CHECK_OK(co_await walk_folder(request, folder, found, folders));
    }
    co_return found;
}

Task<> Client::recover(bool all) {
    const auto request = node_.request();
    const auto found = co_await walk(*request);
    if (!found) {
        if (node_.powered()) node_.problem(fmt::format("client {}: after the opening: {}", number_, to_string(found.error())));
        co_return;
    }
    if (all) names_.acknowledge(names_.position());
    const auto before = names_.position();
    if (auto difference = names_.adopt(*found, ids_)) {
        node_.problem(fmt::format("client {}: after the opening there is {}", number_, *difference));
        co_return;
    }
    lost_count += before - names_.position();
    unsure_ = false;
    std::erase_if(files_, [this](const auto& file) { return !names().objects.contains(file.first); });
    std::erase_if(shown_, [this](const auto& shown) { return !names().objects.contains(shown.first); });
    std::erase_if(ids_, [this](const auto& id) { return !names().objects.contains(id.first); });
    co_await compare_files(all);
}

Task<> Client::compare_files(bool all) {
    std::vector<ObjectKey> keys;
    for (const auto& [key, facts] : names().objects) {
        if (facts.type == vfs::FileType::regular) keys.push_back(key);
    }
    const auto request = node_.request();
    for (const ObjectKey key : keys) {
        if (node_.powered()) co_await compare_file(*request, key, all);
    }
    for (const auto& [key, shown] : shown_) {
        if (files_.contains(key) || !node_.powered()) continue;
        const auto attributes = co_await fs().get_attributes(request->ctx, id(key));
        if (attributes) check_change(key, *attributes);
    }
}

Task<> Client::compare_file(const Request& request, ObjectKey key, bool all) {
    auto& content = files_.at(key).content;
    const auto attributes = co_await fs().get_attributes(request.ctx, id(key));
    const auto read = co_await read_all(request, id(key));
    if (!attributes || !read) {
        if (!node_.powered()) co_return;
        const Error& error = !read ? read.error() : attributes.error();
        node_.problem(fmt::format("client {}: inode {}: {}", number_, id(key).inode, to_string(error)));
        co_return;
    }
    if (all) content.commit_all();
    bool lost = false;
    const std::string difference = content.difference(*read);
    if (!content.adopt(*read, &lost)) {
        node_.problem(fmt::format("client {}: inode {} has impossible bytes: {}", number_, id(key).inode, difference));
        co_return;
    }
    if (attributes->size != read->size()) {
        node_.problem(
            fmt::format("client {}: inode {} says {} bytes and reads {}", number_, id(key).inode, attributes->size, read->size()));
    }
    lost_count += lost ? 1 : 0;
    check_change(key, *attributes);
}

// A value that was shown never stands for something else, and none is smaller than one before.
void Client::check_change(ObjectKey key, const vfs::Attributes& attributes) {
    const auto it = shown_.find(key);
    if (it == shown_.end()) return;
    const auto file = files_.find(key);
    const bool other = file != files_.end() && it->second.content != nullptr && *it->second.content != file->second.content.newest();
    if (attributes.change > it->second.change || (attributes.change == it->second.change && !other)) return;
    node_.problem(fmt::format("client {}: inode {}: change counter {} was shown, and now it is {}{}", number_, attributes.id.inode,
                              it->second.change, attributes.change, other ? " with other bytes" : ""));
}

Task<> Client::settle_all() {
    const auto request = node_.request();
    const auto position = names_.position();
    for (const auto& [key, facts] : names().objects) {
        if (facts.type != vfs::FileType::regular || !node_.powered()) continue;
        const auto committed = co_await fs().commit(request->ctx, id(key), 0, 0);
        if (committed)
            files_.at(key).content.commit();
        else
            wrong("commit", committed.error());
    }
    // What depends on all that came before.
    const auto found = co_await walk(*request);
    if (!found) co_return wrong("walk", found.error());
    const auto settled = co_await fs().settle(request->ctx);
    if (settled)
        acknowledge(position);
    else
        wrong("settle", settled.error());
}

Task<> Client::find_out() {
    const auto request = node_.request();
    const auto found = co_await walk(*request);
    if (!found) co_return;
    auto ids = ids_;
    if (auto difference = names_.see(*found, ids)) {
        if (node_.powered()) node_.problem(fmt::format("client {}: after an error there is {}", number_, *difference));
        co_return;
    }
    ids_ = std::move(ids);
    for (const auto& [key, facts] : names().objects) {
        if (facts.type != vfs::FileType::regular) continue;
        const auto read = co_await read_all(*request, id(key));
        if (!read) co_return;
        auto& content = files_.at(key).content;
        if (!content.see(*read) && node_.powered()) {
            node_.problem(fmt::format("client {}: after an error inode {} reads {}", number_, id(key).inode, content.difference(*read)));
        }
    }
    unsure_ = false;
}

}  // namespace strata::sim

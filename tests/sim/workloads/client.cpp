// SPDX-License-Identifier: Apache-2.0
// Client: operations on names and attributes.
#include "tests/sim/workloads/client.h"

#include <fmt/format.h>

namespace strata::sim {

namespace {

constexpr double settle_chance = 0.85;
constexpr int folders_max = 5, entries_max = 24;

vfs::CreateRequest request_of(vfs::FileType type, std::uint32_t mode) {
    vfs::CreateRequest request;
    request.type = type;
    request.attributes.mode = mode;
    return request;
}

}  // namespace

Client::Client(NodeWorld& node, int number) : node_(node), random_(node.random().fork()), number_(number) {
    names_.change().objects[0] = {vfs::FileType::directory, 0755, {}, {}};
    names_.acknowledge(names_.position());
}

Client::~Client() = default;

void Client::wrong(std::string_view what, const Error& error) {
    if (!node_.powered()) return;
    unsure_ = true;
    if (forgiven.contains(error.code)) {
        ++forgiven_count;
        return;
    }
    node_.problem(fmt::format("client {}: {}: {}", number_, what, to_string(error)));
}

void Client::acknowledge(std::uint64_t position) {
    names_.acknowledge(position);
    for (auto& [key, file] : files_) file.content.acknowledge(position);
    ++acknowledged_count;
}

Task<bool> Client::finish(Request& request, std::optional<Error> error, std::string_view what) {
    if (error) {
        wrong(what, *error);
        co_return false;
    }
    const auto position = names_.position();
    if (!random_.chance(settle_chance)) co_return true;
    const auto settled = co_await fs().settle(request.ctx);
    if (settled)
        acknowledge(position);
    else
        wrong("settle", settled.error());
    co_return true;
}

Task<> Client::set_up() {
    const auto request = node_.request();
    const std::string name = fmt::format("c{}", number_);
    auto there = co_await fs().lookup(request->ctx, fs().root(), name);
    if (!there) {
        auto made = co_await fs().create(request->ctx, fs().root(), name, request_of(vfs::FileType::directory, 0755));
        if (!made) co_return wrong("making the folder", made.error());
        there = made->entry;
    }
    ids_[0] = there->id;
    if (auto settled = co_await fs().settle(request->ctx); !settled) wrong("settle", settled.error());
}

Task<> Client::work(int operations) {
    for (int i = 0; i < operations && node_.powered(); ++i) {
        if (!unsure_) co_await step();
        if (unsure_ && node_.powered()) co_await find_out();
        co_await node_.world().clock().sleep_for(
            Duration(random_.chance(0.04) ? random_.between(0, 14'000'000'000) : random_.below(3'000'000)));
    }
}

Task<> Client::step() {
    switch (random_.below(32)) {
        case 0:
        case 1:
        case 2:
        case 3: return create();
        case 4: return make_folder();
        case 5: return make_symlink();
        case 6: return link();
        case 7:
        case 8:
        case 9: return rename();
        case 10:
        case 11: return remove();
        case 12: return remove_opened();
        case 13: return set_mode();
        case 14: return set_xattr();
        case 15: return look();
        case 16:
        case 17:
        case 18: return commit();
        case 19:
        case 20: return set_size();
        case 21: return make_hole();
        case 22: return reserve();
        case 23: return clone();
        case 24:
        case 25: return compare();
        default: return write();
    }
}

ObjectKey Client::some_folder() {
    std::vector<ObjectKey> folders{0};
    for (const auto& [key, facts] : names().objects) {
        if (key != 0 && facts.type == vfs::FileType::directory) folders.push_back(key);
    }
    return folders[random_.below(folders.size())];
}

std::optional<ObjectKey> Client::some_file() {
    std::vector<ObjectKey> files;
    for (const auto& [key, facts] : names().objects) {
        if (facts.type == vfs::FileType::regular) files.push_back(key);
    }
    if (files.empty()) return std::nullopt;
    return files[random_.below(files.size())];
}

std::optional<Client::Place> Client::some_entry() {
    const auto& entries = names().entries;
    if (entries.empty()) return std::nullopt;
    const auto it = std::next(entries.begin(), static_cast<std::ptrdiff_t>(random_.below(entries.size())));
    return Place{it->first.first, it->first.second, it->second};
}

std::string Client::fresh_name(ObjectKey folder) {
    for (;;) {
        std::string name = fmt::format("n{}", random_.below(40));
        if (random_.chance(0.03)) name += std::string(200, 'x');
        if (!names().entries.contains({folder, name})) return name;
    }
}

Task<> Client::create() {
    if (names().entries.size() >= entries_max) co_return co_await remove();
    const ObjectKey folder = some_folder();
    constexpr vfs::CreateMode modes[] = {vfs::CreateMode::guarded, vfs::CreateMode::unchecked, vfs::CreateMode::exclusive};
    co_await create_file(folder, fresh_name(folder), modes[random_.below(3)]);
}

Task<> Client::create_file(ObjectKey folder, std::string name, vfs::CreateMode mode) {
    auto wanted = request_of(vfs::FileType::regular, random_.chance(0.5) ? 0644 : 0600);
    wanted.mode = mode;
    wanted.verifier = random_.next();

    const ObjectKey key = next_key_++;
    auto& next = names_.change();
    next.entries[{folder, name}] = key;
    next.objects[key] = {vfs::FileType::regular, *wanted.attributes.mode, {}, {}};
    files_[key].born = names_.position();
    const auto request = node_.request();
    const auto made = co_await fs().create(request->ctx, id(folder), name, wanted);
    if (made) ids_[key] = made->entry.id;
    co_await answered(*request, made, "create");
}

Task<> Client::make_folder() {
    int folders = 0;
    for (const auto& [key, facts] : names().objects) folders += facts.type == vfs::FileType::directory ? 1 : 0;
    if (folders >= folders_max) co_return;
    const ObjectKey folder = some_folder();
    const std::string name = fresh_name(folder);
    const ObjectKey key = next_key_++;
    auto& next = names_.change();
    next.entries[{folder, name}] = key;
    next.objects[key] = {vfs::FileType::directory, 0755, {}, {}};
    const auto request = node_.request();
    const auto made = co_await fs().create(request->ctx, id(folder), name, request_of(vfs::FileType::directory, 0755));
    if (made) ids_[key] = made->entry.id;
    co_await answered(*request, made, "mkdir");
}

Task<> Client::make_symlink() {
    const ObjectKey folder = some_folder();
    const std::string name = fresh_name(folder);
    const ObjectKey key = next_key_++;
    auto wanted = request_of(vfs::FileType::symlink, 0777);
    wanted.symlink_target = fmt::format("../to/{}", random_.next());
    auto& next = names_.change();
    next.entries[{folder, name}] = key;
    next.objects[key] = {vfs::FileType::symlink, 0777, wanted.symlink_target, {}};
    const auto request = node_.request();
    const auto made = co_await fs().create(request->ctx, id(folder), name, wanted);
    if (made) ids_[key] = made->entry.id;
    co_await answered(*request, made, "symlink");
}

Task<> Client::link() {
    const auto file = some_file();
    if (!file) co_return;
    const ObjectKey folder = some_folder();
    const std::string name = fresh_name(folder);
    names_.change().entries[{folder, name}] = *file;
    const auto request = node_.request();
    const auto linked = co_await fs().link(request->ctx, id(*file), id(folder), name);
    co_await answered(*request, linked, "link");
}

void Client::apply_rename(const Place& from, ObjectKey to, const std::string& name) {
    auto& next = names_.change();
    const auto target = next.entries.find({to, name});
    if (target != next.entries.end()) next.remove(to, name);
    next.entries.erase({from.folder, from.name});
    next.entries[{to, name}] = from.object;
}

Task<> Client::rename() {
    const auto from = some_entry();
    if (!from) co_return;
    const ObjectKey to = some_folder();
    std::string name = fresh_name(to);
    const bool is_folder = names().objects.at(from->object).type == vfs::FileType::directory;
    if (is_folder && names().is_inside(to, from->object)) co_return;
    // Sometimes in the place of something that is there.
    if (const auto other = some_entry(); other && other->folder == to && other->object != from->object && random_.chance(0.6)) {
        const bool other_folder = names().objects.at(other->object).type == vfs::FileType::directory;
        if (other_folder == is_folder && !(is_folder && names().has_entries(other->object))) name = other->name;
    }
    const auto folder = id(from->folder), target = id(to);
    apply_rename(*from, to, name);
    const auto request = node_.request();
    const auto renamed = co_await fs().rename(request->ctx, folder, from->name, target, name);
    co_await answered(*request, renamed, "rename");
}

Task<> Client::remove() {
    const auto entry = some_entry();
    if (!entry) co_return;
    const bool is_folder = names().objects.at(entry->object).type == vfs::FileType::directory;
    if (!is_folder || !names().has_entries(entry->object)) co_await remove_entry(*entry);
}

Task<> Client::remove_entry(Place entry) {
    const auto folder = id(entry.folder);
    names_.change().remove(entry.folder, entry.name);
    const auto request = node_.request();
    const auto removed = co_await fs().remove(request->ctx, folder, entry.name, vfs::RemoveKind::any);
    co_await answered(*request, removed, "remove");
}

// An open file lives on without its name until it is closed.
Task<> Client::remove_opened() {
    const auto entry = some_entry();
    if (!entry || names().objects.at(entry->object).type != vfs::FileType::regular) co_return;
    const auto file = id(entry->object), folder = id(entry->folder);
    const auto request = node_.request();
    auto pin = co_await fs().pin(request->ctx, file);
    if (!pin) co_return wrong("pin", pin.error());
    const std::string content = files_.at(entry->object).content.newest();
    names_.change().remove(entry->folder, entry->name);
    const auto removed = co_await fs().remove(request->ctx, folder, entry->name, vfs::RemoveKind::not_directory);
    if (!co_await answered(*request, removed, "remove of an open file")) co_return;
    co_await node_.world().clock().sleep_for(Duration(random_.below(50'000'000)));
    if (!node_.powered()) co_return;
    const auto read = co_await read_all(*request, file);
    if (!read)
        wrong("read of an open file without a name", read.error());
    else if (*read != content)
        node_.problem(fmt::format("client {}: an open file without a name reads differently", number_));
}

Task<> Client::set_mode() {
    const auto entry = some_entry();
    if (!entry || names().objects.at(entry->object).type == vfs::FileType::symlink) co_return;
    vfs::SetAttributes set;
    set.mode = static_cast<std::uint32_t>(random_.below(01000));
    names_.change().objects.at(entry->object).mode = *set.mode;
    const auto request = node_.request();
    const auto done = co_await fs().set_attributes(request->ctx, id(entry->object), set, false);
    co_await answered(*request, done, "set mode");
}

Task<> Client::set_xattr() {
    const auto file = some_file();
    if (!file) co_return;
    const std::string name = fmt::format("user.{}", random_.below(3));
    const bool there = names().objects.at(*file).xattrs.contains(name);
    const auto request = node_.request();
    if (there && random_.chance(0.4)) {
        names_.change().objects.at(*file).xattrs.erase(name);
        const auto done = co_await fs().remove_xattr(request->ctx, id(*file), name);
        co_await answered(*request, done, "remove xattr");
        co_return;
    }
    const std::string value = some_bytes(0, random_.between(1, 3000));
    names_.change().objects.at(*file).xattrs[name] = value;
    const auto done = co_await fs().set_xattr(request->ctx, id(*file), name, value, vfs::FileSystem::XattrMode::either);
    co_await answered(*request, done, "set xattr");
}

// Everything as a whole, while others work.
Task<> Client::look() {
    const auto request = node_.request();
    const auto found = co_await walk(*request);
    if (!found) co_return wrong("walk", found.error());
    auto copy = names_;
    auto ids = ids_;
    const auto newest = copy.position();
    copy.acknowledge(newest);
    if (auto difference = copy.adopt(*found, ids); difference && node_.powered()) {
        node_.problem(fmt::format("client {}: a walk found {}", number_, *difference));
    }
    const auto settled = co_await fs().settle(request->ctx);
    if (settled)
        acknowledge(newest);
    else
        wrong("settle", settled.error());
}

}  // namespace strata::sim

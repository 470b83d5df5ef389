// SPDX-License-Identifier: Apache-2.0
// A little file system's worth of row changes.
#include "tests/sim/meta_workload.h"

#include <algorithm>

namespace strata::sim {

using namespace strata::cluster;

namespace {

constexpr InodeNumber root = 1;

}  // namespace

InodeRow sample_inode(InodeNumber number) {
    InodeRow row;
    row.number = number;
    row.generation = static_cast<std::uint32_t>(number * 7 + 1);
    row.domain = 1;
    row.mode = 0644;
    row.uid = 1000;
    row.gid = 100;
    row.link_count = 1;
    row.change = number;
    row.access_time = row.modify_time = row.change_time =
        row.birth_time = {1'700'000'000, static_cast<std::uint32_t>(number % 1'000'000'000)};
    row.map = number;
    return row;
}

EntryRow sample_entry(InodeNumber parent, std::string name, std::uint64_t cookie, InodeNumber child) {
    EntryRow row;
    row.parent = parent;
    row.folded = name;
    row.name = std::move(name);
    row.cookie = cookie;
    row.child = child;
    row.child_generation = static_cast<std::uint32_t>(child * 7 + 1);
    return row;
}

Chunk sample_chunk(std::uint64_t counter) {
    Chunk chunk;
    chunk.id = {1, 1, counter};
    chunk.geometry = {2, 1};
    chunk.length = 256 << 10;
    chunk.shard_length = 128 << 10;
    for (StoreIndex store = 0; store < 3; ++store) chunk.places.push_back({store, static_cast<std::uint32_t>(counter * 31 + store)});
    return chunk;
}

Command create_command(InodeNumber parent, InodeNumber number, std::uint64_t cookie) {
    auto directory = sample_inode(parent);
    directory.type = vfs::FileType::directory;
    directory.map = 0;
    directory.next_cookie = cookie + 1;
    directory.change = cookie;
    auto file = sample_inode(number);
    auto entry = sample_entry(parent, "file-" + std::to_string(number), cookie, number);
    return {PutInode{std::move(file)}, PutEntry{std::move(entry)}, PutInode{std::move(directory)}};
}

Command MetaWorkload::next() {
    Command command;
    if (!tables_.inodes.contains(root)) {
        auto directory = sample_inode(root);
        directory.type = vfs::FileType::directory;
        directory.map = 0;
        command.push_back(PutInode{directory});
    } else if (tables_.inodes.size() < 4) {
        command = create();
    } else {
        switch (random_->below(12)) {
            case 0: command = unlink(); break;
            case 1: command = rename(); break;
            case 2:
            case 3:
            case 4: command = write(); break;
            case 5: command = truncate(); break;
            case 6: command = set_xattr(); break;
            case 7: command = put_record(); break;
            default: command = create(); break;
        }
    }
    tables_.apply(command);
    return command;
}

Command MetaWorkload::create() {
    auto directory = tables_.inodes.at(root);
    auto row = sample_inode(tables_.inode_max + 1);
    row.map = tables_.map_max + 1;
    auto entry =
        sample_entry(root, "File-" + std::to_string(++names_) + "-" + std::to_string(row.number), directory.next_cookie++, row.number);
    if (random_->below(2) == 0) entry.folded = "f" + entry.name.substr(1);
    if (random_->below(3) == 0) row.inline_data = std::string(random_->below(inline_size_max), 'i');
    ++directory.change;
    return {PutInode{row}, PutEntry{entry}, PutInode{directory}};
}

const EntryRow* MetaWorkload::pick_entry() {
    auto at = tables_.cookies.lower_bound({root, random_->below(tables_.inodes.at(root).next_cookie)});
    if (at == tables_.cookies.end()) at = tables_.cookies.begin();
    return at == tables_.cookies.end() ? nullptr : &tables_.entries.at({at->first.first, at->second});
}

const InodeRow* MetaWorkload::pick_file() {
    const auto* entry = pick_entry();
    return entry == nullptr ? nullptr : &tables_.inodes.at(entry->child);
}

void MetaWorkload::append_content_removal(MapId map, Command& command) {
    for (auto at = tables_.extents.lower_bound({map, 0}); at != tables_.extents.end() && at->first.first == map; ++at) {
        command.push_back(DeleteExtent{{map, at->second.offset}});
        if (at->second.chunk != ChunkId{}) command.push_back(AdjustChunk{at->second.chunk, -1});
    }
}

Command MetaWorkload::unlink() {
    const auto* entry = pick_entry();
    if (entry == nullptr) return create();
    auto directory = tables_.inodes.at(root);
    ++directory.change;
    Command command{DeleteEntry{{root, entry->name}}, DeleteInode{entry->child}, PutInode{directory}};
    append_content_removal(tables_.inodes.at(entry->child).map, command);
    return command;
}

Command MetaWorkload::rename() {
    const auto* old = pick_entry();
    if (old == nullptr) return create();
    auto directory = tables_.inodes.at(root);
    auto entry = *old;
    entry.name = entry.folded = "renamed-" + std::to_string(++names_) + "-" + std::to_string(entry.child);
    entry.cookie = directory.next_cookie++;
    return {DeleteEntry{{root, old->name}}, PutEntry{entry}, PutInode{directory}};
}

Command MetaWorkload::write() {
    const auto* old = pick_file();
    if (old == nullptr) return create();
    auto row = *old;
    const auto block = random_->below(8);
    ExtentRow extent{.map = row.map, .offset = block << 20, .length = 1 << 20, .chunk = {}, .chunk_offset = 0};
    Command command;
    if (const auto at = tables_.extents.find({extent.map, extent.offset}); at != tables_.extents.end() && at->second.chunk != ChunkId{}) {
        command.push_back(AdjustChunk{at->second.chunk, -1});
    }
    if (random_->below(5) != 0) {
        auto chunk = sample_chunk(++chunks_);
        chunk.id.epoch = static_cast<std::uint32_t>(random_->below(1000) + 1);
        while (tables_.chunks.contains(chunk.id)) ++chunk.id.counter;
        extent.chunk = chunk.id;
        command.push_back(PutChunk{{chunk, 1}});
    }
    command.push_back(PutExtent{extent});
    row.size = std::max(row.size, (block + 1) << 20);
    ++row.change;
    row.inline_data.clear();
    command.push_back(PutInode{row});
    return command;
}

Command MetaWorkload::truncate() {
    const auto* old = pick_file();
    if (old == nullptr) return create();
    auto row = *old;
    const auto map = row.map;
    row.map = tables_.map_max + 1;
    row.size = 0;
    Command command{PutInode{row}};
    if (random_->below(2) == 0) {
        append_content_removal(map, command);
        if (tables_.reaps.contains(map)) command.push_back(DeleteReap{map});
    } else {
        command.push_back(PutReap{{map, 0}});
    }
    return command;
}

Command MetaWorkload::set_xattr() {
    const auto* old = pick_file();
    if (old == nullptr) return create();
    auto row = *old;
    row.has_xattrs = true;
    const auto name = "user." + std::to_string(random_->below(3));
    if (random_->below(4) == 0) return {DeleteXattr{{row.number, name}}, PutInode{row}};
    return {PutXattr{{row.number, name, std::string(random_->below(6000), 'v')}}, PutInode{row}};
}

Command MetaWorkload::put_record() {
    const auto key = std::to_string(random_->below(20));
    if (random_->below(4) == 0) return {DeleteRecord{{"clients", key}}};
    return {PutRecord{{random_->below(2) == 0 ? "clients" : "shares", key, std::to_string(random_->next())}}};
}

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// Client: operations on the bytes of files.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "tests/sim/workloads/client.h"

namespace strata::sim {

namespace {

constexpr std::uint64_t file_bytes_max = 1 << 20;
constexpr std::uint64_t page = 4096;
constexpr std::uint32_t read_bytes = 256 << 10;

std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// Mostly small, now and then large enough to be coded.
std::size_t some_size(SimRandom& random) {
    const auto kind = random.below(20);
    if (kind < 8) return random.between(1, 3000);
    if (kind < 16) return random.between(1, 40'000);
    if (kind < 19) return random.between(1, 200'000);
    return random.between(130'000, 600'000);
}

}  // namespace

// Bytes that only this write makes at this place.
std::string Client::some_bytes(std::uint64_t offset, std::size_t count) {
    std::string bytes(count, '\0');
    const std::uint64_t write = ++writes_ * 64 + static_cast<std::uint64_t>(number_);
    for (std::size_t i = 0; i < count; i += 8) {
        const std::uint64_t word = mixed(write * 0x9e3779b97f4a7c15 + offset + i);
        std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, count - i));
    }
    return bytes;
}

Task<> Client::write() {
    const auto key = some_file();
    if (!key) co_return co_await create();
    const std::uint64_t size = files_.at(*key).content.newest().size();
    std::uint64_t offset = random_.chance(0.4) ? size : random_.below(size + 1);
    if (random_.chance(0.05)) offset += random_.below(100'000);  // leaves a hole
    if (random_.chance(0.3)) offset = offset / page * page;
    const std::size_t count = std::min<std::uint64_t>(some_size(random_), file_bytes_max - std::min(offset, file_bytes_max - 1));
    offset = std::min(offset, file_bytes_max - count);
    const auto kind = random_.below(5);
    const auto wanted = kind == 0 ? vfs::Stability::file_sync : kind == 1 ? vfs::Stability::data_sync : vfs::Stability::unstable;
    co_await write_at(*key, offset, count, wanted);
}

Task<> Client::write_at(ObjectKey key, std::uint64_t offset, std::size_t count, vfs::Stability wanted) {
    auto& file = files_.at(key);
    const std::string bytes = some_bytes(offset, count);
    file.content.write(offset, bytes);
    const auto request = node_.request();
    const auto written = co_await fs().write(request->ctx, id(key), offset, BufferChain::copy_of(std::string_view(bytes)), wanted);
    if (!written) co_return wrong("write", written.error());
    if (written->count != bytes.size())
        node_.problem(fmt::format("client {}: {} of {} bytes written", number_, written->count, bytes.size()));
    if (written->stability != vfs::Stability::unstable) {
        committed(file);
    }
    co_await show(key);
}

Task<bool> Client::fill(int files_max, std::size_t bytes) {
    for (int i = 0; i < files_max && node_.powered(); ++i) {
        const auto refused = forgiven_count;
        const auto name = fmt::format("full{}", next_key_);
        co_await create_file(0, name, vfs::CreateMode::guarded);
        if (!unsure_ && node_.powered()) co_await write_at(names().entries.at({0, name}), 0, bytes, vfs::Stability::file_sync);
        if (unsure_ && node_.powered()) co_await find_out();
        if (forgiven_count != refused) co_return true;
    }
    co_return false;
}

Task<> Client::make_room() {
    std::vector<Place> places;
    for (const auto& [name, object] : names().entries) {
        if (names().objects.at(object).type == vfs::FileType::regular && random_.chance(0.5))
            places.push_back({name.first, name.second, object});
    }
    for (const auto& place : places) {
        if (node_.powered()) co_await remove_entry(place);
        if (unsure_ && node_.powered()) co_await find_out();
    }
}

// Bytes that are durable can be read: their file is, too.
void Client::committed(File& file) {
    file.content.commit();
    ++acknowledged_count;
    if (!file.content.newest().empty() && file.born > names_.acknowledged()) acknowledge(file.born);
}

Task<> Client::commit() {
    const auto key = some_file();
    if (!key) co_return;
    auto& file = files_.at(*key);
    const auto request = node_.request();
    const auto outcome = co_await fs().commit(request->ctx, id(*key), 0, 0);
    if (!outcome) co_return wrong("commit", outcome.error());
    committed(file);
    co_await show(*key);
}

Task<> Client::set_size() {
    const auto key = some_file();
    if (!key) co_return;
    auto& content = files_.at(*key).content;
    const std::uint64_t now = content.newest().size();
    vfs::SetAttributes set;
    set.size = random_.chance(0.2) ? 0 : random_.chance(0.7) ? random_.below(now + 1) : now + random_.below(50'000);
    (void)names_.change();
    content.set_size(*set.size, names_.position());
    const auto request = node_.request();
    const auto done = co_await fs().set_attributes(request->ctx, id(*key), set, true);
    co_await answered(*request, done, "set size");
}

Task<> Client::make_hole() {
    const auto key = some_file();
    if (!key) co_return;
    auto& content = files_.at(*key).content;
    const std::uint64_t now = content.newest().size();
    if (now == 0) co_return;
    const std::uint64_t offset = random_.below(now), length = random_.between(1, now);
    (void)names_.change();
    content.make_hole(offset, std::min(length, now - offset), names_.position());
    const auto request = node_.request();
    const auto done = co_await fs().deallocate(request->ctx, id(*key), offset, length);
    co_await answered(*request, done, "deallocate");
}

Task<> Client::reserve() {
    const auto key = some_file();
    if (!key) co_return;
    auto& content = files_.at(*key).content;
    const std::uint64_t offset = random_.below(content.newest().size() + 1), length = random_.between(1, 60'000);
    (void)names_.change();
    content.reserve(offset, length, names_.position());
    const auto request = node_.request();
    const auto done = co_await fs().allocate(request->ctx, id(*key), offset, length);
    co_await answered(*request, done, "allocate");
}

Task<> Client::clone() {
    const auto from = some_file(), to = some_file();
    if (!from || !to || *from == *to) co_return;
    const auto& source = files_.at(*from).content.newest();
    auto& target = files_.at(*to).content;
    if (source.empty()) co_return;
    const std::uint64_t offset = random_.below(source.size()) / page * page;
    const std::uint64_t to_offset = random_.below(target.newest().size() + 1) / page * page;
    if (to_offset + (source.size() - offset) > file_bytes_max) co_return;
    (void)names_.change();
    target.overlay(to_offset, std::string_view(source).substr(offset), names_.position());
    const auto request = node_.request();
    const auto done = co_await fs().clone(request->ctx, id(*from), offset, id(*to), to_offset, 0);
    co_await answered(*request, done, "clone");
}

Task<> Client::compare() {
    const auto key = some_file();
    if (!key) co_return;
    const auto request = node_.request();
    const auto read = co_await read_all(*request, id(*key));
    if (!read) co_return wrong("read", read.error());
    const auto& content = files_.at(*key).content;
    if (*read != content.newest() && node_.powered()) {
        node_.problem(fmt::format("client {}: inode {} reads {}", number_, id(*key).inode, content.difference(*read)));
    }
    co_await show(*key);
}

Task<Result<std::string>> Client::read_all(const Request& request, vfs::FileId file) {
    std::string all;
    for (;;) {
        CO_TRY(part, co_await fs().read(request.ctx, file, all.size(), read_bytes));
        std::string bytes(part.data.size(), '\0');
        part.data.copy_to(std::as_writable_bytes(std::span(bytes)));
        all += bytes;
        if (part.end_of_file) co_return all;
        if (bytes.empty()) co_return fail(Errc::internal, "a read before the end of the file returned nothing");
    }
}

// The change counter that the client sees now, and what it stands for.
Task<> Client::show(ObjectKey key) {
    const auto request = node_.request();
    const auto attributes = co_await fs().get_attributes(request->ctx, id(key));
    if (!attributes) co_return wrong("getattr", attributes.error());
    if (auto settled = co_await fs().settle(request->ctx); !settled) co_return wrong("settle", settled.error());
    const auto file = files_.find(key);
    check_change(key, *attributes);
    shown_[key] = {attributes->change, file == files_.end() ? nullptr : std::make_shared<std::string>(file->second.content.newest())};
    if (file != files_.end() && attributes->size != file->second.content.newest().size()) {
        node_.problem(fmt::format("client {}: inode {} has size {} instead of {}", number_, id(key).inode, attributes->size,
                                  file->second.content.newest().size()));
    }
}

}  // namespace strata::sim

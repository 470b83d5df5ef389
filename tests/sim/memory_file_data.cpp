// SPDX-License-Identifier: Apache-2.0
// MemoryFileSystem: bytes, holes and copies. MemoryRecordStore.
#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/sim/memory_file_system.h"
#include "tests/sim/memory_node.h"

namespace strata::sim {

using vfs::FileType;

Result<MemoryFileSystem::Node*> MemoryFileSystem::regular(vfs::FileId id) {
    TRY(node, find(id));
    if (node->a.type == FileType::directory) return fail(Errc::is_directory);
    if (node->a.type != FileType::regular) return fail(Errc::wrong_type);
    return node;
}

void MemoryFileSystem::resize(Node& node, std::uint64_t size) {
    if (size < node.a.size) {
        const auto first_gone = (size + page_size - 1) / page_size;
        const auto from = node.pages.lower_bound(first_gone);
        pages_ -= static_cast<std::uint64_t>(std::distance(from, node.pages.end()));
        node.pages.erase(from, node.pages.end());
        if (const auto last = node.pages.find(size / page_size); last != node.pages.end() && size % page_size != 0) {
            std::fill(last->second->begin() + static_cast<std::ptrdiff_t>(size % page_size), last->second->end(), std::byte{0});
        }
    }
    node.a.size = size;
    node.a.allocated = node.pages.size() * page_size;
}

Result<> MemoryFileSystem::store(Node& node, std::uint64_t offset, std::span<const std::byte> bytes) {
    if (offset > vfs::file_size_max || bytes.size() > vfs::file_size_max - offset) return fail(Errc::too_big);
    const auto end = offset + bytes.size();
    std::uint64_t fresh = 0;
    for (auto page = offset / page_size; page * page_size < end; ++page) fresh += node.pages.contains(page) ? 0 : 1;
    if ((pages_ + fresh) * page_size > capacity_) return fail(Errc::no_space);
    for (auto at = offset; at < end;) {
        auto& page = node.pages[at / page_size];
        if (page == nullptr) {
            page = std::make_unique<Page>();
            ++pages_;
        }
        const auto in_page = at % page_size;
        const auto count = std::min<std::uint64_t>(page_size - in_page, end - at);
        std::memcpy(page->data() + in_page, bytes.data() + (at - offset), count);
        at += count;
    }
    if (end > node.a.size) node.a.size = end;
    node.a.allocated = node.pages.size() * page_size;
    return {};
}

std::vector<std::byte> MemoryFileSystem::load(const Node& node, std::uint64_t offset, std::uint64_t count) const {
    if (offset >= node.a.size) return {};
    const auto end = offset + std::min(count, node.a.size - offset);
    std::vector<std::byte> out(end - offset);
    for (auto at = offset; at < end;) {
        const auto in_page = at % page_size;
        const auto n = std::min<std::uint64_t>(page_size - in_page, end - at);
        if (const auto page = node.pages.find(at / page_size); page != node.pages.end()) {
            std::memcpy(out.data() + (at - offset), page->second->data() + in_page, n);
        }
        at += n;
    }
    return out;
}

Task<Result<vfs::ReadResult>> MemoryFileSystem::read(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint32_t count) {
    co_await enter("read");
    CO_TRY(node, regular(file));
    vfs::ReadResult result;
    result.data = BufferChain::copy_of(std::span<const std::byte>(load(*node, offset, count)));
    result.end_of_file = offset >= node->a.size || count >= node->a.size - offset;
    saw(ctx);
    co_return result;
}

Task<Result<vfs::WriteResult>> MemoryFileSystem::write(const Context& ctx, vfs::FileId file, std::uint64_t offset, BufferChain data,
                                                       vfs::Stability wanted) {
    co_await enter("write");
    CO_TRY(node, regular(file));
    const auto bytes = data.flatten();
    CO_CHECK_OK(store(*node, offset, bytes.span()));
    if (!ctx.caller->is_superuser()) node->a.mode &= ~06000u;
    touch(*node, true);
    if (wanted != vfs::Stability::unstable) saw(ctx);
    co_return vfs::WriteResult{bytes.size(), wanted, verifier_};
}

Task<Result<std::uint64_t>> MemoryFileSystem::commit(const Context& ctx, vfs::FileId file, std::uint64_t, std::uint64_t) {
    co_await enter("commit");
    CO_TRY(node, regular(file));
    saw(ctx);
    co_return verifier_;
}

Task<Result<>> MemoryFileSystem::allocate(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t length) {
    co_await enter("allocate");
    CO_TRY(node, regular(file));
    if (offset > vfs::file_size_max || length > vfs::file_size_max - offset) co_return fail(Errc::too_big);
    if (length > capacity_) co_return fail(Errc::no_space);
    const auto end = offset + length;
    const auto old = load(*node, offset, length);
    std::vector<std::byte> bytes(length);
    std::copy(old.begin(), old.end(), bytes.begin());
    CO_CHECK_OK(store(*node, offset, bytes));
    if (end > node->a.size) node->a.size = end;
    touch(*node, true);
    saw(ctx);
    co_return Result<>{};
}

Task<Result<>> MemoryFileSystem::deallocate(const Context& ctx, vfs::FileId file, std::uint64_t offset, std::uint64_t length) {
    co_await enter("deallocate");
    CO_TRY(node, regular(file));
    const auto end = length > node->a.size || offset > node->a.size - length ? node->a.size : offset + length;
    for (auto at = offset; at < end;) {
        const auto in_page = at % page_size;
        const auto n = std::min<std::uint64_t>(page_size - in_page, end - at);
        if (const auto page = node->pages.find(at / page_size); page != node->pages.end()) {
            if (n == page_size || (in_page == 0 && at + n == node->a.size)) {
                node->pages.erase(page);
                --pages_;
            } else {
                std::memset(page->second->data() + in_page, 0, n);
            }
        }
        at += n;
    }
    node->a.allocated = node->pages.size() * page_size;
    touch(*node, true);
    saw(ctx);
    co_return Result<>{};
}

Task<Result<vfs::Extent>> MemoryFileSystem::map(const Context& ctx, vfs::FileId file, std::uint64_t offset) {
    co_await enter("map");
    CO_TRY(node, regular(file));
    if (offset >= node->a.size) co_return fail(Errc::invalid_argument);
    saw(ctx);
    const bool hole = !node->pages.contains(offset / page_size);
    auto page = offset / page_size;
    while (page * page_size < node->a.size && node->pages.contains(page) != hole) ++page;
    co_return vfs::Extent{offset, std::min(page * page_size, node->a.size) - offset, hole};
}

Task<Result<>> MemoryFileSystem::clone(const Context& ctx, vfs::FileId source, std::uint64_t source_offset, vfs::FileId target,
                                       std::uint64_t target_offset, std::uint64_t length) {
    co_await enter("clone");
    CO_TRY(from, regular(source));
    CO_TRY(to, regular(target));
    if (source_offset > from->a.size || length > from->a.size - source_offset) co_return fail(Errc::invalid_argument);
    const auto count = length == 0 ? from->a.size - source_offset : length;
    const bool to_end = source_offset + count == from->a.size;
    if (source_offset % page_size != 0 || target_offset % page_size != 0 || (count % page_size != 0 && !to_end)) {
        co_return fail(Errc::invalid_argument);
    }
    if (from == to && source_offset < target_offset + count && target_offset < source_offset + count)
        co_return fail(Errc::invalid_argument);
    CO_CHECK_OK(store(*to, target_offset, load(*from, source_offset, count)));
    touch(*to, true);
    saw(ctx);
    co_return Result<>{};
}

Task<Result<vfs::CopyResult>> MemoryFileSystem::copy(const Context& ctx, vfs::FileId source, std::uint64_t source_offset,
                                                     vfs::FileId target, std::uint64_t target_offset, std::uint64_t length) {
    co_await enter("copy");
    CO_TRY(from, regular(source));
    CO_TRY(to, regular(target));
    if (source_offset > from->a.size || length > from->a.size - source_offset) co_return fail(Errc::invalid_argument);
    const auto count = length == 0 ? from->a.size - source_offset : length;
    if (from == to && source_offset < target_offset + count && target_offset < source_offset + count)
        co_return fail(Errc::invalid_argument);
    CO_CHECK_OK(store(*to, target_offset, load(*from, source_offset, count)));
    touch(*to, true);
    saw(ctx);
    co_return vfs::CopyResult{count, verifier_, vfs::Stability::file_sync};
}

Task<Result<std::string>> MemoryRecordStore::get(const Context&, std::string_view table, std::string_view key) {
    const auto rows = tables.find(table);
    if (rows == tables.end()) co_return fail(Errc::not_found);
    const auto row = rows->second.find(key);
    if (row == rows->second.end()) co_return fail(Errc::not_found);
    co_return row->second;
}

Task<Result<>> MemoryRecordStore::put(const Context&, std::string_view table, std::string_view key, std::string_view value) {
    ++puts;
    if (broken) co_return fail(Errc::timed_out);
    tables[std::string(table)].insert_or_assign(std::string(key), std::string(value));
    co_return Result<>{};
}

Task<Result<>> MemoryRecordStore::erase(const Context& ctx, std::string_view table, std::string_view key) {
    co_return co_await erase_all(ctx, table, {std::string(key)});
}

Task<Result<>> MemoryRecordStore::erase_all(const Context&, std::string_view table, const std::vector<std::string>& keys) {
    ++erases;
    if (broken) co_return fail(Errc::timed_out);
    const auto rows = tables.find(table);
    if (rows == tables.end()) co_return Result<>{};
    for (const auto& key : keys) rows->second.erase(key);
    co_return Result<>{};
}

Task<Result<std::vector<std::pair<std::string, std::string>>>> MemoryRecordStore::scan(const Context&, std::string_view table) {
    std::vector<std::pair<std::string, std::string>> out;
    if (const auto rows = tables.find(table); rows != tables.end()) {
        for (const auto& [key, value] : rows->second) out.emplace_back(key, value);
    }
    co_return out;
}

}  // namespace strata::sim

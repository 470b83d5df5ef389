// SPDX-License-Identifier: Apache-2.0
// Pages, and what a power cut leaves of them.
#include "tests/sim/sim_file_tree.h"

#include <algorithm>
#include <cstring>

namespace strata::sim {

const PagePointer& reserved_page() {
    static const PagePointer page = std::make_shared<Page>();
    return page;
}

const PagePointer& SimContent::page_of(const std::vector<PagePointer>& pages, std::uint64_t index) {
    static const PagePointer hole;
    return index < pages.size() ? pages[index] : hole;
}

std::uint64_t SimContent::pages_missing(std::uint64_t offset, std::uint64_t length) const {
    if (length == 0) return 0;
    std::uint64_t missing = 0;
    for (auto p = offset / page_bytes; p <= (offset + length - 1) / page_bytes; ++p) {
        if (page_of(cached_, p) == nullptr) ++missing;
    }
    return missing;
}

std::size_t SimContent::read(std::uint64_t offset, std::span<std::byte> out) const {
    if (offset >= cached_size_) return 0;
    auto total = std::min<std::uint64_t>(out.size(), cached_size_ - offset);
    for (std::uint64_t done = 0; done < total;) {
        auto at = (offset + done) % page_bytes;
        auto n = std::min(total - done, page_bytes - at);
        const auto& page = page_of(cached_, (offset + done) / page_bytes);
        if (page == nullptr)
            std::memset(out.data() + done, 0, n);
        else
            std::memcpy(out.data() + done, page->data() + at, n);
        done += n;
    }
    return total;
}

void SimContent::mark_dirty(std::uint64_t index) {
    if (index >= is_dirty_.size()) is_dirty_.resize(index + 1);
    if (is_dirty_[index]) return;
    is_dirty_[index] = true;
    dirty_.push_back(index);
}

void SimContent::set_cached(std::uint64_t index, PagePointer page) {
    if (index >= cached_.size()) {
        if (page == nullptr) return;
        cached_.resize(index + 1);
    }
    if (cached_[index] == page) return;
    page_count_ += page != nullptr;
    page_count_ -= cached_[index] != nullptr;
    cached_[index] = std::move(page);
    mark_dirty(index);
}

Page& SimContent::writable(std::uint64_t index) {
    const auto& page = page_of(cached_, index);
    if (page == nullptr)
        set_cached(index, std::make_shared<Page>());
    else if (page.use_count() > 1)
        set_cached(index, std::make_shared<Page>(*page));
    mark_dirty(index);
    return *cached_[index];
}

void SimContent::write(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    cached_size_ = std::max(cached_size_, offset + bytes.size());
    for (std::size_t done = 0; done < bytes.size();) {
        auto at = (offset + done) % page_bytes;
        auto n = std::min(bytes.size() - done, page_bytes - at);
        std::memcpy(writable((offset + done) / page_bytes).data() + at, bytes.data() + done, n);
        done += n;
    }
}

void SimContent::zero(std::uint64_t offset, std::uint64_t length) {
    while (length > 0) {
        auto at = offset % page_bytes;
        auto n = std::min<std::uint64_t>(length, page_bytes - at);
        auto index = offset / page_bytes;
        if (n == page_bytes)
            set_cached(index, nullptr);
        else if (page_of(cached_, index) != nullptr)
            std::memset(writable(index).data() + at, 0, n);
        offset += n;
        length -= n;
    }
}

void SimContent::truncate(std::uint64_t size) {
    if (size < cached_size_) zero(size, (cached_.size() * page_bytes) - std::min<std::uint64_t>(size, cached_.size() * page_bytes));
    cached_size_ = size;
}

void SimContent::reserve(std::uint64_t offset, std::uint64_t length) {
    if (length == 0) return;
    for (auto p = offset / page_bytes; p <= (offset + length - 1) / page_bytes; ++p) {
        if (page_of(cached_, p) == nullptr) set_cached(p, reserved_page());
    }
    cached_size_ = std::max(cached_size_, offset + length);
}

void SimContent::punch(std::uint64_t offset, std::uint64_t length) {
    if (offset >= cached_size_) return;
    zero(offset, std::min(length, cached_size_ - offset));
}

void SimContent::sync() {
    durable_.resize(std::max(durable_.size(), cached_.size()));
    for (auto p : dirty_) {
        if (p < durable_.size()) durable_[p] = page_of(cached_, p);
        is_dirty_[p] = false;
    }
    dirty_.clear();
    durable_size_ = cached_size_;
}

void SimContent::sync_failed(SimRandom& random) {
    durable_.resize(std::max(durable_.size(), cached_.size()));
    for (auto p : dirty_) {
        if (random.chance(0.5) && p < durable_.size()) durable_[p] = page_of(cached_, p);
        is_dirty_[p] = false;
    }
    dirty_.clear();
    if (random.chance(0.5)) durable_size_ = cached_size_;
}

PagePointer SimContent::mixed(const PagePointer& before, const PagePointer& after, SimRandom& random) {
    auto page = before == nullptr ? std::make_shared<Page>() : std::make_shared<Page>(*before);
    for (std::size_t at = 0; at < page_bytes; at += sector_bytes) {
        if (random.chance(0.5)) continue;
        if (after == nullptr)
            std::memset(page->data() + at, 0, sector_bytes);
        else
            std::memcpy(page->data() + at, after->data() + at, sector_bytes);
    }
    return page;
}

std::uint64_t SimContent::size_after_cut(SimRandom& random) const {
    auto low = std::min(durable_size_, cached_size_);
    auto high = std::max(durable_size_, cached_size_);
    switch (random.below(3)) {
        case 0: return low;
        case 1: return high;
        default: return std::clamp(random.between(low, high) / sector_bytes * sector_bytes, low, high);
    }
}

void SimContent::power_cut(SimRandom& random) {
    enum class Survivor { durable, cached, pages, sectors };
    auto survivor = static_cast<Survivor>(random.below(4));
    if (dirty_.empty() && durable_size_ == cached_size_) survivor = Survivor::durable;
    auto size = survivor == Survivor::durable ? durable_size_ : survivor == Survivor::cached ? cached_size_ : size_after_cut(random);
    durable_.resize(std::max(durable_.size(), cached_.size()));
    for (auto p : dirty_) {
        if (p >= durable_.size()) continue;
        const auto& after = page_of(cached_, p);
        if (survivor == Survivor::cached || (survivor == Survivor::pages && random.chance(0.5)))
            durable_[p] = after;
        else if (survivor == Survivor::sectors)
            durable_[p] = mixed(durable_[p], after, random);
    }
    // Bytes past the end are gone for good.
    auto pages_left = (size + page_bytes - 1) / page_bytes;
    if (durable_.size() > pages_left) durable_.resize(pages_left);
    if (size % page_bytes != 0 && pages_left <= durable_.size() && durable_[pages_left - 1] != nullptr) {
        auto page = std::make_shared<Page>(*durable_[pages_left - 1]);
        std::memset(page->data() + size % page_bytes, 0, page_bytes - size % page_bytes);
        durable_[pages_left - 1] = std::move(page);
    }
    cached_ = durable_;
    cached_size_ = durable_size_ = size;
    dirty_.clear();
    is_dirty_.assign(is_dirty_.size(), false);
    page_count_ = static_cast<std::uint64_t>(std::ranges::count_if(cached_, [](const auto& page) { return page != nullptr; }));
}

std::vector<std::uint64_t> SimContent::written_durable_pages() const {
    std::vector<std::uint64_t> found;
    for (std::uint64_t p = 0; p < durable_.size() && p * page_bytes < durable_size_; ++p) {
        if (durable_[p] != nullptr && durable_[p] != reserved_page()) found.push_back(p);
    }
    return found;
}

void SimContent::flip_durable_bit(std::uint64_t index, SimRandom& random) {
    auto flipped = std::make_shared<Page>(*durable_[index]);
    auto end = std::min<std::uint64_t>(page_bytes, durable_size_ - index * page_bytes);
    (*flipped)[random.below(end)] ^= std::byte(1u << random.below(8));
    if (index < cached_.size() && cached_[index] == durable_[index]) cached_[index] = flipped;
    durable_[index] = std::move(flipped);
}

void EntryChange::apply(bool strict) const {
    if (from_folder != nullptr) {
        auto it = from_folder->durable.find(from_name);
        bool present = it != from_folder->durable.end() && it->second == node;
        if (!present && strict && to_folder != nullptr) return;
        if (present) from_folder->durable.erase(it);
    }
    if (to_folder != nullptr) to_folder->durable[to_name] = node;
}

}  // namespace strata::sim

// SPDX-License-Identifier: Apache-2.0
// Slabs: where they come from and where they go back to.
#include "server/base/buffer.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "server/base/assert.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define STRATA_POISON(data, size) ASAN_POISON_MEMORY_REGION(data, size)
#define STRATA_UNPOISON(data, size) ASAN_UNPOISON_MEMORY_REGION(data, size)
#endif
#endif
#ifndef STRATA_POISON
#define STRATA_POISON(data, size) (void(data), void(size))
#define STRATA_UNPOISON(data, size) (void(data), void(size))
#endif

namespace strata {

namespace {

constexpr std::size_t page_bytes = 4096;

std::byte* allocate_pages(std::size_t bytes) {
    auto rounded = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(page_bytes, rounded));
    STRATA_ASSERT(memory != nullptr);
    return memory;
}

Slab* make_slab(std::size_t capacity) {
    auto* slab = new Slab;
    slab->capacity = static_cast<std::uint32_t>(capacity);
    slab->payload = allocate_pages(capacity);
    return slab;
}

void destroy_slab(Slab* slab) noexcept {
    STRATA_UNPOISON(slab->payload, slab->capacity);
    std::free(slab->payload);
    delete slab;
}

}  // namespace

Slice allocate_heap(std::size_t bytes) {
    STRATA_ASSERT(bytes <= UINT32_MAX);
    if (bytes == 0) return {};
    if (bytes >= page_bytes) {
        auto* slab = make_slab(bytes);
        return Slice(slab, slab->payload, bytes);
    }
    // Head and payload in one piece.
    auto* memory = static_cast<std::byte*>(std::malloc(sizeof(Slab) + bytes));
    STRATA_ASSERT(memory != nullptr);
    auto* slab = new (memory) Slab;
    slab->capacity = static_cast<std::uint32_t>(bytes);
    slab->payload = memory + sizeof(Slab);
    return Slice(slab, slab->payload, bytes);
}

void release_slab(Slab* slab) noexcept {
    if (slab->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (slab->pool != nullptr) {
        slab->pool->take_back(slab);
    } else if (slab->payload == reinterpret_cast<std::byte*>(slab + 1)) {
        slab->~Slab();
        std::free(slab);
    } else {
        destroy_slab(slab);
    }
}

// ---- BufferChain ----

BufferChain BufferChain::copy_of(std::span<const std::byte> bytes) {
    BufferChain chain;
    if (bytes.empty()) return chain;
    auto slice = allocate_heap(bytes.size());
    std::memcpy(slice.writable().data(), bytes.data(), bytes.size());
    chain.append(std::move(slice));
    return chain;
}

BufferChain BufferChain::copy_of(std::string_view text) { return copy_of(std::as_bytes(std::span(text))); }

BufferChain BufferChain::zeros(std::size_t count) {
    // Never written, so the kernel backs all of it with its one zero page. Capacity 0: it pins nothing.
    alignas(page_bytes) static std::byte zero_run[1 << 20];
    static Slab slab{.references = 1, .capacity = 0, .pool = nullptr, .payload = zero_run};
    BufferChain chain;
    while (count > 0) {
        auto n = std::min(count, sizeof zero_run);
        slab.references.fetch_add(1, std::memory_order_relaxed);
        chain.append(Slice(&slab, zero_run, n));
        count -= n;
    }
    return chain;
}

BufferChain BufferChain::sub(std::size_t offset, std::size_t count) const {
    STRATA_ASSERT(offset <= size_ && count <= size_ - offset);
    BufferChain out;
    for (const auto& slice : slices_) {
        if (count == 0) break;
        if (offset >= slice.size()) {
            offset -= slice.size();
            continue;
        }
        auto n = std::min(count, slice.size() - offset);
        out.append(slice.sub(offset, n));
        offset = 0;
        count -= n;
    }
    return out;
}

void BufferChain::copy_to(std::span<std::byte> out) const {
    STRATA_ASSERT(out.size() <= size_);
    for (const auto& slice : slices_) {
        if (out.empty()) break;
        auto n = std::min(out.size(), slice.size());
        std::memcpy(out.data(), slice.data(), n);
        out = out.subspan(n);
    }
}

Slice BufferChain::flatten() const {
    if (slices_.empty()) return {};
    if (slices_.size() == 1) return slices_.front();
    auto slice = allocate_heap(size_);
    copy_to(slice.writable());
    return slice;
}

// ---- BufferPool ----

namespace {

constexpr std::array<std::size_t, 3> class_bytes = {4096, 65536, (1 << 20) + 4096};
constexpr std::array<std::size_t, 3> cached_max = {64, 16, 4};  // slabs a thread keeps for itself
constexpr std::size_t thread_slots = 64;

std::size_t class_of(std::size_t bytes) { return bytes <= class_bytes[0] ? 0 : bytes <= class_bytes[1] ? 1 : 2; }

// Threads share a slot only past 64 of them; its lock is then contended but still right.
std::size_t thread_slot() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t slot = next.fetch_add(1, std::memory_order_relaxed) % thread_slots;
    return slot;
}

}  // namespace

struct BufferPool::FreeLists {
    struct alignas(64) Cache {
        std::mutex mutex;
        std::array<std::vector<Slab*>, 3> slabs;
    };

    // A slab of class `c` that lies about, or null. Refills the thread's cache by half when that is empty.
    Slab* take(std::size_t c) {
        auto& cache = caches[thread_slot()];
        std::lock_guard lock(cache.mutex);
        auto& mine = cache.slabs[c];
        if (mine.empty()) {
            std::lock_guard shared_lock(mutex);
            auto& from = shared[c];
            auto n = std::min(from.size(), cached_max[c] / 2);
            mine.insert(mine.end(), from.end() - static_cast<std::ptrdiff_t>(n), from.end());
            from.resize(from.size() - n);
        }
        if (mine.empty()) return nullptr;
        auto* slab = mine.back();
        mine.pop_back();
        return slab;
    }

    void put(std::size_t c, Slab* slab) {
        auto& cache = caches[thread_slot()];
        std::lock_guard lock(cache.mutex);
        auto& mine = cache.slabs[c];
        mine.push_back(slab);
        if (mine.size() > cached_max[c]) {
            auto n = mine.size() / 2;
            std::lock_guard shared_lock(mutex);
            shared[c].insert(shared[c].end(), mine.end() - static_cast<std::ptrdiff_t>(n), mine.end());
            mine.resize(mine.size() - n);
        }
    }

    // Makes a slab; gives memory of other classes back to the heap first if the pool would hold more than `limit`.
    Slab* make(std::size_t c, std::size_t limit) {
        auto held_now = held.fetch_add(class_bytes[c]) + class_bytes[c];
        if (held_now > limit) shrink(held_now - limit);
        return make_slab(class_bytes[c]);
    }

    void shrink(std::size_t bytes) {
        std::lock_guard shared_lock(mutex);
        std::size_t freed = 0;
        for (std::size_t c = class_bytes.size(); c-- > 0;) {
            while (freed < bytes && !shared[c].empty()) {
                destroy_slab(shared[c].back());
                shared[c].pop_back();
                freed += class_bytes[c];
            }
        }
        held.fetch_sub(freed);
    }

    std::array<Cache, thread_slots> caches;
    std::mutex mutex;
    std::array<std::vector<Slab*>, 3> shared;
    std::atomic<std::size_t> held{0};  // handed out or lying about
};

BufferPool::BufferPool(std::size_t limit_bytes) : limit_(limit_bytes), free_(new FreeLists) {}

BufferPool::~BufferPool() {
    STRATA_ASSERT(used_bytes() == 0);  // a slice outlived its pool
    for (std::size_t c = 0; c < class_bytes.size(); ++c) {
        for (auto* slab : free_->shared[c]) destroy_slab(slab);
        for (auto& cache : free_->caches) {
            for (auto* slab : cache.slabs[c]) destroy_slab(slab);
        }
    }
    delete free_;
}

Slice BufferPool::allocate(std::size_t bytes) {
    STRATA_ASSERT(bytes > 0 && bytes <= class_bytes.back());
    auto c = class_of(bytes);
    if (used_.fetch_add(class_bytes[c], std::memory_order_relaxed) + class_bytes[c] > limit_) {
        used_.fetch_sub(class_bytes[c], std::memory_order_relaxed);
        return {};
    }
    auto* slab = free_->take(c);
    if (slab == nullptr) {
        slab = free_->make(c, limit_);
        slab->pool = this;
    }
    STRATA_UNPOISON(slab->payload, slab->capacity);
    slab->references.store(1, std::memory_order_relaxed);
    return Slice(slab, slab->payload, bytes);
}

void BufferPool::take_back(Slab* slab) noexcept {
    auto capacity = slab->capacity;
    STRATA_POISON(slab->payload, capacity);
    free_->put(class_of(capacity), slab);
    used_.fetch_sub(capacity, std::memory_order_release);
}

}  // namespace strata

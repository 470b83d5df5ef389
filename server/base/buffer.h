// SPDX-License-Identifier: Apache-2.0
// Buffers: pooled, 4 KiB-aligned, reference-counted slabs and the chains of slices that travel through the server uncopied.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <boost/container/small_vector.hpp>

namespace strata {

class BufferPool;

// The head of one allocation. Payload is 4 KiB-aligned for slabs from a pool of page size and above.
struct Slab {
    std::atomic<std::uint32_t> references{1};
    std::uint32_t capacity = 0;  // bytes of payload
    BufferPool* pool = nullptr;  // null: plain heap
    std::byte* payload = nullptr;
};

void release_slab(Slab* slab) noexcept;

// A shared, counted piece of a slab. Copying counts; the bytes are immutable once shared.
class Slice {
public:
    Slice() = default;
    Slice(Slab* adopted, std::byte* data, std::size_t size) noexcept : slab_(adopted), data_(data), size_(size) {}
    Slice(const Slice& other) noexcept : slab_(other.slab_), data_(other.data_), size_(other.size_) { retain(); }
    Slice(Slice&& other) noexcept
        : slab_(std::exchange(other.slab_, nullptr)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Slice& operator=(Slice other) noexcept {
        swap(other);
        return *this;
    }
    ~Slice() {
        if (slab_ != nullptr) release_slab(slab_);
    }
    void swap(Slice& other) noexcept {
        std::swap(slab_, other.slab_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }

    const std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    std::span<const std::byte> span() const { return {data_, size_}; }
    // Only while this slice is the slab's only user (freshly allocated).
    std::span<std::byte> writable() { return {data_, size_}; }
    bool unique() const { return slab_ != nullptr && slab_->references.load(std::memory_order_acquire) == 1; }
    // Names the slab among all living ones, for counting memory that several slices keep alive together; null: none (static bytes).
    const void* slab() const { return slab_; }
    // Bytes of memory that this slice keeps alive: the whole slab's.
    std::size_t pinned_bytes() const { return slab_ == nullptr ? 0 : slab_->capacity; }

    Slice sub(std::size_t offset, std::size_t count) const {
        Slice s(*this);
        s.data_ += offset;
        s.size_ = count;
        return s;
    }

private:
    void retain() noexcept {
        if (slab_ != nullptr) slab_->references.fetch_add(1, std::memory_order_relaxed);
    }
    Slab* slab_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// A sequence of slices seen as one run of bytes. A value; copying counts references, no bytes move.
class BufferChain {
public:
    BufferChain() = default;
    explicit BufferChain(Slice slice) { append(std::move(slice)); }

    // A heap copy of `bytes`.
    static BufferChain copy_of(std::span<const std::byte> bytes);
    static BufferChain copy_of(std::string_view text);
    // `count` zero bytes, all slices of one shared static page run: costs no memory.
    static BufferChain zeros(std::size_t count);

    void append(Slice slice) {
        size_ += slice.size();
        if (!slice.empty()) slices_.push_back(std::move(slice));
    }
    void append(const BufferChain& other) {
        for (const auto& s : other.slices_) append(s);
    }
    // The bytes [offset, offset+count); both must lie inside.
    BufferChain sub(std::size_t offset, std::size_t count) const;
    void copy_to(std::span<std::byte> out) const;  // out.size() <= size(); copies the first out.size() bytes
    // One contiguous slice: the only slice itself if it is alone, else a heap copy.
    Slice flatten() const;

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const auto& slices() const { return slices_; }
    std::size_t pinned_bytes() const {
        std::size_t n = 0;
        for (const auto& s : slices_) n += s.pinned_bytes();
        return n;
    }

private:
    boost::container::small_vector<Slice, 2> slices_;
    std::size_t size_ = 0;
};

// A fresh slice of plain heap memory, 4 KiB-aligned from one page up. Never fails (bad_alloc ends the process).
Slice allocate_heap(std::size_t bytes);

// BufferPool: slabs of the classes 4 KiB, 64 KiB and 1 MiB (+ one page for headers), kept for reuse, bounded in total.
// Any thread; each has a small cache of its own inside. Outlives its slices (asserted).
class BufferPool {
public:
    // limit_bytes: of payload handed out and not yet released.
    explicit BufferPool(std::size_t limit_bytes);
    ~BufferPool();

    // A slice of exactly `bytes` (1 .. 1 MiB + 4 KiB) from the smallest class that fits.
    // An empty slice means the bound is reached: the caller applies back-pressure or answers its protocol's error.
    Slice allocate(std::size_t bytes);

    std::size_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
    std::size_t limit_bytes() const { return limit_; }

private:
    friend void release_slab(Slab* slab) noexcept;
    void take_back(Slab* slab) noexcept;

    struct FreeLists;
    std::size_t limit_;
    std::atomic<std::size_t> used_{0};
    FreeLists* free_;
};

}  // namespace strata

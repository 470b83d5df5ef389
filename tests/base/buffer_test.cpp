// SPDX-License-Identifier: Apache-2.0
// Slices, chains and the pool, with real threads.
#include "server/base/buffer.h"

#include <thread>

#include <gtest/gtest.h>

namespace strata {

namespace {

std::string text_of(const BufferChain& chain) {
    std::string out(chain.size(), '\0');
    chain.copy_to(std::as_writable_bytes(std::span(out)));
    return out;
}

bool page_aligned(const Slice& slice) { return reinterpret_cast<std::uintptr_t>(slice.data()) % 4096 == 0; }

constexpr std::size_t mib = 1 << 20;

}  // namespace

TEST(Slice, copies_share_the_slab_and_the_last_one_frees_it) {
    auto slice = allocate_heap(100);
    EXPECT_TRUE(slice.unique());
    EXPECT_EQ(slice.pinned_bytes(), 100u);
    {
        auto copy = slice.sub(10, 20);
        EXPECT_FALSE(slice.unique());
        EXPECT_EQ(copy.size(), 20u);
        EXPECT_EQ(copy.data(), slice.data() + 10);
        EXPECT_EQ(copy.pinned_bytes(), 100u);
    }
    EXPECT_TRUE(slice.unique());
}

TEST(Slice, heap_memory_is_page_aligned_from_a_page_up) {
    EXPECT_TRUE(page_aligned(allocate_heap(4096)));
    EXPECT_TRUE(page_aligned(allocate_heap(5000)));
    EXPECT_TRUE(allocate_heap(0).empty());
}

TEST(BufferChain, pieces_read_as_one_run) {
    auto chain = BufferChain::copy_of("hello ");
    chain.append(BufferChain::copy_of("big "));
    chain.append(BufferChain::copy_of(""));
    chain.append(BufferChain::copy_of("world"));
    EXPECT_EQ(text_of(chain), "hello big world");
    EXPECT_EQ(text_of(chain.sub(4, 7)), "o big w");
    EXPECT_EQ(text_of(chain.sub(15, 0)), "");
    EXPECT_EQ(chain.sub(6, 4).slices().size(), 1u);
    auto flat = chain.flatten();
    EXPECT_EQ(text_of(BufferChain(flat)), "hello big world");
    auto one = chain.sub(0, 3);
    EXPECT_EQ(one.flatten().data(), one.slices().front().data());  // uncopied
}

TEST(BufferChain, zeros_cost_no_memory) {
    auto chain = BufferChain::zeros(3 * mib + 5);
    EXPECT_EQ(chain.size(), 3 * mib + 5);
    EXPECT_EQ(chain.pinned_bytes(), 0u);
    auto text = text_of(chain.sub(mib - 10, 100));
    EXPECT_EQ(text, std::string(100, '\0'));
}

TEST(BufferPool, slabs_come_aligned_from_the_smallest_class_that_fits) {
    BufferPool pool(16 * mib);
    for (auto [bytes, pinned] :
         {std::pair<std::size_t, std::size_t>{1, 4096}, {4096, 4096}, {4097, 65536}, {65537, mib + 4096}, {mib + 4096, mib + 4096}}) {
        auto slice = pool.allocate(bytes);
        EXPECT_EQ(slice.size(), bytes);
        EXPECT_EQ(slice.pinned_bytes(), pinned);
        EXPECT_EQ(pool.used_bytes(), pinned);
        EXPECT_TRUE(page_aligned(slice));
        EXPECT_TRUE(slice.unique());
    }
    EXPECT_EQ(pool.used_bytes(), 0u);
}

TEST(BufferPool, past_the_bound_it_gives_an_empty_slice_until_some_come_back) {
    BufferPool pool(3 * 65536);
    std::vector<Slice> held;
    for (int i = 0; i < 3; ++i) held.push_back(pool.allocate(65536));
    EXPECT_TRUE(pool.allocate(1).empty());
    held.pop_back();
    EXPECT_FALSE(pool.allocate(65536).empty());
}

TEST(BufferPool, released_memory_is_used_again) {
    BufferPool pool(mib);
    const std::byte* first = nullptr;
    for (int i = 0; i < 10; ++i) {
        auto slice = pool.allocate(60000);
        if (first == nullptr) first = slice.data();
        EXPECT_EQ(slice.data(), first);
    }
}

TEST(BufferPool, memory_of_one_class_serves_another_within_the_bound) {
    BufferPool pool(4 * mib);
    {
        std::vector<Slice> small;
        for (int i = 0; i < 1000; ++i) small.push_back(pool.allocate(4096));
        EXPECT_FALSE(small.back().empty());
    }
    std::vector<Slice> large;
    for (int i = 0; i < 3; ++i) large.push_back(pool.allocate(mib));
    EXPECT_FALSE(large.back().empty());
}

TEST(BufferPool, threads_allocate_here_and_release_there) {
    BufferPool pool(64 * mib);
    std::vector<std::vector<Slice>> boxes(4);
    for (int round = 0; round < 5; ++round) {
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < boxes.size(); ++t) {
            threads.emplace_back([&, t] {
                for (std::size_t i = 0; i < 200; ++i) {
                    auto slice = pool.allocate(i % 3 == 0 ? 4096 : i % 3 == 1 ? 65536 : 100);
                    ASSERT_FALSE(slice.empty());
                    ASSERT_TRUE(slice.unique());
                    std::memset(slice.writable().data(), static_cast<int>(t), 16);
                    boxes[t].push_back(std::move(slice));
                }
            });
        }
        for (auto& thread : threads) thread.join();
        threads.clear();
        for (std::size_t t = 0; t < boxes.size(); ++t) {
            threads.emplace_back([&, t] {
                auto other = (t + 1) % boxes.size();
                for (auto& slice : boxes[other]) EXPECT_EQ(slice.span()[7], std::byte(other));
                boxes[other].clear();
            });
        }
        for (auto& thread : threads) thread.join();
        EXPECT_EQ(pool.used_bytes(), 0u);
    }
}

}  // namespace strata

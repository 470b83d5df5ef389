// SPDX-License-Identifier: Apache-2.0
// Quota: a bound on what all clients together may have the server remember, and shares of it that give themselves back.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

namespace strata::nfs {

// Any thread. Outlives its shares.
class Quota {
public:
    explicit Quota(std::size_t max) : max_(max) {}
    Quota(const Quota&) = delete;
    Quota& operator=(const Quota&) = delete;

    class Share {
    public:
        Share() = default;
        Share(Share&& other) noexcept : of_(std::exchange(other.of_, nullptr)), amount_(std::exchange(other.amount_, 0)) {}
        Share& operator=(Share&& other) noexcept {
            std::swap(of_, other.of_);
            std::swap(amount_, other.amount_);
            return *this;
        }
        ~Share() {
            if (of_ != nullptr) of_->used_.fetch_sub(amount_, std::memory_order_relaxed);
        }

        // Gives back what is more than `amount`.
        void shrink(std::size_t amount) {
            if (of_ == nullptr || amount >= amount_) return;
            of_->used_.fetch_sub(amount_ - amount, std::memory_order_relaxed);
            amount_ = amount;
        }

    private:
        friend class Quota;
        Share(Quota* of, std::size_t amount) : of_(of), amount_(amount) {}
        Quota* of_ = nullptr;
        std::size_t amount_ = 0;
    };

    // Nothing: there is no room for it.
    std::optional<Share> take(std::size_t amount) {
        if (used_.fetch_add(amount, std::memory_order_relaxed) + amount <= max_) return Share(this, amount);
        used_.fetch_sub(amount, std::memory_order_relaxed);
        return std::nullopt;
    }
    std::size_t used() const { return used_.load(std::memory_order_relaxed); }
    std::size_t max() const { return max_; }

private:
    const std::size_t max_;
    std::atomic<std::size_t> used_{0};
};

}  // namespace strata::nfs

// SPDX-License-Identifier: Apache-2.0
// Threads that take jobs from one queue.
#include "server/base/pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>

#include "server/base/assert.h"

namespace strata {

namespace {

class ThreadPool final : public Pool {
public:
    ThreadPool(const std::string& name, int threads) {
        STRATA_ASSERT(threads > 0);
        for (int i = 0; i < threads; ++i) {
            threads_.emplace_back([this] { work(); });
            auto thread_name = name.substr(0, 12) + "-" + std::to_string(i);  // the kernel keeps 15 characters
            ::pthread_setname_np(threads_.back().native_handle(), thread_name.substr(0, 15).c_str());
        }
    }
    ~ThreadPool() override {
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    void post(Job job) override {
        bool sleeper = false;
        {
            std::lock_guard lock(mutex_);
            jobs_.push_back(std::move(job));
            sleeper = sleepers_ > 0;
        }
        if (sleeper) wake_.notify_one();
    }

private:
    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            while (jobs_.empty() && !ending_) {
                ++sleepers_;
                wake_.wait(lock);
                --sleepers_;
            }
            if (jobs_.empty()) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            job();
            job = Job();  // what it holds dies here, not under the lock
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    int sleepers_ = 0;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Pool> make_thread_pool(std::string name, int threads) { return std::make_unique<ThreadPool>(name, threads); }

}  // namespace strata

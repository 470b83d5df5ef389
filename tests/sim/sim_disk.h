// SPDX-License-Identifier: Apache-2.0
// SimDisk: a Disk in memory with a write cache that a power cut loses by seed, and faults on demand.
//
// The model. A file's content is pages; each page has a cached and a durable version, and sync() makes the cached one durable. A
// folder's entries likewise: what was made, renamed or removed is durable once sync_folder() of the folder returned; the order of
// what was not synced is lost. power_cut() keeps the durable state and, by seed, some of the rest: whole files' writes, pages, or
// 512-byte sectors; sizes and entries one by one. Open files die with Errc::io.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/base/clock.h"
#include "server/base/disk.h"

namespace strata::sim {

struct DiskFaults {
    double read_error = 0;   // probability that a call fails with Errc::io
    double write_error = 0;  // a part of the bytes may have been written
    double sync_error = 0;   // what was written since the last sync is then lost by seed, and a later sync does not bring it back
    bool failed = false;     // everything fails with Errc::io
};

// Any thread (a lock inside); deterministic only on one.
class SimDisk final : public Disk {
public:
    struct Hooks {
        std::function<void(std::string_view event, std::uint64_t a, std::uint64_t b)> trace;
        std::function<void(Duration)> spend;  // told how long each call takes
    };

    SimDisk(std::string name, std::uint64_t capacity_bytes, std::uint64_t seed, Hooks hooks = {});
    ~SimDisk() override;

    // Another handle for a part that owns its Disk. It dies with the power (Errc::io), as its files do; this object lives on.
    std::unique_ptr<Disk> mount();

    void power_cut();
    void set_faults(const DiskFaults& faults);
    // How long a call keeps its pool's thread busy (the job's own result is not delayed, what queues behind it is).
    void set_latency(Duration low, Duration high);
    // Calls that touch bytes [offset, offset + length) of `path` fail with Errc::io, until clear_bad_ranges().
    void set_bad_range(std::string_view path, std::uint64_t offset, std::uint64_t length);
    void clear_bad_ranges();
    void set_capacity(std::uint64_t bytes);
    // Flips `count` random bits in the durable content of files whose path begins with `path_prefix`, where bytes were ever written.
    // Returns how many were flipped (fewer only if there is no such file).
    int flip_bits(std::string_view path_prefix, int count);
    std::uint64_t used_bytes() const;
    std::uint64_t sync_count() const;  // of files, that returned ok

    Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override;
    Result<bool> exists(std::string_view path) override;
    Result<> remove(std::string_view path) override;
    Result<> rename(std::string_view from, std::string_view to) override;
    Result<> make_folder(std::string_view path) override;
    Result<> remove_folder(std::string_view path) override;
    Result<std::vector<std::string>> list(std::string_view folder) override;
    Result<> sync_folder(std::string_view folder) override;
    Result<DiskSpace> space() override;
    std::string description() const override;

    struct State;

private:
    std::shared_ptr<State> state_;
};

}  // namespace strata::sim

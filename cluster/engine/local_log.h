// SPDX-License-Identifier: Apache-2.0
// LocalLog: the metadata log of a node that stands alone: the same records in a file set on each of several stores, one fdatasync each,
// in parallel. A batch is durable when every copy has it; a copy that fails is dropped, once its loss is on record.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/engine/log_copy.h"
#include "cluster/engine/meta_log.h"
#include "server/base/runtime.h"

namespace strata::cluster {

struct LocalLogConfig {
    std::size_t segment_bytes = 16u << 20;
    int spares_max = 1;            // emptied segments kept for reuse, on each store
    Duration write_timeout = 30s;  // a store that hangs for longer is dropped
};

class LocalLog final : public MetaLog {
public:
    // Awaited by propose() before it counts a batch that a copy did not get: returns once the loss is on record, so that the copy is known
    // as stale should it come back. An error fails the log.
    using OnLoss = std::function<Task<Result<>>(Uuid store, Error why)>;
    struct Loss {
        Uuid store{};
        Error why{Errc::io};
    };

    // Opens the copies on `stores` (empty ones are fine), which all hold every durable record but for what rotted: what one lacks of the
    // longest run of records is copied from the others. A store that fails meanwhile is in losses().
    // Errors: io (no copy is left), bad_version, no_space and too_many (none could be given what it lacks).
    static Task<Result<std::unique_ptr<LocalLog>>> open(const Runtime& runtime, Uuid volume, std::vector<StoreDisk> stores,
                                                        LocalLogConfig config);
    ~LocalLog() override;
    const std::vector<Loss>& losses() const { return losses_; }
    // Durable records from here on may have been in a segment of which no copy can be read any more.
    std::optional<std::uint64_t> lost_from() const { return lost_from_; }

    // After open() and before the first propose(): the epoch that owns the log from now on, and the last index before its records (at
    // least last(); more if the materialised state is ahead of what is left of the log).
    void start(std::uint32_t epoch, std::uint64_t last, OnLoss on_loss);

    // Takes part from the next batch on; returns the last index that it will not have. Its old files of the log are gone.
    Task<Result<std::uint64_t>> add_copy(StoreDisk store);
    void remove_copy(const Uuid& store);

    Task<Result<>> propose(const Context& ctx, LogBatch batch) override;
    Task<Result<std::vector<LogBatch>>> read(const Context& ctx, std::uint64_t from, std::size_t bytes_max) override;
    Task<Result<>> trim(const Context& ctx, std::uint64_t to) override;
    std::uint64_t last() const override;
    std::uint32_t epoch() const override { return epoch_; }
    // The oldest index that read() still finds; last() + 1 if none.
    std::uint64_t first() const;
    Task<> close() override;

private:
    // A copy and its thread. Jobs own the copy, not the thread.
    struct Member {
        std::shared_ptr<LogCopy> copy;
        std::shared_ptr<Pool> pool;
    };
    struct Entry {
        LogRecord record;
        std::vector<std::pair<Member, PlacedRecord>> places;
    };
    struct Round;

    LocalLog(const Runtime& runtime, Uuid volume, LocalLogConfig config);
    Member make_member(StoreDisk store);
    std::vector<Member> members() const;
    Task<> scan_all(std::vector<std::pair<Member, LogCopyContent>>& contents);
    // Picks the newest run of records without a gap.
    void merge(const std::vector<std::pair<Member, LogCopyContent>>& contents);
    Task<> level(const Member& member);
    Task<Result<std::vector<std::byte>>> read_record(const Entry& entry);
    Task<Result<>> drop(const Member& member, Error why);
    static std::shared_ptr<Round> start_round(const std::vector<Member>& copies, const LogSegmentHeader& header, std::uint64_t last,
                                              const std::shared_ptr<std::vector<std::byte>>& bytes);
    Task<Result<std::vector<std::pair<Member, Error>>>> end_round(std::shared_ptr<Round> round, std::vector<Member> copies,
                                                                  Instant deadline, Entry& entry);
    Task<Result<>> pause();

    const Runtime runtime_;
    const Uuid volume_;
    const LocalLogConfig config_;
    const Log log_;
    std::uint32_t epoch_ = 0;
    std::uint64_t salt_ = 0;
    OnLoss on_loss_;
    std::vector<Loss> losses_;
    std::optional<std::uint64_t> lost_from_;

    mutable std::mutex mutex_;  // what follows
    std::vector<Member> members_;
    std::vector<std::shared_ptr<Pool>> retired_;  // of dropped copies: joined at the end, as they may hang
    std::map<std::uint64_t, Entry> index_;        // by first command; without a gap
    std::uint64_t last_ = 0;                      // durable
    std::uint64_t proposed_ = 0;                  // last_, or the end of the batch under way
};

}  // namespace strata::cluster

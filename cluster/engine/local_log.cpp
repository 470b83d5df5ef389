// SPDX-License-Identifier: Apache-2.0
// LocalLog: writing in parallel, reading back, and merging the copies at opening.
#include "cluster/engine/local_log.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "server/base/assert.h"
#include "server/base/signal.h"

namespace strata::cluster {

namespace {

constexpr Duration retry_pause = 1s;

}  // namespace

// One batch on its way to all copies. Outlives propose() if a store hangs.
struct LocalLog::Round {
    explicit Round(std::size_t copies) : results(copies), places(copies) {}
    Signal ended;
    std::mutex mutex;
    std::vector<std::optional<Result<>>> results;
    std::vector<PlacedRecord> places;
    std::uint64_t count = 0;
};

LocalLog::LocalLog(const Runtime& runtime, Uuid volume, LocalLogConfig config)
    : runtime_(runtime), volume_(volume), config_(config), log_(runtime.log("cluster.log")) {}

LocalLog::~LocalLog() = default;

LocalLog::Member LocalLog::make_member(StoreDisk store) {
    return {std::make_shared<LogCopy>(std::move(store), config_.segment_bytes, config_.spares_max), runtime_.make_pool("meta-log", 1)};
}

std::vector<LocalLog::Member> LocalLog::members() const {
    std::lock_guard lock(mutex_);
    return members_;
}

Task<Result<std::unique_ptr<LocalLog>>> LocalLog::open(const Runtime& runtime, Uuid volume, std::vector<StoreDisk> stores,
                                                       LocalLogConfig config) {
    std::unique_ptr<LocalLog> log(new LocalLog(runtime, volume, config));
    std::vector<std::pair<Member, LogCopyContent>> contents;
    for (auto& store : stores) contents.emplace_back(log->make_member(std::move(store)), LogCopyContent{});
    co_await log->scan_all(contents);
    for (const auto& loss : log->losses_) {
        if (loss.why == Errc::bad_version) co_return fail(loss.why);
    }
    log->merge(contents);
    for (const auto& [member, content] : contents) co_await log->level(member);
    if (log->members_.empty()) {
        for (const auto& loss : log->losses_) {
            if (passes(loss.why)) co_return fail(loss.why);
        }
        co_return fail(Errc::io, "no store's copy of the metadata log can be read" +
                                     (log->losses_.empty() ? std::string() : ": " + to_string(log->losses_.front().why)));
    }
    co_return std::move(log);
}

Task<> LocalLog::scan_all(std::vector<std::pair<Member, LogCopyContent>>& contents) {
    std::vector<std::pair<Member, LogCopyContent>> sound;
    for (auto& [member, content] : contents) {
        auto scan = co_await member.pool->run([copy = member.copy, volume = volume_] { return copy->scan(volume); });
        if (scan) {
            sound.emplace_back(member, std::move(*scan));
            continue;
        }
        log_.error("a copy of the metadata log cannot be read",
                   {{"store", member.copy->description()}, {"error", to_string(scan.error())}});
        losses_.push_back({member.copy->store(), scan.error()});
        retired_.push_back(member.pool);
    }
    contents = std::move(sound);
}

void LocalLog::merge(const std::vector<std::pair<Member, LogCopyContent>>& contents) {
    // A newer owner's segment says what it took over: an older owner's records past that point never counted.
    std::map<std::uint32_t, std::uint64_t> begun;  // epoch -> first index
    std::uint64_t last = 0;
    for (const auto& [member, content] : contents) {
        for (const auto& header : content.headers) {
            auto [at, fresh] = begun.emplace(header.epoch, header.first);
            if (!fresh) at->second = std::min(at->second, header.first);
            last = std::max(last, header.first - 1);
        }
    }
    const auto counts = [&begun](const LogRecord& record) {
        for (auto at = begun.upper_bound(record.epoch); at != begun.end(); ++at) {
            if (record.first >= at->second) return false;
        }
        return true;
    };
    std::map<std::uint64_t, Entry> by_last;
    for (const auto& [member, content] : contents) {
        for (const auto& placed : content.records) {
            if (!counts(placed.record)) continue;
            last = std::max(last, placed.record.last());
            auto& entry = by_last[placed.record.last()];
            if (entry.places.empty() || placed.record.epoch > entry.record.epoch) entry = Entry{placed.record, {}};
            if (placed.record.epoch == entry.record.epoch && placed.record.first == entry.record.first)
                entry.places.emplace_back(member, placed);
        }
    }
    last_ = last;
    for (const auto& [member, content] : contents) {
        for (const auto first : content.lost) {
            const bool sound_elsewhere = std::ranges::any_of(contents, [first](const auto& other) {
                return std::ranges::find(other.second.headers, first, &LogSegmentHeader::first) != other.second.headers.end();
            });
            if (first > last_ && !sound_elsewhere) lost_from_ = std::min(first, lost_from_.value_or(first));
        }
    }
    for (auto at = by_last.find(last); at != by_last.end(); at = by_last.find(last)) {
        last = at->second.record.first - 1;
        index_.emplace(at->second.record.first, at->second);
    }
}

// Gives the copy, in a segment of its own, what it lacks of the run.
Task<> LocalLog::level(const Member& member) {
    std::vector<std::vector<std::byte>> missing;
    LogSegmentHeader header{.volume = volume_, .first = 0, .epoch = UINT32_MAX, .salt = runtime_.random->next()};
    std::uint64_t last = 0;
    std::optional<Error> error;
    for (const auto& [first, entry] : index_) {
        if (std::ranges::any_of(entry.places, [&member](const auto& place) { return place.first.copy == member.copy; })) continue;
        auto record = co_await read_record(entry);
        if (!record) {
            error = record.error();
            break;
        }
        reseal_log_record(*record, header.salt);
        if (header.first == 0) header.first = first;
        header.epoch = std::min(header.epoch, entry.record.epoch);
        last = entry.record.last();
        missing.push_back(std::move(*record));
    }
    if (!error && !missing.empty()) {
        log_.warning("records of the metadata log are copied to a store that lacks them",
                     {{"store", member.copy->description()}, {"from", header.first}, {"to", last}, {"records", missing.size()}});
        const auto written = co_await member.pool->run([&] { return member.copy->write_segment(header, missing, last); });
        if (!written) error = written.error();
    }
    if (error) {
        losses_.push_back({member.copy->store(), *error});
        retired_.push_back(member.pool);
    } else {
        members_.push_back(member);
    }
}

void LocalLog::start(std::uint32_t epoch, std::uint64_t last, OnLoss on_loss) {
    STRATA_ASSERT(last >= last_);
    if (last > last_) index_.clear();
    epoch_ = epoch;
    last_ = proposed_ = last;
    salt_ = runtime_.random->next();
    on_loss_ = std::move(on_loss);
}

Task<Result<std::uint64_t>> LocalLog::add_copy(StoreDisk store) {
    const auto disk = store.disk;
    auto member = make_member(std::move(store));
    CO_CHECK_OK(co_await member.pool->run([disk] { return LogCopy::erase(*disk); }));
    std::lock_guard lock(mutex_);
    members_.push_back(std::move(member));
    co_return proposed_;
}

void LocalLog::remove_copy(const Uuid& store) {
    std::lock_guard lock(mutex_);
    std::erase_if(members_, [&](const Member& member) {
        if (member.copy->store() != store) return false;
        retired_.push_back(member.pool);
        return true;
    });
}

Task<Result<>> LocalLog::drop(const Member& member, Error why) {
    log_.error("a copy of the metadata log is dropped", {{"store", member.copy->description()}, {"error", to_string(why)}});
    remove_copy(member.copy->store());
    if (on_loss_) CO_CHECK_OK(co_await on_loss_(member.copy->store(), std::move(why)));
    co_return Result<>{};
}

std::shared_ptr<LocalLog::Round> LocalLog::start_round(const std::vector<Member>& copies, const LogSegmentHeader& header,
                                                       std::uint64_t last, const std::shared_ptr<std::vector<std::byte>>& bytes) {
    auto round = std::make_shared<Round>(copies.size());
    for (std::size_t i = 0; i < copies.size(); ++i) {
        copies[i].pool->post(Job([round, i, copy = copies[i].copy, bytes, header, last] {
            auto written = copy->append(header, header.first, last, *bytes);
            std::uint64_t count = 0;
            {
                std::lock_guard lock(round->mutex);
                if (written) {
                    round->places[i].segment = copy->last_segment();
                    round->places[i].record.offset = copy->last_offset();
                }
                round->results[i] = std::move(written);
                count = ++round->count;
            }
            round->ended.raise(count);
        }));
    }
    return round;
}

// Waits until `deadline` for the copies to answer; notes who has the record, returns who failed, and why.
Task<Result<std::vector<std::pair<LocalLog::Member, Error>>>> LocalLog::end_round(std::shared_ptr<Round> round, std::vector<Member> copies,
                                                                                  Instant deadline, Entry& entry) {
    if (const auto all = co_await round->ended.wait(copies.size(), *runtime_.clock, deadline); !all && all.error() == Errc::cancelled) {
        co_return fail(Errc::timed_out, "the log is being closed");
    }
    std::vector<std::pair<Member, Error>> failed;
    std::lock_guard lock(round->mutex);
    for (std::size_t i = 0; i < copies.size(); ++i) {
        if (!round->results[i]) {
            failed.emplace_back(copies[i], Error(Errc::timed_out, "the store does not answer"));
        } else if (!*round->results[i]) {
            failed.emplace_back(copies[i], round->results[i]->error());
        } else {
            entry.places.emplace_back(copies[i], PlacedRecord{entry.record, round->places[i].segment, salt_});
            entry.places.back().second.record.offset = round->places[i].record.offset;
        }
    }
    co_return failed;
}

Task<Result<>> LocalLog::propose(const Context&, LogBatch batch) {
    const auto first = batch.first;
    const auto last = first + batch.commands.size() - 1;
    const auto bytes = std::make_shared<std::vector<std::byte>>(encode_log_record(batch, epoch_, salt_));
    std::vector<Member> present;
    {
        std::lock_guard lock(mutex_);
        STRATA_ASSERT(epoch_ != 0 && first == last_ + 1);
        present = members_;
        proposed_ = last;
    }
    const LogSegmentHeader header{.volume = volume_, .first = first, .epoch = epoch_, .salt = salt_};
    Entry entry{{.first = first, .count = static_cast<std::uint32_t>(batch.commands.size()), .epoch = epoch_, .size = bytes->size()}, {}};
    std::vector<std::pair<Member, Error>> failed;
    const Instant give_up = runtime_.clock->now() + config_.write_timeout;
    for (;;) {
        auto round = start_round(present, header, last, bytes);
        CO_TRY(missed, co_await end_round(round, present, runtime_.clock->now() + config_.write_timeout, entry));
        // A full disk, or no descriptor left, may pass; nobody has been told anything yet. The last copy is never given up for that.
        present.clear();
        const bool late = runtime_.clock->now() >= give_up;
        for (auto& [member, why] : missed) {
            if (passes(why) && (!late || entry.places.empty()))
                present.push_back(member);
            else
                failed.emplace_back(member, std::move(why));
        }
        if (present.empty()) break;
        log_.warning("a record of the metadata log waits",
                     {{"store", present.front().copy->description()}, {"for", "space or descriptors"}});
        if (auto paused = co_await pause(); !paused) co_return paused;
        const auto now = members();  // one that was dropped meanwhile may be built anew in the same place
        std::erase_if(present, [&now](const Member& member) { return std::ranges::find(now, member.copy, &Member::copy) == now.end(); });
    }
    if (entry.places.empty()) co_return fail(failed.empty() ? Error(Errc::io, "no copy of the log is left") : failed.front().second);
    for (auto& [member, why] : failed) CO_CHECK_OK(co_await drop(member, std::move(why)));
    std::lock_guard lock(mutex_);
    index_.emplace(first, std::move(entry));
    last_ = last;
    co_return Result<>{};
}

// Errors: timed_out: the proposer is to stop.
Task<Result<>> LocalLog::pause() {
    Signal never;
    const auto waited = co_await never.wait(1, *runtime_.clock, runtime_.clock->now() + retry_pause);
    if (!waited && waited.error() == Errc::cancelled) co_return fail(Errc::timed_out, "the log is being closed");
    co_return Result<>{};
}

Task<Result<std::vector<std::byte>>> LocalLog::read_record(const Entry& entry) {
    Error error(Errc::corrupt, "no copy has the record");
    for (const auto& [member, placed] : entry.places) {
        auto bytes = co_await member.pool->run([&copy = member.copy, &placed] { return copy->read(placed); });
        if (bytes) co_return std::move(*bytes);
        error = bytes.error();
    }
    co_return fail(std::move(error));
}

Task<Result<std::vector<LogBatch>>> LocalLog::read(const Context&, std::uint64_t from, std::size_t bytes_max) {
    std::vector<Entry> wanted;
    {
        std::lock_guard lock(mutex_);
        auto at = index_.upper_bound(from);
        if (at == index_.begin()) {
            if (from <= last_) co_return fail(Errc::not_found, fmt::format("the metadata log no longer holds {}", from));
        } else if (std::prev(at)->second.record.last() >= from) {
            --at;
        }
        std::size_t bytes = 0;
        for (; at != index_.end() && (wanted.empty() || bytes < bytes_max); ++at) {
            bytes += at->second.record.size;
            wanted.push_back(at->second);
        }
    }
    std::vector<LogBatch> batches;
    for (const auto& entry : wanted) {
        CO_TRY(bytes, co_await read_record(entry));
        CO_TRY(batch, decode_log_batch(bytes));
        batches.push_back(std::move(batch));
    }
    co_return std::move(batches);
}

Task<Result<>> LocalLog::trim(const Context&, std::uint64_t to) {
    {
        std::lock_guard lock(mutex_);
        while (!index_.empty() && index_.begin()->second.record.last() <= to) index_.erase(index_.begin());
    }
    // A store that hangs must not keep the others waiting: its thread does it when it comes to it.
    for (const auto& member : members()) {
        member.pool->post(Job([copy = member.copy, to, log = log_] {
            const auto trimmed = copy->trim(to);
            if (!trimmed) {
                log.warning("a copy of the metadata log cannot be trimmed",
                            {{"store", copy->description()}, {"error", to_string(trimmed.error())}});
            }
        }));
    }
    co_return Result<>{};
}

std::uint64_t LocalLog::last() const {
    std::lock_guard lock(mutex_);
    return last_;
}

std::uint64_t LocalLog::first() const {
    std::lock_guard lock(mutex_);
    return index_.empty() ? last_ + 1 : index_.begin()->first;
}

// Joins the copies' threads: what they were doing is done.
Task<> LocalLog::close() {
    std::vector<Member> members;
    std::vector<std::shared_ptr<Pool>> retired;
    std::lock_guard lock(mutex_);
    members.swap(members_);
    retired.swap(retired_);
    index_.clear();
    co_return;
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// MemoryMetaStore: a log writer and a materialiser on virtual time, over MetaTables.
#include "tests/sim/memory_meta_store.h"

#include <algorithm>
#include <set>

namespace strata::sim {

using namespace strata::cluster;

MemoryMetaStore::MemoryMetaStore(const Runtime& runtime, MetaImage image, MetaTiming timing)
    : runtime_(runtime),
      timing_(timing),
      tables_(std::move(image.tables)),
      last_(image.last),
      durable_index_(image.last),
      applied_index_(image.last) {
    volume_.uuid.fill(0x5a);
    volume_.epoch = image.epoch + 1;
    volume_.clean = image.clean;
    volume_.next_inode = tables_.inode_max + 1;
    volume_.next_map = tables_.map_max + 1;
    volume_.change_floor = image.clean ? image.change_floor : std::uint64_t{volume_.epoch} << 40;
    volume_.inode_count = tables_.inodes.size();
    submitted_.raise(last_);
    durable_.raise(last_);
    applied_.raise(last_);
    tasks_.spawn(runtime_.executor(), [this] { return write_log(); });
    tasks_.spawn(runtime_.executor(), [this] { return materialise(); });
}

MemoryMetaStore::~MemoryMetaStore() = default;

MetaImage MemoryMetaStore::image() const {
    std::lock_guard lock(mutex_);
    MetaImage image{tables_, durable_index_, volume_.epoch, volume_.change_floor, clean_};
    for (std::size_t i = 0; i < durable_index_ - applied_index_; ++i) image.tables.apply(queue_[i]);
    return image;
}

MetaImage MemoryMetaStore::power_off() {
    {
        std::lock_guard lock(mutex_);
        off_ = true;
    }
    tasks_.stop();
    const Error error(Errc::closed, "the power is off");
    submitted_.fail_all(error);
    durable_.fail_all(error);
    applied_.fail_all(error);
    return image();
}

Task<> MemoryMetaStore::stopped() { (void)co_await tasks_.wait(*runtime_.clock, Instant::max()); }

void MemoryMetaStore::fail_log(Error error) {
    {
        std::lock_guard lock(mutex_);
        log_failed_ = true;
    }
    durable_.fail_all(std::move(error));
}

LogIndex MemoryMetaStore::submitted() const {
    std::lock_guard lock(mutex_);
    return last_;
}

LogIndex MemoryMetaStore::submit(Command command) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(command));
    submitted_.raise(++last_);
    return last_;
}

Task<Result<>> MemoryMetaStore::admit(const Context& ctx) {
    const LogIndex last = submitted();
    if (last <= timing_.unapplied_max) co_return Result<>{};
    co_return co_await applied_.wait(last - timing_.unapplied_max, *runtime_.clock, ctx.deadline);
}

Duration MemoryMetaStore::part_of(Duration longest) {
    return longest <= Duration::zero() ? Duration::zero()
                                       : Duration(runtime_.random->below(static_cast<std::uint64_t>(longest.count()) + 1));
}

Task<> MemoryMetaStore::write_log() {
    LogIndex durable = durable_.value();
    while (co_await submitted_.wait(durable + 1, *runtime_.clock, Instant::max())) {
        const LogIndex taken = submitted();
        co_await runtime_.clock->sleep_for(part_of(timing_.durable_after));
        {
            std::lock_guard lock(mutex_);
            if (off_ || log_failed_ || tasks_.stopping()) co_return;
            durable_index_ = durable = taken;
        }
        durable_.raise(durable);
    }
}

Task<> MemoryMetaStore::materialise() {
    LogIndex applied = applied_.value();
    while (co_await durable_.wait(applied + 1, *runtime_.clock, Instant::max())) {
        co_await runtime_.clock->sleep_for(part_of(timing_.applied_after));
        {
            std::lock_guard lock(mutex_);
            if (off_ || tasks_.stopping()) co_return;
            while (applied_index_ < durable_index_) {
                tables_.apply(queue_.front());
                queue_.pop_front();
                ++applied_index_;
            }
            applied = applied_index_;
        }
        applied_.raise(applied);
    }
}

Task<Result<>> MemoryMetaStore::begin_read() {
    if (timing_.read_takes > Duration::zero()) co_await runtime_.clock->sleep_for(part_of(timing_.read_takes));
    std::lock_guard lock(mutex_);
    if (off_) co_return fail(Errc::closed);
    co_return Result<>{};
}

Task<Result<std::optional<InodeRow>>> MemoryMetaStore::inode(const Context&, InodeNumber number) {
    CO_CHECK_OK(co_await begin_read());
    std::lock_guard lock(mutex_);
    const auto at = tables_.inodes.find(number);
    co_return at == tables_.inodes.end() ? std::nullopt : std::optional(at->second);
}

Task<Result<std::vector<InodeRow>>> MemoryMetaStore::inodes(const Context&, std::vector<InodeNumber> numbers) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<InodeRow> rows;
    std::lock_guard lock(mutex_);
    for (auto number : numbers) {
        if (const auto at = tables_.inodes.find(number); at != tables_.inodes.end()) rows.push_back(at->second);
    }
    co_return rows;
}

Task<Result<std::optional<EntryRow>>> MemoryMetaStore::entry(const Context&, InodeNumber parent, std::string name) {
    CO_CHECK_OK(co_await begin_read());
    std::lock_guard lock(mutex_);
    const auto at = tables_.entries.find({parent, name});
    co_return at == tables_.entries.end() ? std::nullopt : std::optional(at->second);
}

Task<Result<std::vector<EntryRow>>> MemoryMetaStore::entries(const Context&, InodeNumber parent, std::uint64_t after, std::size_t limit) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<EntryRow> rows;
    std::lock_guard lock(mutex_);
    for (auto at = tables_.cookies.upper_bound({parent, after});
         at != tables_.cookies.end() && at->first.first == parent && rows.size() < limit; ++at) {
        rows.push_back(tables_.entries.at({parent, at->second}));
    }
    co_return rows;
}

Task<Result<MetaStore::Extents>> MemoryMetaStore::extents(const Context&, MapId map, std::uint64_t from, std::uint64_t to,
                                                          std::size_t limit) {
    CO_CHECK_OK(co_await begin_read());
    Extents found;
    std::set<ChunkId> named;
    std::lock_guard lock(mutex_);
    auto at = tables_.extents.upper_bound({map, from});
    if (at != tables_.extents.begin()) {
        const auto before = std::prev(at);
        if (before->first.first == map && before->second.offset + before->second.length > from) at = before;
    }
    for (; at != tables_.extents.end() && at->first.first == map && at->second.offset < to && found.extents.size() < limit; ++at) {
        found.extents.push_back(at->second);
        if (at->second.chunk == ChunkId{} || !named.insert(at->second.chunk).second) continue;
        if (const auto chunk = tables_.chunks.find(at->second.chunk); chunk != tables_.chunks.end()) found.chunks.push_back(chunk->second);
    }
    co_return found;
}

Task<Result<std::optional<ChunkRow>>> MemoryMetaStore::chunk(const Context&, ChunkId id) {
    CO_CHECK_OK(co_await begin_read());
    std::lock_guard lock(mutex_);
    const auto at = tables_.chunks.find(id);
    co_return at == tables_.chunks.end() ? std::nullopt : std::optional(at->second);
}

Task<Result<std::vector<ChunkRow>>> MemoryMetaStore::chunks(const Context&, ChunkId after, std::size_t limit) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<ChunkRow> rows;
    std::lock_guard lock(mutex_);
    for (auto at = tables_.chunks.upper_bound(after); at != tables_.chunks.end() && rows.size() < limit; ++at) rows.push_back(at->second);
    co_return rows;
}

Task<Result<std::vector<ExtentRow>>> MemoryMetaStore::extents_of_chunk(const Context&, ChunkId id, std::size_t limit) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<ExtentRow> rows;
    std::lock_guard lock(mutex_);
    for (auto at = tables_.extents.begin(); at != tables_.extents.end() && rows.size() < limit; ++at) {
        if (at->second.chunk == id) rows.push_back(at->second);
    }
    co_return rows;
}

Task<Result<std::vector<XattrRow>>> MemoryMetaStore::xattrs(const Context&, InodeNumber inode) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<XattrRow> rows;
    std::lock_guard lock(mutex_);
    for (auto at = tables_.xattrs.lower_bound({inode, {}}); at != tables_.xattrs.end() && at->first.first == inode; ++at) {
        rows.push_back({inode, at->first.second, at->second});
    }
    co_return rows;
}

Task<Result<std::vector<RecordRow>>> MemoryMetaStore::records(const Context&, std::string table) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<RecordRow> rows;
    std::lock_guard lock(mutex_);
    for (auto at = tables_.records.lower_bound({table, {}}); at != tables_.records.end() && at->first.first == table; ++at) {
        rows.push_back({table, at->first.second, at->second});
    }
    co_return rows;
}

Task<Result<std::vector<ReapRow>>> MemoryMetaStore::reaps(const Context&, std::size_t limit) {
    CO_CHECK_OK(co_await begin_read());
    std::vector<ReapRow> rows;
    std::lock_guard lock(mutex_);
    for (auto at = tables_.reaps.begin(); at != tables_.reaps.end() && rows.size() < limit; ++at) rows.push_back({at->first, at->second});
    co_return rows;
}

Task<Result<>> MemoryMetaStore::close(const Context&) {
    const LogIndex last = submitted();
    CO_CHECK_OK(co_await durable_.wait(last, *runtime_.clock, Instant::max()));
    CO_CHECK_OK(co_await applied_.wait(last, *runtime_.clock, Instant::max()));
    {
        std::lock_guard lock(mutex_);
        clean_ = true;
    }
    power_off();
    co_await stopped();
    co_return Result<>{};
}

}  // namespace strata::sim

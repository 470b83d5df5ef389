// SPDX-License-Identifier: Apache-2.0
// Reading whole databases, row by row.
#include "cluster/meta/replica_check.h"

#include <span>
#include <utility>

#include "cluster/meta/byte_codec.h"
#include "server/base/crc32c.h"

namespace strata::cluster {

namespace {

constexpr std::size_t page_rows = 1000;
constexpr int faults_max = 20;

// Every page of rows by `page`(last row of the one before, or null), each to `visit`.
template <class Row, class Page>
Result<> visit_all(const std::function<Result<>(const Row&)>& visit, Page page) {
    if (!visit) return {};
    for (Row last{};;) {
        TRY(rows, page(last));
        for (const auto& row : rows) CHECK_OK(visit(row));
        if (rows.size() < page_rows) return {};
        last = std::move(rows.back());
    }
}

// Two CRCs of the rows as a command puts them: the same row gives the same bytes on every replica.
struct Digest {
    std::uint32_t low = 0, high = 0x5354;
    void add(RowChange change) {
        const auto bytes = encode({std::move(change)});
        low = crc32c(std::as_bytes(std::span(bytes)), low);
        high = crc32c(std::as_bytes(std::span(bytes)), high ^ low);
    }
    std::uint64_t value() const { return (static_cast<std::uint64_t>(high) << 32) | low; }
};

Result<std::vector<std::string>> integrity_faults(RowReader& reader) {
    TRY(check, reader.connection().prepare("PRAGMA integrity_check(" + std::to_string(faults_max) + ")"));
    std::vector<std::string> faults;
    for (;;) {
        TRY(more, check.step());
        if (!more) return faults;
        if (std::string line(check.bytes(0)); line != "ok") faults.push_back(std::move(line));
    }
}

Result<> check_one(Replica& replica, ReplicaCheck& check) {
    check.state = replica.state();
    TRY(faults, replica.read([](RowReader& reader) { return integrity_faults(reader); }));
    check.faults = faults;
    if (check.state.anomalies != 0)
        check.faults.push_back(std::to_string(check.state.anomalies) + " changes made no sense and were passed over");
    TRY(digest, replica.read([](RowReader& reader) { return digest_of(reader); }));
    check.digest = digest;
    return {};
}

}  // namespace

Result<> visit_rows(RowReader& reader, const RowVisitor& visitor) {
    CHECK_OK(visit_all<InodeRow>(visitor.inode, [&](const auto& last) { return reader.all_inodes(last.number, page_rows); }));
    CHECK_OK(visit_all<EntryRow>(visitor.entry, [&](const auto& last) { return reader.all_entries(last.parent, last.cookie, page_rows); }));
    CHECK_OK(visit_all<ExtentRow>(visitor.extent, [&](const auto& last) { return reader.all_extents(last.map, last.offset, page_rows); }));
    CHECK_OK(visit_all<ChunkRow>(visitor.chunk, [&](const auto& last) { return reader.chunks(last.chunk.id, page_rows); }));
    CHECK_OK(visit_all<XattrRow>(visitor.xattr, [&](const auto& last) { return reader.all_xattrs(last.inode, last.name, page_rows); }));
    CHECK_OK(visit_all<RecordRow>(visitor.record, [&](const auto& last) { return reader.all_records(last.table, last.key, page_rows); }));
    if (!visitor.reap) return {};
    TRY(reaps, reader.reaps(SIZE_MAX));
    for (const auto& row : reaps) CHECK_OK(visitor.reap(row));
    return {};
}

Result<std::uint64_t> digest_of(RowReader& reader) {
    Digest digest;
    const auto put = [&digest](RowChange change) -> Result<> {
        digest.add(std::move(change));
        return {};
    };
    CHECK_OK(visit_rows(reader, {.inode = [&](const InodeRow& row) { return put(PutInode{row}); },
                                 .entry = [&](const EntryRow& row) { return put(PutEntry{row}); },
                                 .extent = [&](const ExtentRow& row) { return put(PutExtent{row}); },
                                 .chunk = [&](const ChunkRow& row) { return put(PutChunk{row}); },
                                 .xattr = [&](const XattrRow& row) { return put(PutXattr{row}); },
                                 .record = [&](const RecordRow& row) { return put(PutRecord{row}); },
                                 .reap = [&](const ReapRow& row) { return put(PutReap{row}); }}));
    TRY(state, reader.volume_state());
    for (auto number : {state.applied, state.inode_max, state.map_max, state.inode_count, state.anomalies}) digest.add(DeleteReap{number});
    return digest.value();
}

Result<std::vector<ReplicaCheck>> check_replicas(const std::vector<StoreDisk>& places, Random& random) {
    std::optional<ReplicaManifest> newest;
    for (const auto& place : places) {
        const auto manifest = read_manifest(*place.disk);
        if (manifest && (!newest || manifest->newer_than(*newest))) newest = *manifest;
    }
    if (!newest) return fail(Errc::not_found, "none of the stores holds a volume's metadata");
    std::vector<ReplicaCheck> checks;
    const ReplicaCheck* first = nullptr;
    checks.reserve(places.size());
    for (const auto& place : places) {
        if (!newest->lists(place.store)) continue;
        auto& check = checks.emplace_back();
        check.store = place.store;
        check.description = place.disk->description();
        const auto replica = Replica::open(place, random, newest->volume, {});
        const auto done = replica ? check_one(**replica, check) : Result<>(fail(replica.error()));
        if (!done) check.faults.push_back(to_string(done.error()));
        if (!done) continue;
        if (first == nullptr)
            first = &check;
        else if (check.digest != first->digest)
            check.faults.push_back("its rows differ from those on " + first->description);
    }
    return checks;
}

}  // namespace strata::cluster

// SPDX-License-Identifier: Apache-2.0
// SELECTs and the way from columns to rows.
#include "cluster/meta/row_reader.h"

#include <algorithm>
#include <set>

#include "cluster/meta/row_codec.h"
#include "cluster/meta/state_machine.h"

namespace strata::cluster {

namespace {

// Stored numbers are signed: a bound above is none.
std::uint64_t bounded(std::uint64_t value) { return std::min<std::uint64_t>(value, INT64_MAX); }

Result<InodeRow> to_inode(const SqliteStatement& row) {
    InodeRow inode;
    inode.number = row.number(0);
    ByteReader in(row.bytes(1));
    read_inode_body(in, inode);
    if (!in.ok() || !in.at_end()) return fail(Errc::corrupt, "the body of inode " + std::to_string(inode.number) + " is malformed");
    return inode;
}

EntryRow to_entry(const SqliteStatement& row) {
    EntryRow entry;
    entry.parent = row.number(0);
    entry.cookie = row.number(1);
    entry.name = row.bytes(2);
    entry.folded = row.is_null(3) ? entry.name : std::string(row.bytes(3));
    entry.child = row.number(4);
    entry.child_generation = static_cast<std::uint32_t>(row.number(5));
    entry.child_type = static_cast<vfs::FileType>(row.number(6));
    return entry;
}

ExtentRow to_extent(const SqliteStatement& row) {
    ExtentRow extent;
    extent.map = row.number(0);
    extent.offset = row.number(1);
    extent.length = row.number(2);
    extent.chunk = chunk_of_key(row.bytes(3));
    extent.chunk_offset = static_cast<std::uint32_t>(row.number(4));
    return extent;
}

// Columns id, refs, body from `column` on.
Result<ChunkRow> to_chunk(const SqliteStatement& row, int column) {
    ChunkRow chunk;
    chunk.chunk.id = chunk_of_key(row.bytes(column));
    chunk.references = static_cast<std::uint32_t>(row.number(column + 1));
    ByteReader in(row.bytes(column + 2));
    read_chunk_body(in, chunk.chunk);
    if (!in.ok() || !in.at_end()) return fail(Errc::corrupt, "the body of a chunk row is malformed");
    return chunk;
}

XattrRow to_xattr(const SqliteStatement& row) { return {row.number(0), std::string(row.bytes(1)), std::string(row.bytes(2))}; }
RecordRow to_record(const SqliteStatement& row) {
    return {std::string(row.bytes(0)), std::string(row.bytes(1)), std::string(row.bytes(2))};
}

template <class T>
Result<T> as_result(T value) {
    return value;
}
template <class T>
Result<T> as_result(Result<T> value) {
    return value;
}

// All rows of a bound statement, each by `convert`.
template <class Convert>
auto collect(SqliteStatement& statement, Convert convert)
    -> Result<std::vector<typename decltype(as_result(convert(statement)))::value_type>> {
    StatementUse use(statement);
    std::vector<typename decltype(as_result(convert(statement)))::value_type> rows;
    for (;;) {
        TRY(found, use->step());
        if (!found) return rows;
        TRY(row, as_result(convert(statement)));
        rows.push_back(std::move(row));
    }
}

template <class Row>
Result<std::optional<Row>> only(Result<std::vector<Row>> rows) {
    if (!rows) return fail(std::move(rows.error()));
    return rows->empty() ? std::nullopt : std::optional<Row>(std::move(rows->front()));
}

}  // namespace

Result<std::unique_ptr<RowReader>> RowReader::open(SqliteVfs& vfs, const std::string& path, std::uint64_t cache_bytes) {
    TRY(connection, open_database(vfs, path, SqliteConnection::Mode::read_write, cache_bytes));
    std::unique_ptr<RowReader> reader(new RowReader(std::move(connection)));
    CHECK_OK(reader->connection_.run("PRAGMA query_only=ON"));
    CHECK_OK(reader->prepare());
    return std::move(reader);
}

Result<> RowReader::prepare() {
    const std::pair<SqliteStatement*, const char*> all[] = {
        {&begin_, "BEGIN"},
        {&commit_, "COMMIT"},
        {&inode_, "SELECT number, body FROM inode WHERE number=?1"},
        {&entry_, "SELECT parent, cookie, name, folded, child, child_generation, child_type FROM entry WHERE parent=?1 AND name=?2"},
        {&entries_,
         "SELECT parent, cookie, name, folded, child, child_generation, child_type FROM entry WHERE parent=?1 AND cookie>?2 "
         "ORDER BY cookie LIMIT ?3"},
        {&extents_,
         "SELECT map, start, length, chunk, chunk_offset, chunk.id, chunk.refs, chunk.body FROM extent LEFT JOIN chunk "
         "ON chunk.id=extent.chunk WHERE map=?1 AND start>=coalesce((SELECT max(start) FROM extent WHERE map=?1 AND start<=?2), ?2) "
         "AND start<?3 AND start+length>?2 ORDER BY start LIMIT ?4"},
        {&chunk_, "SELECT id, refs, body FROM chunk WHERE id=?1"},
        {&chunks_, "SELECT id, refs, body FROM chunk WHERE id>?1 ORDER BY id LIMIT ?2"},
        {&extents_of_chunk_,
         "SELECT map, start, length, chunk, chunk_offset FROM extent WHERE chunk=?1 AND chunk IS NOT NULL "
         "ORDER BY map, start LIMIT ?2"},
        {&xattrs_, "SELECT inode, name, value FROM xattr WHERE inode=?1 ORDER BY name"},
        {&records_, "SELECT kind, key, value FROM record WHERE kind=?1 ORDER BY key"},
        {&reaps_, "SELECT map, start FROM reap ORDER BY map LIMIT ?1"},
        {&all_inodes_, "SELECT number, body FROM inode WHERE number>?1 ORDER BY number LIMIT ?2"},
        {&all_entries_,
         "SELECT parent, cookie, name, folded, child, child_generation, child_type FROM entry WHERE (parent, cookie)>(?1, ?2) "
         "ORDER BY parent, cookie LIMIT ?3"},
        {&all_extents_,
         "SELECT map, start, length, chunk, chunk_offset FROM extent WHERE (map, start)>(?1, ?2) ORDER BY map, start LIMIT ?3"},
        {&all_xattrs_, "SELECT inode, name, value FROM xattr WHERE (inode, name)>(?1, ?2) ORDER BY inode, name LIMIT ?3"},
        {&all_records_, "SELECT kind, key, value FROM record WHERE (kind, key)>(?1, ?2) ORDER BY kind, key LIMIT ?3"},
    };
    for (const auto& [statement, sql] : all) {
        TRY(prepared, connection_.prepare(sql));
        *statement = std::move(prepared);
    }
    return {};
}

Result<std::optional<InodeRow>> RowReader::inode(InodeNumber number) {
    inode_.bind(1, number);
    return only(collect(inode_, to_inode));
}

Result<std::vector<InodeRow>> RowReader::inodes(std::span<const InodeNumber> numbers) {
    std::vector<InodeRow> rows;
    CHECK_OK(begin_.execute());
    for (auto number : numbers) {
        auto row = inode(number);
        if (!row) {
            (void)commit_.execute();
            return fail(std::move(row.error()));
        }
        if (*row) rows.push_back(std::move(**row));
    }
    CHECK_OK(commit_.execute());
    return rows;
}

Result<std::optional<EntryRow>> RowReader::entry(InodeNumber parent, const std::string& name) {
    entry_.bind(1, parent).bind(2, name);
    return only(collect(entry_, to_entry));
}

Result<std::vector<EntryRow>> RowReader::entries(InodeNumber parent, std::uint64_t after, std::size_t limit) {
    entries_.bind(1, parent).bind(2, bounded(after)).bind(3, bounded(limit));
    return collect(entries_, to_entry);
}

Result<MetaStore::Extents> RowReader::extents(MapId map, std::uint64_t from, std::uint64_t to, std::size_t limit) {
    MetaStore::Extents found;
    std::set<ChunkId> named;
    extents_.bind(1, map).bind(2, bounded(from)).bind(3, bounded(to)).bind(4, bounded(limit));
    StatementUse use(extents_);
    for (;;) {
        TRY(more, use->step());
        if (!more) return found;
        found.extents.push_back(to_extent(extents_));
        if (extents_.is_null(5) || !named.insert(found.extents.back().chunk).second) continue;
        TRY(chunk, to_chunk(extents_, 5));
        found.chunks.push_back(std::move(chunk));
    }
}

Result<std::optional<ChunkRow>> RowReader::chunk(const ChunkId& id) {
    const auto key = chunk_key(id);
    chunk_.bind(1, key);
    return only(collect(chunk_, [](const auto& row) { return to_chunk(row, 0); }));
}

Result<std::vector<ChunkRow>> RowReader::chunks(const ChunkId& after, std::size_t limit) {
    const auto key = chunk_key(after);
    chunks_.bind(1, key).bind(2, bounded(limit));
    return collect(chunks_, [](const auto& row) { return to_chunk(row, 0); });
}

Result<std::vector<ExtentRow>> RowReader::extents_of_chunk(const ChunkId& id, std::size_t limit) {
    const auto key = chunk_key(id);
    extents_of_chunk_.bind(1, key).bind(2, bounded(limit));
    return collect(extents_of_chunk_, to_extent);
}

Result<std::vector<XattrRow>> RowReader::xattrs(InodeNumber inode) {
    xattrs_.bind(1, inode);
    return collect(xattrs_, to_xattr);
}

Result<std::vector<RecordRow>> RowReader::records(const std::string& table) {
    records_.bind(1, table);
    return collect(records_, to_record);
}

Result<std::vector<ReapRow>> RowReader::reaps(std::size_t limit) {
    reaps_.bind(1, bounded(limit));
    return collect(reaps_, [](const auto& row) { return ReapRow{row.number(0), row.number(1)}; });
}

Result<std::vector<InodeRow>> RowReader::all_inodes(InodeNumber after, std::size_t limit) {
    all_inodes_.bind(1, after).bind(2, bounded(limit));
    return collect(all_inodes_, to_inode);
}

Result<std::vector<EntryRow>> RowReader::all_entries(InodeNumber parent_after, std::uint64_t cookie_after, std::size_t limit) {
    all_entries_.bind(1, parent_after).bind(2, cookie_after).bind(3, bounded(limit));
    return collect(all_entries_, to_entry);
}

Result<std::vector<ExtentRow>> RowReader::all_extents(MapId map_after, std::uint64_t offset_after, std::size_t limit) {
    // No row is before the first: offsets begin at 0, maps at 1.
    all_extents_.bind(1, map_after).bind(2, offset_after).bind(3, bounded(limit));
    return collect(all_extents_, to_extent);
}

Result<std::vector<XattrRow>> RowReader::all_xattrs(InodeNumber inode_after, const std::string& name_after, std::size_t limit) {
    all_xattrs_.bind(1, inode_after).bind(2, name_after).bind(3, bounded(limit));
    return collect(all_xattrs_, to_xattr);
}

Result<std::vector<RecordRow>> RowReader::all_records(const std::string& table_after, const std::string& key_after, std::size_t limit) {
    all_records_.bind(1, table_after).bind(2, key_after).bind(3, bounded(limit));
    return collect(all_records_, to_record);
}

}  // namespace strata::cluster

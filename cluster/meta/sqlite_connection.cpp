// SPDX-License-Identifier: Apache-2.0
// Thin forms of SQLite's C calls.
#include "cluster/meta/sqlite_connection.h"

#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "cluster/meta/sqlite_vfs.h"
#include "server/base/assert.h"

namespace strata::cluster {

Result<SqliteConnection> SqliteConnection::open(SqliteVfs& vfs, const std::string& path, Mode mode, std::uint64_t cache_bytes) {
    int flags = SQLITE_OPEN_NOMUTEX;
    flags |= mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (mode == Mode::create) flags |= SQLITE_OPEN_CREATE;
    sqlite3* db = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &db, flags, vfs.name().c_str());
    SqliteConnection connection(db);
    if (code != SQLITE_OK) return fail(connection.error(code));
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);  // every checkpoint is marked first: checkpoint_mark.h
    const auto settings = fmt::format(
        "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{}; PRAGMA mmap_size=0; PRAGMA foreign_keys=OFF; "
        "PRAGMA trusted_schema=OFF; PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=NORMAL;",
        cache_bytes / 1024);
    CHECK_OK(connection.run(settings.c_str()));
    return connection;
}

SqliteConnection::SqliteConnection(SqliteConnection&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}

SqliteConnection::~SqliteConnection() {
    if (db_ == nullptr) return;
    const int code = sqlite3_close(db_);
    STRATA_ASSERT(code != SQLITE_BUSY);  // a statement is left
}

Error SqliteConnection::error(int code) const {
    Errc meaning = Errc::internal;
    switch (code & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: meaning = Errc::corrupt; break;
        case SQLITE_IOERR: meaning = code == SQLITE_IOERR_DATA ? Errc::corrupt : Errc::io; break;
        case SQLITE_CANTOPEN: meaning = Errc::io; break;
        case SQLITE_FULL: meaning = Errc::no_space; break;
        case SQLITE_BUSY:
        case SQLITE_PROTOCOL:
        case SQLITE_LOCKED: meaning = Errc::busy; break;
        default: break;
    }
    return Error(meaning, fmt::format("SQLite: {} ({})", db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_), code));
}

Result<> SqliteConnection::run(const char* sql) {
    const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return fail(error(code));
    return {};
}

Result<SqliteStatement> SqliteConnection::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return fail(error(code));
    return SqliteStatement(*this, statement);
}

std::int64_t SqliteConnection::changes() const { return sqlite3_changes64(db_); }

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : connection_(other.connection_), statement_(std::exchange(other.statement_, nullptr)) {}

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(statement_, other.statement_);
    return *this;
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

SqliteStatement& SqliteStatement::bind(int parameter, std::uint64_t value) {
    sqlite3_bind_int64(statement_, parameter, static_cast<sqlite3_int64>(value));
    return *this;
}

SqliteStatement& SqliteStatement::bind(int parameter, std::string_view bytes) {
    // A null pointer would bind NULL, which is not the empty string.
    sqlite3_bind_blob64(statement_, parameter, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
    return *this;
}

SqliteStatement& SqliteStatement::bind_null(int parameter) {
    sqlite3_bind_null(statement_, parameter);
    return *this;
}

Result<bool> SqliteStatement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement_);
        return false;
    }
    auto error = connection_->error(code);
    sqlite3_reset(statement_);
    return fail(std::move(error));
}

Result<> SqliteStatement::execute() {
    TRY(row, step());
    if (row) sqlite3_reset(statement_);
    return {};
}

void SqliteStatement::reset() { sqlite3_reset(statement_); }

std::uint64_t SqliteStatement::number(int column) const { return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column)); }

std::string_view SqliteStatement::bytes(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    if (data == nullptr) return {};
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

bool SqliteStatement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

}  // namespace strata::cluster
